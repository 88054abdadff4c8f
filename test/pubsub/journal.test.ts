import assert from "node:assert/strict";
import {
  appendFileSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import { startLocalPubsub } from "../../local/local-pubsub.ts";
import { findAnyPort } from "../../local/ports.ts";
import { type Pubsub, startPubsub } from "../../local/pubsub/server.ts";
import { Bench, CODES, getText, rejectsWith } from "../support/pubsub/bench.ts";
import { until } from "../support/until.ts";

const RETENTION = { messageRetentionDuration: { seconds: 600 } };
const MEGABYTE = 1_000_000;

describe("a local Pub/Sub with a journal", () => {
  let folder: string;
  let journal: string;
  let pubsub: Pubsub | undefined;
  let bench: Bench;

  const start = async () => {
    pubsub = await startPubsub({ port: 0, folder });
    bench = await Bench.connect(pubsub.host);
  };
  const stop = async () => {
    if (!pubsub) return;
    await bench.close();
    await pubsub.stop();
    pubsub = undefined;
  };
  const restart = async () => {
    await stop();
    await start();
  };

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), "constancia-journal-"));
    journal = join(folder, "journal.jsonl");
    await start();
  });
  afterEach(async () => {
    await stop();
    rmSync(folder, { recursive: true });
  });

  it("keeps unacknowledged messages over a restart, and no others", async () => {
    const { topic, subscription } = await bench.createPair();
    const ids = await bench.publish(topic, "settled", "open", "held");
    const received = await bench.pullAll(subscription, 3);
    await bench.acknowledge(
      subscription,
      received.filter((one) => getText(one) === "settled"),
    );
    for (let round = 0; round < 2; round += 1) {
      await restart();
      const again = await bench.pullAll(subscription, 2);
      assert.deepEqual(again.map(getText).sort(), ["held", "open"]);
      assert.ok(again.every(({ message }) => ids.includes(message?.messageId ?? "")));
      await bench.expectNothing(subscription);
    }
    const [next] = await bench.publish(topic, "next");
    assert.ok(!ids.includes(next ?? ""));
  });

  it("accepts an ack ID from before a restart, and rejects one of a deleted subscription", async () => {
    const { topic, subscription } = await bench.createPair();
    await bench.publish(topic, "x");
    const received = await bench.pullAll(subscription, 1);
    await restart();
    await bench.modify(subscription, received, 0);
    await bench.acknowledge(subscription, received);
    await bench.expectNothing(subscription);

    await bench.publish(topic, "y");
    const old = await bench.pullAll(subscription, 1);
    await bench.subscriber.deleteSubscription({ subscription });
    await bench.subscriber.createSubscription({ name: subscription, topic });
    await bench.publish(topic, "z");
    await rejectsWith(CODES.invalidArgument, bench.acknowledge(subscription, old));
    assert.deepEqual((await bench.pullAll(subscription, 1)).map(getText), ["z"]);
  });

  it("keeps resources over a restart", async () => {
    const deadLetterTopic = await bench.createTopic();
    const { topic, subscription } = await bench.createPair({
      deadLetterPolicy: { deadLetterTopic },
      filter: "attributes:a",
      labels: { a: "b" },
    });
    const gone = await bench.createPair();
    const detached = await bench.createSubscription(topic);
    await bench.subscriber.deleteSubscription({ subscription: gone.subscription });
    await bench.publisher.deleteTopic({ topic: gone.topic });
    await bench.publisher.detachSubscription({ subscription: detached });
    await bench.subscriber.updateSubscription({
      subscription: { name: subscription, ackDeadlineSeconds: 77 },
      updateMask: { paths: ["ack_deadline_seconds"] },
    });
    const describe = async () => ({
      topics: (await bench.publisher.listTopics({ project: "projects/conformance" }))[0],
      subscriptions: (
        await bench.subscriber.listSubscriptions({ project: "projects/conformance" })
      )[0],
    });
    const before = await describe();
    await restart();
    assert.deepEqual(await describe(), before);
    await bench.publish(topic, "no", { attributes: { a: "1" } });
    assert.equal((await bench.pullAll(subscription, 1)).length, 1);
    await bench.expectNothing(subscription);
  });

  it("keeps snapshots, and the state of a subscription after a seek", async () => {
    const { topic, subscription } = await bench.createPair({}, RETENTION);
    await bench.publish(topic, "one", "two");
    const snapshot = bench.name("snapshots");
    await bench.subscriber.createSnapshot({ name: snapshot, subscription });
    await bench.acknowledge(subscription, await bench.pullAll(subscription, 2));
    await restart();
    await bench.publish(topic, "three");
    await bench.subscriber.seek({ subscription, snapshot });
    await restart();
    const again = await bench.pullAll(subscription, 3);
    assert.deepEqual(again.map(getText).sort(), ["one", "three", "two"]);
  });

  it("ignores a last line that was cut off, and refuses a malformed line", async () => {
    const { topic, subscription } = await bench.createPair();
    await bench.publish(topic, "x");
    await stop();
    appendFileSync(journal, '{"kind":"published","topic":"projects/conformance/to');
    await start();
    await bench.publish(topic, "y");
    await restart();
    assert.deepEqual((await bench.pullAll(subscription, 2)).map(getText).sort(), ["x", "y"]);
    await stop();
    writeFileSync(journal, `{"kind":\n${readFileSync(journal, "utf8")}`);
    await assert.rejects(start(), /journal .* cannot be read .*line 1/);
  });

  it("does not grow with acknowledged messages", async () => {
    const { topic, subscription } = await bench.createPair();
    for (let round = 0; round < 100; round += 1) {
      await bench.publish(topic, { data: Buffer.alloc(MEGABYTE) });
      await bench.acknowledge(subscription, await bench.pullAll(subscription, 1));
    }
    await bench.publish(topic, "left");
    assert.ok(statSync(journal).size < 80 * MEGABYTE, "while it runs");
    await restart();
    assert.ok(statSync(journal).size < 10_000, "at the start");
    assert.deepEqual((await bench.pullAll(subscription, 1)).map(getText), ["left"]);
  });

  it("keeps its key, so that tokens stay valid", async () => {
    const read = async () => (await fetch(`${pubsub?.controlUrl}/certs`)).json();
    const before = await read();
    await restart();
    assert.deepEqual(await read(), before);
    assert.equal(statSync(join(folder, "key.pem")).mode & 0o777, 0o600);
  });

  it("keeps every message whose id it returned, also when it is killed", async () => {
    const port = await findAnyPort();
    const options = { port, folder: join(folder, "killed"), logFile: join(folder, "log") };
    const say = () => {};
    const accepted = new Set<string>();
    let kill = async () => {};
    const first = await startLocalPubsub({
      ...options,
      say,
      onStart: ({ kill: killNow, exited }) => {
        kill = async () => {
          killNow();
          await exited;
        };
      },
    });
    const own = await Bench.connect(first.host);
    const { topic, subscription } = await own.createPair();
    const publishing = Array.from({ length: 4 }, async () => {
      for (;;) for (const id of await own.publish(topic, ...Array(50).fill("x"))) accepted.add(id);
    });
    const allFailed = Promise.allSettled(publishing);
    await until("thousands are accepted", () => accepted.size > 5_000);
    await kill();
    await allFailed;
    await own.close();

    const second = await startLocalPubsub({ ...options, say });
    const after = await Bench.connect(second.host);
    const seen = new Set<string>();
    await after.stream(
      subscription,
      {},
      (message) => {
        seen.add(message.id);
        message.ack();
      },
      () => until("all have come", () => accepted.isSubsetOf(seen)),
    );
    await after.close();
    await second.stop();
  });
});
