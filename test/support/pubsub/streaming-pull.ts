import assert from "node:assert/strict";
import { Duration, type Message } from "@google-cloud/pubsub";
import { until } from "../until.ts";
import { type Case, CODES, type Received } from "./bench.ts";

/** Streaming pulls: delivery, flow control, keepalives and their end. */
export const streamingPullCases: Case[] = [
  {
    title: "a streaming pull delivers every message",
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
        await until("all are delivered", () => seen.size === 1_000);
      });
      await bench.expectNothing(subscription);
    },
  },
  {
    title: "the client's flow control limits the outstanding messages of a streaming pull",
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
        await until("all are delivered, five by five", () => {
          if (held.length === 5) for (const message of held.splice(0)) message.ack();
          return count === 50;
        });
        for (const message of held) message.ack();
      });
      assert.equal(most, 5);
    },
  },
  {
    title: "a streaming pull has no more outstanding messages than its first request allows",
    gap: "delivers all messages, and leaves the limit to the client",
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
        await until(`${expected} are delivered`, () => ackIds.length >= expected);
        // Nothing else asks for messages: what could have been streamed has been by now.
        await bench.expectNothing(await bench.createSubscription(topic));
        assert.equal(ackIds.length, expected);
        stream.write({ ackIds: ackIds.slice(-5) });
      }
      stream.cancel();
    },
  },
  {
    title: "a message nacked on a streaming pull is redelivered to another pull",
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
        until("it is delivered", () => nacked !== ""),
      );
      const [received] = await bench.pullAll(subscription, 1);
      assert.equal(received?.message?.messageId, nacked);
    },
  },
  {
    title: "a streaming pull ends with NOT_FOUND when its subscription is deleted",
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
    title: "a streaming pull of protocol version 1 receives responses to its keepalives",
    gap: "sends none, so that the client reopens the stream",
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
];
