import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import { setImmediate } from "node:timers/promises";
import { protos } from "@google-cloud/pubsub";
import {
  Client,
  credentials,
  Server,
  ServerCredentials,
  type ServerDuplexStream,
} from "@grpc/grpc-js";
import { PULL_BYTES, PULL_MESSAGES } from "../../common/limits.ts";
import { createLogger } from "../../common/telemetry/logger.ts";
import { type Pubsub, startPubsub } from "../../local/pubsub/server.ts";
import type { Decision } from "../../subscriber/decide.ts";
import type { Message } from "../../subscriber/message.ts";
import { LEASE_SECONDS, startPull } from "../../subscriber/pull.ts";
import { type Received, STREAMING_PULL_PATH } from "../../subscriber/pull-protocol.ts";
import { PullStream } from "../../subscriber/pull-stream.ts";
import { Bench, getText, until } from "../support/pubsub/bench.ts";

const APPLIED: Decision = { kind: "settled", outcome: "applied", reason: null };
const logger = await createLogger({
  ...{ service: "test", projectId: "conformance" },
  ...{ format: "json", level: "emerg" },
});
const numbers = (count: number) => Array.from({ length: count }, (_, index) => `${index}`);

describe("pulling", () => {
  let pubsub: Pubsub;
  let bench: Bench;
  let topic: string;
  let subscription: string;
  let deadLetterSubscription: string;
  let pull: Awaited<ReturnType<typeof startPull>> | undefined;

  beforeEach(async () => {
    pubsub = await startPubsub({ port: 0, seed: 3 });
    process.env.PUBSUB_EMULATOR_HOST = pubsub.host;
    bench = await Bench.connect(pubsub.host);
    ({ topic, subscription } = await bench.createPair({ ackDeadlineSeconds: 10 }));
    ({ subscription: deadLetterSubscription } = await bench.createPair());
  });
  afterEach(async () => {
    await pull?.stop();
    pull = undefined;
    delete process.env.PUBSUB_EMULATOR_HOST;
    await bench.close();
    await pubsub.stop();
  });

  const start = async (add: (message: Message) => Promise<Decision>, streams = 5) => {
    const getId = (name: string) => name.slice(name.lastIndexOf("/") + 1);
    pull = await startPull({
      projectId: bench.project,
      subscription: getId(subscription),
      deadLetterSubscription: getId(deadLetterSubscription),
      streams,
      batcher: { add },
      logger,
    });
  };
  const stop = async () => {
    await pull?.stop();
    pull = undefined;
  };

  it("brings a message as it was published, and acknowledges it once it is settled", async () => {
    const settled = Promise.withResolvers<Decision>();
    const seen: Message[] = [];
    await start((message) => {
      seen.push(message);
      return settled.promise;
    });
    const data = Buffer.from([0, 255, 10]);
    const attributes = { "ce-id": "1", empty: "", ñandú: "✓" };
    const [messageId] = await bench.publish(topic, { data, attributes });
    await until("it has come", () => seen.length === 1);
    const { receivedMs, ...message } = seen[0] as Message;
    assert.deepEqual(message, { messageId, attributes, data });
    assert.ok(Math.abs(Number(receivedMs) - Date.now()) < 60_000);
    settled.resolve(APPLIED);
    await stop();
    await bench.expectNothing(subscription);
    assert.equal(seen.length, 1);
  });

  it("gives back what has no outcome, to have it again", async () => {
    const answers = [
      Promise.reject(new Error("MySQL is away.")),
      Promise.resolve<Decision>({ kind: "not-yet", version: "v" }),
    ];
    answers[0]?.catch(() => {});
    let times = 0;
    await start(() => answers[times++] ?? Promise.resolve(APPLIED));
    await bench.publish(topic, "x");
    await until("it has come three times", () => times === 3);
    await stop();
    await bench.expectNothing(subscription);
  });

  it("says of what comes by the dead-letter topic why it is dead", async () => {
    const { topic, subscription } = await bench.createPair();
    deadLetterSubscription = subscription;
    const seen: Message[] = [];
    await start(async (message) => {
      seen.push(message);
      return { kind: "settled", outcome: "dead", reason: "x" } satisfies Decision;
    });
    await bench.publish(topic, "x");
    await until("it has come", () => seen.length === 1);
    assert.match(seen[0]?.deliveryExhausted ?? "", /as often as it may/);
  });

  it("keeps what it holds for longer than a lease, and nobody else is given it", async () => {
    let times = 0;
    const settled = Promise.withResolvers<Decision>();
    await start(() => {
      times += 1;
      return settled.promise;
    });
    await bench.publish(topic, "x");
    await until("it has come", () => times === 1);
    await bench.expectNothing(subscription, (LEASE_SECONDS + 2) * 1_000);
    assert.equal(times, 1);
    settled.resolve(APPLIED);
    await stop();
    await bench.expectNothing(subscription);
  });

  it("holds no more than it may, whatever waits", async () => {
    let held = 0;
    const settled = Promise.withResolvers<Decision>();
    await start(() => {
      held += 1;
      return settled.promise;
    });
    const texts = numbers(PULL_MESSAGES + 500);
    for (let at = 0; at < texts.length; at += 500)
      await bench.publish(topic, ...texts.slice(at, at + 500));
    await until("it holds what it may", () => held >= PULL_MESSAGES);
    await bench.expectNothing(deadLetterSubscription);
    assert.equal(held, PULL_MESSAGES);
    settled.resolve(APPLIED);
    await until("all has come", () => held === texts.length);
  });

  it("gives back at the stop what is not settled by then, at once", async () => {
    let times = 0;
    const settled = Promise.withResolvers<Decision>();
    await start(() => {
      times += 1;
      return settled.promise;
    });
    await bench.publish(topic, "x");
    await until("it has come", () => times === 1);
    const cameAt = Date.now();
    await stop();
    const [again] = await bench.pullAll(subscription, 1);
    assert.equal(again && getText(again), "x");
    assert.ok(Date.now() - cameAt < LEASE_SECONDS * 1_000, "it came when its lease had run out");
    settled.resolve(APPLIED);
    await setImmediate();
  });

  it("opens each stream again that was cut, and loses nothing by it", async () => {
    pubsub.broker.faults.set({ cut: 1 });
    const seen: string[] = [];
    await start(async ({ data }) => {
      seen.push(String(data));
      return APPLIED;
    }, 1);
    for (const text of numbers(10)) {
      await bench.publish(topic, text);
      await until("it has come", () => seen.includes(text));
    }
    assert.ok((pubsub.broker.faults.counts.cut ?? 0) >= 10);
  });

  it("goes on where Pub/Sub was away for a moment", async () => {
    const seen = new Set<string>();
    await start(async ({ data }) => {
      seen.add(String(data));
      return APPLIED;
    });
    await bench.publish(topic, "before");
    await until("the first has come", () => seen.size === 1);
    const port = Number(pubsub.host.split(":")[1]);
    await bench.close();
    await pubsub.stop();
    pubsub = await startPubsub({ port });
    bench = await Bench.connect(pubsub.host);
    await bench.publisher.createTopic({ name: topic });
    for (const name of [subscription, deadLetterSubscription])
      await bench.subscriber.createSubscription({ name, topic });
    await bench.publish(topic, "after");
    await until("the second has come", () => seen.has("after"));
  });
});

describe("pulling from a server that keeps to nothing", () => {
  const asIs = (bytes: Buffer) => bytes;
  const path = {
    ...{ requestStream: true, responseStream: true },
    ...{ requestSerialize: asIs, requestDeserialize: asIs },
    ...{ responseSerialize: asIs, responseDeserialize: asIs },
  };
  let server: Server;
  let port: number;
  let client: Client;
  let onStream: (call: ServerDuplexStream<Buffer, Buffer>) => void;
  let stop: () => Promise<void> | void;

  beforeEach(async () => {
    server = new Server();
    server.addService(
      { streamingPull: { path: STREAMING_PULL_PATH, ...path } },
      {
        streamingPull: (call: ServerDuplexStream<Buffer, Buffer>) => {
          call.resume();
          call.on("error", () => {});
          onStream(call);
        },
      },
    );
    port = await new Promise<number>((resolve, reject) =>
      server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, port) =>
        error ? reject(error) : resolve(port),
      ),
    );
    client = new Client(`127.0.0.1:${port}`, credentials.createInsecure());
  });
  afterEach(async () => {
    await stop();
    delete process.env.PUBSUB_EMULATOR_HOST;
    client.close();
    server.forceShutdown();
  });

  const openStream = (onMessages: (received: Received[]) => void = () => {}) => {
    const stream = new PullStream({
      client,
      subscription: "projects/p/subscriptions/s",
      ...{ leaseSeconds: 10, maxMessages: 1, maxBytes: 1 },
      ...{ keepaliveMs: 200, answerMs: 100 },
      onMessages,
      onFailed: ({ details }) => assert.fail(details),
    });
    stop = () => stream.stop();
    return stream;
  };

  it("gives up a stream on which nobody answers, and opens it again", async () => {
    let opened = 0;
    onStream = () => {
      opened += 1;
    };
    openStream();
    await until("it was opened three times", () => opened >= 3);
  });

  it("keeps a stream that it does not read, though it hears no answer by it", async () => {
    let opened = 0;
    const asked: Buffer[] = [];
    onStream = (call) => {
      opened += 1;
      call.on("data", (bytes: Buffer) => asked.push(bytes));
    };
    const stream = openStream();
    stream.pause();
    // The first names the subscription, and each that follows asks for an answer.
    await until("it was not answered twice", () => asked.length >= 4);
    assert.equal(opened, 1);
    stream.resume();
    await until("it was opened again", () => opened === 2);
  });

  it("does not read a stream either that it opened meanwhile", async () => {
    let opened = 0;
    let asked = 0;
    onStream = (call) => {
      opened += 1;
      if (opened === 1) return void call.end();
      call.on("data", () => {
        asked += 1;
      });
      call.write(encodeResponse(1, 1, 0));
    };
    let seen = 0;
    const stream = openStream((received) => {
      seen += received.length;
    });
    stream.pause();
    await until("the second was spoken on", () => opened === 2 && asked >= 4);
    assert.equal(seen, 0);
    stream.resume();
    await until("its message has come", () => seen === 1);
  });

  for (const [what, bytes, most] of [
    ["messages", 1, PULL_MESSAGES],
    ["bytes", 1024 * 1024, PULL_BYTES / 1024 / 1024],
  ] as const)
    it(`holds no more ${what} than it may, however many are sent`, async () => {
      process.env.PUBSUB_EMULATOR_HOST = `127.0.0.1:${port}`;
      const perResponse = Math.ceil(most / 30);
      const streams = 5;
      const responses = 60;
      let sent = 0;
      onStream = (call) =>
        call.once("data", (request: Buffer) => {
          if (request.includes("subscriptions/dead")) return;
          for (let count = 0; count < responses / streams; count += 1) {
            call.write(encodeResponse(perResponse, bytes, sent));
            sent += perResponse;
          }
        });
      let held = 0;
      let seen = 0;
      const waiting: ((settlement: Decision) => void)[] = [];
      const pull = await startPull({
        ...{ projectId: "p", subscription: "s", deadLetterSubscription: "dead", streams, logger },
        batcher: {
          add: () => {
            held += 1;
            seen += 1;
            return new Promise((resolve) => waiting.push(resolve));
          },
        },
      });
      stop = () => pull.stop();
      while (seen < responses * perResponse) {
        await until("it holds what it may, or has all", () => {
          return held >= most || seen === responses * perResponse;
        });
        assert.ok(held < most + perResponse, `${held} are held`);
        const some = waiting.splice(0, most / 2);
        held -= some.length;
        for (const resolve of some) resolve(APPLIED);
      }
      for (const resolve of waiting) resolve(APPLIED);
    });
});

/** A response of a streaming pull with so many messages. */
function encodeResponse(count: number, bytes: number, first: number): Buffer {
  const receivedMessages = numbers(count).map((number) => ({
    ackId: `${first + Number(number)}`,
    message: { messageId: `${first + Number(number)}`, data: Buffer.alloc(bytes) },
  }));
  const { StreamingPullResponse } = protos.google.pubsub.v1;
  return Buffer.from(StreamingPullResponse.encode({ receivedMessages }).finish());
}
