import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { json, text as readText } from "node:stream/consumers";
import { OAuth2Client } from "google-auth-library";
import { until } from "../until.ts";
import { type Case, CODES, getText, rejectsWith, text } from "./bench.ts";

type Body = {
  message: Record<string, unknown> & { messageId: string; data?: string };
  subscription: string;
  deliveryAttempt?: number;
};
type Answer = (request: IncomingMessage) => number | Promise<number>;

/** A nacked message is redelivered within this time; the emulator waits for a second. */
const BACKOFF_MS = 1_500;
const MIN_ACK_DEADLINE_SECONDS = 10;
/** Of an endpoint that does not respond. */
const NO_STATUS = -1;
const ACCOUNT = "pusher@conformance.iam.gserviceaccount.com";

/** Runs an endpoint while `work` is done; `answer` returns the status of each response. */
async function withEndpoint(answer: Answer, work: (url: string) => Promise<void>): Promise<void> {
  const server = createServer(async (request, response) => {
    const status = await answer(request);
    if (status === 102) response.writeProcessing();
    if (status > 0) response.writeHead(status === 102 ? 500 : status).end();
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  try {
    await work(`http://127.0.0.1:${(server.address() as AddressInfo).port}/push`);
  } finally {
    server.close();
    server.closeAllConnections();
  }
}

/** Pushes one message to an endpoint that responds with these statuses, one after the other. */
function answersCase(statuses: number[], count: number, what: string, gap?: string): Case {
  return {
    title: `a push is ${what}`,
    ...(gap ? { gap } : {}),
    async run(bench) {
      const ids: string[] = [];
      const answer: Answer = async (request) => {
        const { message } = (await json(request)) as Body;
        ids.push(message.messageId);
        return statuses[ids.length - 1] ?? 204;
      };
      await withEndpoint(answer, async (pushEndpoint) => {
        const { topic, subscription } = await bench.createPair({
          pushConfig: { pushEndpoint },
          ...(statuses.includes(NO_STATUS) ? { ackDeadlineSeconds: MIN_ACK_DEADLINE_SECONDS } : {}),
        });
        const [id] = await bench.publish(topic, "x");
        await until(`it was pushed ${count} times`, () => ids.length === count);
        // As a pull subscription it has no unacknowledged message.
        await bench.subscriber.modifyPushConfig({ subscription, pushConfig: {} });
        await bench.expectNothing(subscription, BACKOFF_MS);
        assert.deepEqual(ids, Array(count).fill(id));
      });
    },
  };
}

/** What is pushed. */
export const pushCases: Case[] = [
  {
    title: "a push request has the message in its wrapped form",
    async run(bench) {
      const bodies: Body[] = [];
      const answer: Answer = async (request) => {
        assert.equal(request.headers["content-type"], "application/json");
        bodies.push((await json(request)) as Body);
        return 204;
      };
      await withEndpoint(answer, async (pushEndpoint) => {
        const { topic, subscription } = await bench.createPair({ pushConfig: { pushEndpoint } });
        const attributes = { a: "ñ" };
        const [id] = await bench.publish(topic, { data: text("hi"), attributes });
        await until("it was pushed", () => bodies.length > 0);
        const { message, subscription: named, deliveryAttempt } = bodies[0] as Body;
        assert.equal(named, subscription);
        assert.equal(deliveryAttempt, undefined);
        assert.deepEqual([message.messageId, message.message_id], [id, id]);
        assert.equal(message.publishTime, message.publish_time);
        assert.ok(Date.parse(String(message.publishTime)) > 0);
        assert.deepEqual([message.data, message.attributes], ["aGk=", attributes]);
      });
    },
  },
  {
    title: "a push subscription cannot be pulled",
    gap: "accepts the pull",
    async run(bench) {
      const pushConfig = { pushEndpoint: "http://127.0.0.1:1/push" };
      const { subscription } = await bench.createPair({ pushConfig });
      await rejectsWith(CODES.failedPrecondition, bench.pull(subscription));
    },
  },
  answersCase([200], 1, "acknowledged by 200"),
  answersCase([201], 1, "acknowledged by 201"),
  answersCase([204], 1, "acknowledged by 204"),
  answersCase([102], 1, "acknowledged by 102"),
  answersCase([202], 1, "acknowledged by 202", "treats it as a nack"),
  answersCase([203], 2, "nacked by 203", "treats it as an acknowledgement"),
  answersCase(
    [302, 400, 503],
    4,
    "nacked by 302, 400 and 503, and redelivered until it is acknowledged",
  ),
  answersCase(
    [NO_STATUS],
    2,
    "nacked by an endpoint that does not respond within the ack deadline",
  ),
  {
    title: "a push request has a signed OIDC token of its service account and audience",
    gap: "sends no token",
    async run(bench) {
      const tokens: string[] = [];
      const answer: Answer = (request) => {
        tokens.push(request.headers.authorization ?? "");
        return 204;
      };
      await withEndpoint(answer, async (pushEndpoint) => {
        for (const audience of ["https://audience.example", ""]) {
          const oidcToken = { serviceAccountEmail: ACCOUNT, audience };
          const { topic } = await bench.createPair({ pushConfig: { pushEndpoint, oidcToken } });
          await bench.publish(topic, "x");
          await until("it was pushed", () => tokens.length > 0);
          const idToken = (tokens.pop() ?? "").replace(/^Bearer /, "");
          const ticket = await new OAuth2Client({
            endpoints: { oauth2FederatedSignonPemCertsUrl: bench.certsUrl ?? "http://127.0.0.1:1" },
          }).verifyIdToken({ idToken, audience: audience || pushEndpoint });
          assert.equal(ticket.getPayload()?.email, ACCOUNT);
          assert.equal(ticket.getPayload()?.email_verified, true);
        }
      });
    },
  },
  {
    title: "many push requests of a subscription are outstanding at the same time",
    gap: "has at most two",
    async run(bench) {
      const { promise: enough, resolve } = Promise.withResolvers<void>();
      let done = 0;
      let waiting = 0;
      const answer: Answer = async () => {
        // The first are answered at once, so that there are soon more at a time.
        if (done < 30) {
          done += 1;
          return 204;
        }
        waiting += 1;
        if (waiting === 10) resolve();
        await enough;
        return 204;
      };
      await withEndpoint(answer, async (pushEndpoint) => {
        const { topic } = await bench.createPair({ pushConfig: { pushEndpoint } });
        await bench.publish(topic, ...Array(100).fill("x"));
        await until("ten are outstanding", () => waiting >= 10).finally(resolve);
      });
    },
  },
  {
    title: "a push request has its delivery attempt where there is a dead-letter policy",
    gap: "omits it",
    async run(bench) {
      const attempts: unknown[] = [];
      const answer: Answer = async (request) => {
        attempts.push(((await json(request)) as Body).deliveryAttempt);
        return attempts.length < 3 ? 500 : 204;
      };
      const deadLetterTopic = await bench.createTopic();
      await withEndpoint(answer, async (pushEndpoint) => {
        const { topic } = await bench.createPair({
          deadLetterPolicy: { deadLetterTopic },
          pushConfig: { pushEndpoint },
        });
        await bench.publish(topic, "x");
        await until("it was pushed three times", () => attempts.length === 3);
        assert.deepEqual(attempts, [1, 2, 3]);
      });
    },
  },
  {
    title:
      "a message whose pushes are nacked maxDeliveryAttempts times is forwarded to the dead-letter topic",
    async run(bench) {
      let pushes = 0;
      const answer: Answer = () => {
        pushes += 1;
        return 500;
      };
      const deadLetterTopic = await bench.createTopic();
      const letters = await bench.createSubscription(deadLetterTopic);
      await withEndpoint(answer, async (pushEndpoint) => {
        const { topic } = await bench.createPair({
          deadLetterPolicy: { deadLetterTopic, maxDeliveryAttempts: 5 },
          pushConfig: { pushEndpoint },
        });
        await bench.publish(topic, "x");
        assert.deepEqual((await bench.pullAll(letters, 1)).map(getText), ["x"]);
        assert.equal(pushes, 5);
      });
    },
  },
  {
    title: "an unwrapped push request has the data as its body and the metadata in headers",
    async run(bench) {
      const pushes: { body: string; headers: IncomingMessage["headers"] }[] = [];
      const answer: Answer = async (request) => {
        pushes.push({ body: await readText(request), headers: request.headers });
        return 204;
      };
      await withEndpoint(answer, async (pushEndpoint) => {
        const { topic, subscription } = await bench.createPair({
          pushConfig: { pushEndpoint, noWrapper: { writeMetadata: true } },
        });
        const [id] = await bench.publish(topic, { data: text("raw"), attributes: { key: "v" } });
        await until("it was pushed", () => pushes.length > 0);
        const [{ body, headers } = { body: "", headers: {} }] = pushes;
        assert.equal(body, "raw");
        assert.equal(headers["x-goog-pubsub-message-id"], id);
        assert.equal(headers["x-goog-pubsub-subscription-name"], subscription);
        assert.equal(headers.key, "v");
      });
    },
  },
];
