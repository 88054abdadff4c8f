import assert from "node:assert/strict";
import { Duration, type Message } from "@google-cloud/pubsub";
import { type Case, CODES, getText, type Received, rejectsWith, text, until } from "./bench.ts";

const RETENTION = { messageRetentionDuration: { seconds: 600 } };

/** What is delivered, when, how often, and in which order. */
export const deliveryCases: Case[] = [
  {
    title: "a message comes as it was published, and once it is acknowledged no more",
    async run(bench) {
      const { topic, subscription } = await bench.createPair();
      const attributes = { "ce-id": "1", empty: "", ñandú: "✓" };
      const before = Math.floor(Date.now() / 1_000);
      const [id] = await bench.publish(topic, { data: Buffer.from([0, 255, 10]), attributes });
      const received = await bench.pullAll(subscription, 1);
      const { message, deliveryAttempt } = received[0] ?? {};
      assert.equal(message?.messageId, id);
      assert.equal(Buffer.compare(message?.data as Buffer, Buffer.from([0, 255, 10])), 0);
      assert.deepEqual(message?.attributes, attributes);
      assert.ok(Number(message?.publishTime?.seconds) >= before);
      assert.equal(deliveryAttempt, 0);
      await bench.acknowledge(subscription, received);
      await bench.acknowledge(subscription, received);
      await bench.modify(subscription, received, 0);
      await bench.expectNothing(subscription);
    },
  },
  {
    title: "a message comes to each subscription that there was when it was published",
    async run(bench) {
      const { topic, subscription } = await bench.createPair();
      const other = await bench.createSubscription(topic);
      await bench.publish(topic, "x");
      const late = await bench.createSubscription(topic);
      for (const one of [subscription, other])
        assert.deepEqual((await bench.pullAll(one, 1)).map(getText), ["x"]);
      await bench.expectNothing(late);
    },
  },
  {
    title: "a pull brings at most what it asks for, and what it brought is not brought again",
    async run(bench) {
      const { topic, subscription } = await bench.createPair();
      await bench.publish(topic, ...Array.from({ length: 20 }, (_, index) => `m${index}`));
      const first = await bench.pull(subscription, 5);
      assert.ok(first.length <= 5);
      const all = [...first, ...(await bench.pullAll(subscription, 20 - first.length))];
      assert.equal(new Set(all.map(getText)).size, 20);
      await bench.expectNothing(subscription);
    },
  },
  {
    title: "a pull waits for a message",
    async run(bench) {
      const { topic, subscription } = await bench.createPair();
      const pulled = bench.subscriber.pull({ subscription, maxMessages: 1 }, { retry: null });
      await bench.publish(topic, "x");
      assert.deepEqual((await pulled)[0].receivedMessages?.map(getText), ["x"]);
    },
  },
  {
    title: "a message that is given back comes again, by another ack id",
    async run(bench) {
      const { topic, subscription } = await bench.createPair();
      await bench.publish(topic, "x");
      const first = await bench.pullAll(subscription, 1);
      await bench.modify(subscription, first, 0);
      const second = await bench.pullAll(subscription, 1);
      assert.equal(second[0]?.message?.messageId, first[0]?.message?.messageId);
      assert.notEqual(second[0]?.ackId, first[0]?.ackId);
    },
  },
  {
    title: "an ack id of another subscription is refused",
    async run(bench) {
      const { topic, subscription } = await bench.createPair();
      const other = await bench.createSubscription(topic);
      await bench.publish(topic, "x");
      const foreign = await bench.pullAll(subscription, 1);
      await rejectsWith(CODES.invalidArgument, bench.acknowledge(other, foreign), "ack");
      await rejectsWith(CODES.invalidArgument, bench.modify(other, foreign, 0), "modack");
      assert.equal((await bench.pullAll(other, 1)).length, 1);
    },
  },
  {
    title: "a message comes again after its deadline, and not before a later one",
    async run(bench) {
      const { topic, subscription } = await bench.createPair({ ackDeadlineSeconds: 10 });
      await bench.publish(topic, "short", "long");
      const received = await bench.pullAll(subscription, 2);
      const long = received.filter((one) => getText(one) === "long");
      await bench.modify(subscription, long, 60);
      assert.deepEqual((await bench.pullAll(subscription, 1)).map(getText), ["short"]);
      await bench.expectNothing(subscription);
    },
  },
  {
    title: "streaming pulls bring every message",
    async run(bench) {
      const { topic, subscription } = await bench.createPair();
      const seen = new Set<string>();
      const take = (message: Message) => {
        seen.add(message.data.toString());
        message.ack();
      };
      await bench.publish(topic, ...Array.from({ length: 500 }, (_, index) => `before ${index}`));
      await bench.stream(subscription, {}, take, async () => {
        await bench.publish(topic, ...Array.from({ length: 500 }, (_, index) => `after ${index}`));
        await until("all have come", () => seen.size === 1_000);
      });
      await bench.expectNothing(subscription);
    },
  },
  {
    title: "a streaming pull holds no more than it asks for",
    async run(bench) {
      const { topic, subscription } = await bench.createPair();
      await bench.publish(topic, ...Array.from({ length: 50 }, (_, index) => `m${index}`));
      const held: Message[] = [];
      let most = 0;
      let count = 0;
      const options = {
        flowControl: { maxMessages: 5, allowExcessMessages: false },
        streamingOptions: { maxStreams: 1 },
      };
      const take = (message: Message) => {
        held.push(message);
        count += 1;
        most = Math.max(most, held.length);
      };
      await bench.stream(subscription, options, take, async () => {
        await until("all have come, five by five", () => {
          if (held.length === 5) for (const message of held.splice(0)) message.ack();
          return count === 50;
        });
        for (const message of held) message.ack();
      });
      assert.equal(most, 5);
    },
  },
  {
    title: "no more is streamed than the stream's first request allows to be under way",
    gap: "streams all of it, and leaves the limit to the client",
    async run(bench) {
      const { topic, subscription } = await bench.createPair();
      await bench.publish(topic, ...Array.from({ length: 20 }, (_, index) => `m${index}`));
      const stream = bench.subscriber.streamingPull();
      const ackIds: string[] = [];
      stream.on("error", () => {});
      stream.on("data", ({ receivedMessages }: { receivedMessages: Received[] }) => {
        for (const { ackId } of receivedMessages) ackIds.push(ackId ?? "");
      });
      const first = { subscription, streamAckDeadlineSeconds: 60, maxOutstandingMessages: 5 };
      stream.write(first);
      for (const expected of [5, 10, 15]) {
        await until(`${expected} have come`, () => ackIds.length >= expected);
        // Nothing else asks for messages: what could have been streamed has been by now.
        await bench.expectNothing(await bench.createSubscription(topic));
        assert.equal(ackIds.length, expected);
        stream.write({ ackIds: ackIds.slice(-5) });
      }
      stream.cancel();
    },
  },
  {
    title: "what a streaming pull gives back comes to another",
    async run(bench) {
      const { topic, subscription } = await bench.createPair();
      const minAckDeadline = Duration.from({ seconds: 10 });
      await bench.publish(topic, "x");
      let nacked = "";
      const take = (message: Message) => {
        nacked = message.id;
        message.nack();
      };
      await bench.stream(subscription, { minAckDeadline }, take, () =>
        until("it has come", () => nacked !== ""),
      );
      const [received] = await bench.pullAll(subscription, 1);
      assert.equal(received?.message?.messageId, nacked);
    },
  },
  {
    title: "a streaming pull ends with NOT_FOUND where its subscription is deleted",
    async run(bench) {
      const { subscription } = await bench.createPair();
      const stream = bench.subscriber.streamingPull();
      const ended = new Promise<{ code?: number }>((resolve) => stream.on("error", resolve));
      stream.write({ subscription, streamAckDeadlineSeconds: 10 });
      // A pull is answered after the stream was opened.
      await bench.pull(subscription);
      await bench.subscriber.deleteSubscription({ subscription });
      assert.equal((await ended).code, CODES.notFound);
    },
  },
  {
    title: "a streaming pull's first request must have a deadline from 10 to 600 s",
    async run(bench) {
      const { subscription } = await bench.createPair();
      for (const streamAckDeadlineSeconds of [0, 9, 601]) {
        const stream = bench.subscriber.streamingPull();
        const ended = new Promise<{ code?: number }>((resolve) => stream.on("error", resolve));
        stream.write({ subscription, streamAckDeadlineSeconds });
        assert.equal((await ended).code, CODES.invalidArgument, String(streamAckDeadlineSeconds));
      }
    },
  },
  {
    title: "a streaming pull of protocol version 1 is answered its keepalives",
    gap: "answers none, so that the client opens the stream anew",
    async run(bench) {
      const { subscription } = await bench.createPair();
      const stream = bench.subscriber.streamingPull();
      stream.on("error", () => {});
      let isAnswered = false;
      stream.on("data", () => {
        isAnswered = true;
      });
      stream.write({ subscription, streamAckDeadlineSeconds: 10, protocolVersion: 1 });
      await bench.pull(subscription);
      isAnswered = false;
      stream.write({});
      await until("the keepalive is answered", () => isAnswered).finally(() => stream.cancel());
    },
  },
  {
    title: "a retry policy keeps a message back, longer each time",
    gap: "brings it again at once to a pull",
    async run(bench) {
      const { topic, subscription } = await bench.createPair({
        retryPolicy: { minimumBackoff: { seconds: 1 }, maximumBackoff: { seconds: 10 } },
      });
      await bench.publish(topic, "x");
      for (const leastMs of [0, 900, 1_800]) {
        const startedAt = performance.now();
        await bench.modify(subscription, await bench.pullAll(subscription, 1), 0);
        assert.ok(performance.now() - startedAt >= leastMs);
      }
    },
  },
  {
    title: "a message that is given back too often goes to the dead-letter topic, with its story",
    async run(bench) {
      const deadLetterTopic = await bench.createTopic();
      const letters = await bench.createSubscription(deadLetterTopic);
      const { topic, subscription } = await bench.createPair({
        deadLetterPolicy: { deadLetterTopic, maxDeliveryAttempts: 5 },
      });
      await bench.publish(topic, { data: text("x"), attributes: { own: "1" } });
      for (let attempt = 1; attempt <= 5; attempt += 1) {
        const received = await bench.pullAll(subscription, 1);
        assert.equal(received[0]?.deliveryAttempt, attempt);
        await bench.modify(subscription, received, 0);
      }
      let letter: Received | undefined;
      await until("it is a letter", async () => {
        // The emulator lets go of it only when it is asked for once more.
        assert.deepEqual(await bench.pull(subscription), []);
        [letter] = await bench.pull(letters);
        return letter !== undefined;
      });
      const attributes = letter?.message?.attributes ?? {};
      assert.equal(letter && getText(letter), "x");
      assert.equal(attributes.own, "1");
      assert.equal(attributes.CloudPubSubDeadLetterSourceDeliveryCount, "5");
      const [, project, , name] = subscription.split("/");
      assert.equal(attributes.CloudPubSubDeadLetterSourceSubscription, name);
      assert.equal(attributes.CloudPubSubDeadLetterSourceSubscriptionProject, project);
      assert.ok(attributes.CloudPubSubDeadLetterSourceTopicPublishTime);
      await bench.expectNothing(subscription);
    },
  },
  {
    title: "messages of an ordering key come in order, and wait for one that is given back",
    gap: "goes on with the next one",
    async run(bench) {
      const { topic, subscription } = await bench.createPair({ enableMessageOrdering: true });
      const texts = Array.from({ length: 5 }, (_, index) => `m${index}`);
      await bench.publish(topic, ...texts.map((one) => ({ data: text(one), orderingKey: "k" })));
      const again = await bench.pullAll(subscription, 1);
      await bench.modify(subscription, again, 0);
      const seen: string[] = [];
      while (seen.length < texts.length) {
        const received = await bench.pullAll(subscription, 1);
        seen.push(...received.map(getText));
        await bench.acknowledge(subscription, received);
      }
      assert.deepEqual(seen, texts);
    },
  },
  {
    title: "a filter lets through what it says, and settles the rest",
    gap: "delivers everything, whatever the filter",
    async run(bench) {
      const topic = await bench.createTopic();
      const filters: [string, string[]][] = [
        ["attributes:lang", ["es", "en", "en-GB"]],
        ['attributes.lang = "en"', ["en"]],
        ['attributes.lang != "en"', ["es", "en-GB", "none"]],
        ['hasPrefix(attributes.lang, "en")', ["en", "en-GB"]],
        ["NOT attributes:lang", ["none"]],
        ['-attributes:lang OR attributes.lang = "es"', ["es", "none"]],
        ['attributes:lang AND NOT (attributes.lang = "es" OR attributes.lang="en")', ["en-GB"]],
        ['attributes."iana.org/x" = "y"', ["none"]],
      ];
      const subscriptions = await Promise.all(
        filters.map(([filter]) => bench.createSubscription(topic, { filter })),
      );
      for (const lang of ["es", "en", "en-GB"])
        await bench.publish(topic, { data: text(lang), attributes: { lang } });
      await bench.publish(topic, { data: text("none"), attributes: { "iana.org/x": "y" } });
      for (const [index, [filter, expected]] of filters.entries()) {
        const received = await bench.pullAll(subscriptions[index] as string, expected.length);
        assert.deepEqual(received.map(getText).sort(), expected.sort(), filter);
        await bench.expectNothing(subscriptions[index] as string);
      }
    },
  },
  {
    title: "a seek to the past brings back what was acknowledged, one to the future settles all",
    async run(bench) {
      const { topic, subscription } = await bench.createPair({}, RETENTION);
      await bench.publish(topic, "one", "two");
      await bench.acknowledge(subscription, await bench.pullAll(subscription, 2));
      const seekTo = (seconds: number) =>
        bench.subscriber.seek({ subscription, time: { seconds: Math.floor(seconds) } });
      await seekTo(Date.now() / 1_000 - 300);
      const again = await bench.pullAll(subscription, 2);
      assert.deepEqual(again.map(getText).sort(), ["one", "two"]);
      await bench.publish(topic, "not delivered yet");
      await seekTo(Date.now() / 1_000 + 300);
      await bench.modify(subscription, again, 0);
      await bench.expectNothing(subscription);
    },
  },
  {
    title: "a snapshot brings back what was not acknowledged then, and what came since",
    async run(bench) {
      const { topic, subscription } = await bench.createPair({}, RETENTION);
      await bench.publish(topic, "settled", "open");
      const received = await bench.pullAll(subscription, 2);
      await bench.acknowledge(
        subscription,
        received.filter((one) => getText(one) === "settled"),
      );
      const name = bench.name("snapshots");
      await bench.subscriber.createSnapshot({ name, subscription });
      await bench.publish(topic, "since");
      await bench.acknowledge(subscription, await bench.pullAll(subscription, 1));
      const other = await bench.createSubscription(topic);
      await bench.subscriber.seek({ subscription: other, snapshot: name });
      const restored = await bench.pullAll(other, 2);
      assert.deepEqual(restored.map(getText).sort(), ["open", "since"]);
      await bench.subscriber.deleteSnapshot({ snapshot: name });
      const seek = bench.subscriber.seek({ subscription, snapshot: name });
      await rejectsWith(CODES.notFound, seek);
    },
  },
];
