import { Gauge, type Registry } from "prom-client";
import type { Write } from "../common/write.ts";
import type { Reader } from "./reader.ts";

/**
 * Follows the writes that this process accepted until they are settled, for metrics that are right
 * even while no subscriber runs. To cost little, it follows only the last write of each second, and
 * queries MySQL only when the metrics are read.
 */
export type Freshness = {
  /** To be called with the writes that Pub/Sub holds. */
  accepted(writes: readonly Write[]): void;
};

/** The writes that were accepted within one second. */
type Second = { number: number; oldestAt: number; last: Write; count: number };

const SECOND_MS = 1_000;
/** At most this many are followed: an hour in which nothing settles. After that, the oldest are dropped. */
const MAX_SECONDS = 3_600;
/** Receipts that one query reads, oldest first; the rest is for the next query. */
const LOOK_SECONDS = 100;

/** Makes the three gauges, which look for receipts when they are collected. */
export function createFreshness(registers: Registry[], reader: Reader): Freshness {
  let seconds: Second[] = [];
  let lagSeconds = 0;
  let looking: Promise<void> | undefined;

  new Gauge({
    name: "constancia_unsettled_writes",
    help: "Writes accepted by this process and not known to be settled, by the second.",
    registers,
    async collect() {
      await look();
      this.set(seconds.reduce((sum, { count }) => sum + count, 0));
    },
  });
  new Gauge({
    name: "constancia_oldest_unsettled_write_seconds",
    help: "Age of the oldest of them; 0 where there is none.",
    registers,
    async collect() {
      await look();
      const [oldest] = seconds;
      this.set(oldest ? (Date.now() - oldest.oldestAt) / SECOND_MS : 0);
    },
  });
  new Gauge({
    name: "constancia_watched_lag_seconds",
    help: "The lag of the newest write that this process has seen settled.",
    registers,
    async collect() {
      await look();
      this.set(lagSeconds);
    },
  });
  return { accepted };

  function accepted(writes: readonly Write[]): void {
    for (const write of writes) {
      const number = Math.floor(write.acceptedAt / SECOND_MS);
      const newest = seconds.at(-1);
      if (newest?.number === number) {
        newest.last = write;
        newest.count += 1;
      } else {
        seconds.push({ number, oldestAt: write.acceptedAt, last: write, count: 1 });
        if (seconds.length > MAX_SECONDS) seconds.shift();
      }
    }
  }

  /** One look serves all three. While MySQL is away, nothing more is known to be settled. */
  function look(): Promise<void> {
    looking ??= forgetSettled()
      .catch(() => {})
      .finally(() => {
        looking = undefined;
      });
    return looking;
  }

  /** Settling keeps no order, so each is looked up; within a second the last represents all. */
  async function forgetSettled(): Promise<void> {
    const asked = seconds.slice(0, LOOK_SECONDS);
    const settled = new Set<Second>();
    await Promise.all(
      asked.map(async (second) => {
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
