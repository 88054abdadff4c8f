import assert from "node:assert/strict";
import test, { type TestContext } from "node:test";
import { Broker } from "./broker.ts";
import { Faults } from "./faults.ts";
import { NO_JOURNAL } from "./journal.ts";
import { TokenSigner } from "./tokens.ts";
import { encodeMessage, type SubscriptionConfig, type TopicConfig } from "./wire.ts";

const TOPIC = "projects/p/topics/t";
const SUBSCRIPTION = "projects/p/subscriptions/s";
const MINUTE_MS = 60_000;
const MEGABYTE = 1_000_000;

/** A broker with a topic and its subscription, on a clock that does not run. */
function mockBroker(context: TestContext, config: SubscriptionConfig, topicConfig: TopicConfig) {
  context.mock.timers.enable({ apis: ["setInterval", "Date"], now: Date.now() });
  const broker = new Broker({ faults: new Faults(), signer: new TokenSigner() });
  broker.start(NO_JOURNAL);
  context.after(() => broker.stop());
  broker.resources.apply({ kind: "topic", topic: { name: TOPIC, ...topicConfig } });
  broker.resources.apply({
    kind: "subscription",
    config: { name: SUBSCRIPTION, topic: TOPIC, ...config },
    uid: "u",
    createdAtMs: Date.now(),
  });
  const subscription = broker.resources.findSubscription(SUBSCRIPTION);
  const publish = (data = Buffer.from("x")) => broker.publish(TOPIC, [encodeMessage({ data })]);
  const settleAll = () => subscription.settle(subscription.backlog.map(({ id }) => id));
  return { broker, subscription, publish, settleAll };
}

const TEN_MINUTES = { messageRetentionDuration: { seconds: 600 } };

test("an unacknowledged message is deleted after the subscription's retention", async (context) => {
  const { subscription, publish } = mockBroker(context, TEN_MINUTES, {});
  await publish();
  context.mock.timers.tick(5 * MINUTE_MS);
  await publish();
  context.mock.timers.tick(6 * MINUTE_MS);
  assert.equal(subscription.backlogSize, 1);
  context.mock.timers.tick(5 * MINUTE_MS);
  assert.equal(subscription.backlogSize, 0);
});

test("what a topic retains is deleted after its retention", async (context) => {
  const { broker, subscription, publish, settleAll } = mockBroker(context, {}, TEN_MINUTES);
  await publish();
  context.mock.timers.tick(5 * MINUTE_MS);
  await publish();
  settleAll();
  context.mock.timers.tick(6 * MINUTE_MS);
  await broker.seekToTime(subscription, 0);
  assert.equal(subscription.backlogSize, 1);
});

test("a subscription that retains what is acknowledged gets it back, another does not", async (context) => {
  const retaining = { ...TEN_MINUTES, retainAckedMessages: true };
  for (const [config, expected] of [
    [retaining, 1],
    [TEN_MINUTES, 0],
  ] as const) {
    const { broker, subscription, publish, settleAll } = mockBroker(context, config, {});
    await publish();
    settleAll();
    await broker.seekToTime(subscription, 0);
    assert.equal(subscription.backlogSize, expected);
    context.mock.timers.reset();
  }
});

test("a topic retains no more than 64 MiB, the newest", async (context) => {
  const { broker, subscription, publish, settleAll } = mockBroker(context, {}, TEN_MINUTES);
  const ids: string[] = [];
  for (let count = 0; count < 80; count += 1)
    ids.push(...(await publish(Buffer.alloc(MEGABYTE, count))));
  settleAll();
  await broker.seekToTime(subscription, 0);
  const kept = subscription.backlog.map(({ id }) => id);
  assert.ok(kept.length >= 55 && kept.length <= 67, String(kept.length));
  assert.deepEqual(kept, ids.slice(-kept.length));
});

test("a snapshot is deleted after seven days", async (context) => {
  const { broker } = mockBroker(context, {}, {});
  const expireTime = { seconds: Math.floor(Date.now() / 1_000) + 120 };
  await broker.commitSnapshot({ name: "projects/p/snapshots/s", topic: TOPIC, expireTime }, []);
  context.mock.timers.tick(MINUTE_MS);
  assert.equal(broker.resources.snapshots.size, 1);
  context.mock.timers.tick(2 * MINUTE_MS);
  assert.equal(broker.resources.snapshots.size, 0);
});

test("a publish is answered, and a change, once it is in the journal", async (context) => {
  const { broker, publish, subscription } = mockBroker(context, {}, {});
  let write = Promise.withResolvers<void>();
  broker.start({ append: () => {}, written: () => write.promise, close: async () => {} });
  const works = [
    () => publish(),
    () => broker.commit({ kind: "topic", topic: { name: `${TOPIC}-2` } }),
    () => broker.commitSnapshot({ name: "projects/p/snapshots/s", topic: TOPIC }, []),
    () => broker.seekToTime(subscription, 0),
  ];
  for (const work of works) {
    write = Promise.withResolvers();
    let isAnswered = false;
    const done = work().then(() => {
      isAnswered = true;
    });
    await new Promise(setImmediate);
    assert.ok(!isAnswered, String(work));
    write.resolve();
    await done;
  }
});
