import { Gauge, type Registry } from "prom-client";
import type { Write } from "../common/write.ts";
import type { Reader } from "./reader.ts";

/**
 * Tracks accepted writes until they settle, so that the backlog is visible while the subscriber is
 * down. It samples one write per second, the last, and queries MySQL only when the metrics are read.
 */
type Freshness = {
  /** To be called with the writes that Pub/Sub holds. */
  accepted(writes: readonly Write[]): void;
};

/** The writes that were accepted within one second. */
type Second = { number: number; oldestAt: number; last: WriteKey; count: number };

/** What finds a write's receipt; the write itself would keep its item in memory. */
type WriteKey = Pick<Write, "collection" | "itemId" | "id">;

const SECOND_MS = 1_000;
/** At most this many seconds are tracked: an hour in which nothing settles. After that, the oldest are dropped. */
const MAX_SECONDS = 3_600;
/** Receipts that one query reads, oldest first; the rest is for the next query. */
const SAMPLES_PER_QUERY = 100;

/** Creates the three gauges, which query the receipts when they are collected. */
export function createFreshness(registers: Registry[], reader: Reader): Freshness {
  let seconds: Second[] = [];
  let lagSeconds = 0;
  let update: Promise<void> | undefined;

  new Gauge({
    name: "constancia_unsettled_writes",
    help: "Writes accepted by this process and not known to be settled, by the second.",
    registers,
    async collect() {
      await updateOnce();
      this.set(seconds.reduce((sum, { count }) => sum + count, 0));
    },
  });
  new Gauge({
    name: "constancia_oldest_unsettled_write_seconds",
    help: "Age of the oldest of them; 0 where there is none.",
    registers,
    async collect() {
      await updateOnce();
      const [oldest] = seconds;
      this.set(oldest ? (Date.now() - oldest.oldestAt) / SECOND_MS : 0);
    },
  });
  new Gauge({
    name: "constancia_watched_lag_seconds",
    help: "The lag of the newest write that this process has seen settled.",
    registers,
    async collect() {
      await updateOnce();
      this.set(lagSeconds);
    },
  });
  return { accepted };

  function accepted(writes: readonly Write[]): void {
    for (const write of writes) {
      const number = Math.floor(write.acceptedAt / SECOND_MS);
      const newest = seconds.at(-1);
      if (newest?.number === number) {
        newest.last = toKey(write);
        newest.count += 1;
      } else {
        seconds.push({ number, oldestAt: write.acceptedAt, last: toKey(write), count: 1 });
        if (seconds.length > MAX_SECONDS) seconds.shift();
      }
    }
  }

  /** One query serves all three gauges. While MySQL is away, the samples stay as they are. */
  function updateOnce(): Promise<void> {
    update ??= removeSettled()
      .catch(() => {})
      .finally(() => {
        update = undefined;
      });
    return update;
  }

  /** Settling keeps no order, so each is looked up; within a second the last represents all. */
  async function removeSettled(): Promise<void> {
    const queried = seconds.slice(0, SAMPLES_PER_QUERY);
    const settled = new Set<Second>();
    await Promise.all(
      queried.map(async (second) => {
        const { collection, itemId, id } = second.last;
        const { receipt } = await reader.receipt(collection, itemId, id);
        if (!receipt || second.last.id !== id) return;
        lagSeconds = Math.max(0, receipt.settledAt - receipt.acceptedAt) / SECOND_MS;
        settled.add(second);
      }),
    );
    if (settled.size > 0) seconds = seconds.filter((second) => !settled.has(second));
  }
}

function toKey({ collection, itemId, id }: Write): WriteKey {
  return { collection, itemId, id };
}
