import assert from "node:assert/strict";
import { until } from "../until.ts";
import { type Case, CODES, getText, type Received, rejectsWith, text } from "./bench.ts";

/** What a subscription delivers and redelivers, when, and in which order. */
export const deliveryCases: Case[] = [
  {
    title:
      "a message is delivered as it was published, and is not redelivered once it is acknowledged",
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
    title: "a message is delivered to each subscription that existed when it was published",
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
    title: "a pull returns at most maxMessages, and outstanding messages are not redelivered",
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
    title: "a nacked message is redelivered with another ack ID",
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
    title: "an ack ID of another subscription is rejected",
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
    title: "a message is redelivered after its ack deadline, and not before an extended one",
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
    title: "a retry policy delays redelivery by exponential backoff",
    gap: "redelivers to a pull without delay",
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
    title:
      "a message that is nacked maxDeliveryAttempts times is forwarded to the dead-letter topic",
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
      await until("it is forwarded", async () => {
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
    title: "messages with an ordering key are delivered in order, also when one is nacked",
    gap: "delivers the next one after a nack",
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
    title: "a filter delivers the messages that match, and acknowledges the others",
    gap: "delivers all messages",
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
];
