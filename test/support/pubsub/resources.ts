import assert from "node:assert/strict";
import { type Case, CODES, getText, rejectsWith } from "./bench.ts";

const DAY_SECONDS = 24 * 3_600;

/** Topics, subscriptions and snapshots as resources. */
export const resourceCases: Case[] = [
  {
    title: "a topic can be created, got, listed and deleted",
    async run(bench) {
      const topic = await bench.createTopic({ labels: { team: "data" } });
      const [got] = await bench.publisher.getTopic({ topic });
      assert.equal(got.name, topic);
      assert.deepEqual(got.labels, { team: "data" });
      const [all] = await bench.publisher.listTopics({ project: `projects/${bench.project}` });
      assert.ok(all.some(({ name }) => name === topic));
      await bench.publisher.deleteTopic({ topic });
      await rejectsWith(CODES.notFound, bench.publisher.getTopic({ topic }));
    },
  },
  {
    title: "creating a resource that exists is rejected with ALREADY_EXISTS",
    async run(bench) {
      const { topic, subscription: name } = await bench.createPair();
      await rejectsWith(CODES.alreadyExists, bench.publisher.createTopic({ name: topic }));
      await rejectsWith(CODES.alreadyExists, bench.subscriber.createSubscription({ name, topic }));
    },
  },
  {
    title: "a request for a resource that does not exist is rejected with NOT_FOUND",
    async run(bench) {
      const [topic, subscription] = [bench.name("topics"), bench.name("subscriptions")];
      const snapshot = bench.name("snapshots");
      const { publisher, subscriber } = bench;
      await rejectsWith(CODES.notFound, bench.publish(topic, "x"), "publish");
      await rejectsWith(CODES.notFound, publisher.deleteTopic({ topic }), "delete topic");
      await rejectsWith(CODES.notFound, bench.createSubscription(topic), "subscribe");
      await rejectsWith(CODES.notFound, bench.pull(subscription), "pull");
      await rejectsWith(CODES.notFound, subscriber.getSubscription({ subscription }), "get");
      await rejectsWith(CODES.notFound, subscriber.deleteSubscription({ subscription }), "delete");
      await rejectsWith(CODES.notFound, subscriber.deleteSnapshot({ snapshot }), "snapshot");
      const seek = bench.subscriber.seek({ subscription, time: { seconds: 1 } });
      await rejectsWith(CODES.notFound, seek, "seek");
    },
  },
  {
    title: "a name starts with a letter and has 3 to 255 of the allowed characters",
    async run(bench) {
      for (const last of ["1abc", "ab", "a".repeat(256), "a b", "ábc"]) {
        const name = `projects/${bench.project}/topics/${last}`;
        await rejectsWith(CODES.invalidArgument, bench.publisher.createTopic({ name }), last);
      }
      const name = `projects/${bench.project}/topics/x${"-._~+%Z9".repeat(31).slice(0, 254)}`;
      await bench.publisher.createTopic({ name });
      await bench.publisher.deleteTopic({ topic: name });
    },
  },
  {
    title: "a name does not start with goog",
    async run(bench) {
      const name = `projects/${bench.project}/topics/google`;
      await rejectsWith(CODES.invalidArgument, bench.publisher.createTopic({ name }));
    },
  },
  {
    title: "a subscription has production's defaults",
    async run(bench) {
      // A deadline of 0 is one that was not set.
      const { topic, subscription } = await bench.createPair({ ackDeadlineSeconds: 0 });
      const [got] = await bench.subscriber.getSubscription({ subscription });
      assert.equal(got.topic, topic);
      assert.equal(got.ackDeadlineSeconds, 10);
      assert.equal(Number(got.messageRetentionDuration?.seconds), 7 * DAY_SECONDS);
      assert.equal(got.pushConfig?.pushEndpoint, "");
    },
  },
  {
    title: "a subscription expires by default after 31 days of inactivity",
    gap: "has no default expiration policy",
    async run(bench) {
      const { subscription } = await bench.createPair();
      const [got] = await bench.subscriber.getSubscription({ subscription });
      assert.equal(Number(got.expirationPolicy?.ttl?.seconds), 31 * DAY_SECONDS);
    },
  },
  {
    title: "a subscription has the configuration that it was created with",
    async run(bench) {
      const deadLetterTopic = await bench.createTopic();
      const { subscription } = await bench.createPair({
        ackDeadlineSeconds: 30,
        deadLetterPolicy: { deadLetterTopic },
        expirationPolicy: {},
        filter: 'attributes.a = "b"',
        labels: { team: "data" },
        retryPolicy: { minimumBackoff: { seconds: 5 } },
      });
      const [got] = await bench.subscriber.getSubscription({ subscription });
      assert.equal(got.ackDeadlineSeconds, 30);
      assert.equal(got.deadLetterPolicy?.deadLetterTopic, deadLetterTopic);
      assert.equal(got.deadLetterPolicy?.maxDeliveryAttempts, 5);
      assert.equal(got.expirationPolicy?.ttl, null);
      assert.equal(got.filter, 'attributes.a = "b"');
      assert.deepEqual(got.labels, { team: "data" });
      assert.equal(Number(got.retryPolicy?.minimumBackoff?.seconds), 5);
      assert.equal(Number(got.retryPolicy?.maximumBackoff?.seconds), 600);
    },
  },
  {
    title: "an update changes only the fields in its mask",
    async run(bench) {
      const { subscription: name } = await bench.createPair({ labels: { a: "1" } });
      const subscription = { name, ackDeadlineSeconds: 60, labels: { b: "2" } };
      const update = (paths: string[]) =>
        bench.subscriber.updateSubscription({ subscription, updateMask: { paths } });
      const [updated] = await update(["ack_deadline_seconds"]);
      assert.equal(updated.ackDeadlineSeconds, 60);
      assert.deepEqual(updated.labels, { a: "1" });
      await rejectsWith(CODES.invalidArgument, update([]), "no mask");
      await rejectsWith(CODES.invalidArgument, update(["topic"]), "topic");
      await rejectsWith(CODES.invalidArgument, update(["nonsense"]), "nonsense");
    },
  },
  {
    title: "a filter cannot be changed",
    async run(bench) {
      const { subscription: name } = await bench.createPair({ filter: "attributes:a" });
      const update = bench.subscriber.updateSubscription({
        subscription: { name, filter: "attributes:b" },
        updateMask: { paths: ["filter"] },
      });
      await rejectsWith(CODES.invalidArgument, update);
    },
  },
  {
    title: "a topic's subscriptions and snapshots are listed, in pages",
    async run(bench) {
      const { topic, subscription } = await bench.createPair();
      const other = await bench.createSubscription(topic);
      const [names] = await bench.publisher.listTopicSubscriptions({ topic, pageSize: 1 });
      assert.deepEqual(new Set(names), new Set([subscription, other]));
      const name = bench.name("snapshots");
      await bench.subscriber.createSnapshot({ name, subscription });
      const [snapshots] = await bench.subscriber.listSnapshots({
        project: `projects/${bench.project}`,
      });
      assert.ok(snapshots.some((one) => one.name === name && one.topic === topic));
    },
  },
  {
    title: "a deleted topic's subscriptions and their messages remain",
    async run(bench) {
      const { topic, subscription } = await bench.createPair();
      await bench.publish(topic, "left");
      await bench.publisher.deleteTopic({ topic });
      const [got] = await bench.subscriber.getSubscription({ subscription });
      assert.equal(got.topic, "_deleted-topic_");
      const [received] = await bench.pullAll(subscription, 1);
      assert.equal(received && getText(received), "left");
    },
  },
  {
    title: "a detached subscription receives no messages and cannot be pulled",
    gap: "answers UNIMPLEMENTED to `DetachSubscription`",
    async run(bench) {
      const { topic, subscription } = await bench.createPair();
      await bench.publisher.detachSubscription({ subscription });
      await bench.publish(topic, "x");
      await rejectsWith(CODES.failedPrecondition, bench.pull(subscription));
      const [got] = await bench.subscriber.getSubscription({ subscription });
      assert.equal(got.detached, true);
    },
  },
];
