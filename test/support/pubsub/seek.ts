import assert from "node:assert/strict";
import { type Case, CODES, getText, rejectsWith } from "./bench.ts";

const RETENTION = { messageRetentionDuration: { seconds: 600 } };

/** Seeks to a time and to a snapshot. */
export const seekCases: Case[] = [
  {
    title:
      "a seek to a past time redelivers acknowledged messages; one to a future time acknowledges all",
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
    title:
      "a seek to a snapshot delivers what was unacknowledged then and what was published since",
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
