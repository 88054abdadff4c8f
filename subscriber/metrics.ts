import { Counter, Gauge, Histogram } from "prom-client";
import { type Pool, query, withConnection } from "../common/database.ts";
import { READ_DEADLINE_MS } from "../common/limits.ts";
import type { Metrics } from "../common/telemetry/metrics.ts";
import type { SettledWrite } from "./settle.ts";

/** From a healthy lag of some milliseconds to an hour of backlog. */
const LAG_BUCKETS_SECONDS = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 3600];
/** Counting dead letters reads all of them, so they are counted at most this often. */
const COUNT_DEAD_LETTERS_MS = 15_000;

/** Registers the subscriber's metrics; returns the function that records settled writes. */
export function createSubscriberMetrics(
  { registry }: Metrics,
  pool: Pool,
): (writes: readonly SettledWrite[]) => void {
  const registers = [registry];
  const settled = new Counter({
    name: "constancia_writes_settled_total",
    help: "Writes whose outcome is committed.",
    labelNames: ["collection", "outcome"],
    registers,
  });
  const lag = new Histogram({
    name: "constancia_write_lag_seconds",
    help: "From acceptance to settlement, stamped after the commit.",
    buckets: LAG_BUCKETS_SECONDS,
    registers,
  });
  let countedAt = Number.NEGATIVE_INFINITY;
  new Gauge({
    name: "constancia_open_dead_letters",
    help: "Dead letters that were not replayed.",
    registers,
    async collect() {
      if (Date.now() - countedAt < COUNT_DEAD_LETTERS_MS) return;
      countedAt = Date.now();
      // If MySQL does not answer, the gauge keeps the last count.
      const sql = "SELECT COUNT(*) AS open FROM dead_letters WHERE replayed_at IS NULL";
      const rows = await withConnection(pool, (connection) => query(connection, sql), {
        deadlineMs: READ_DEADLINE_MS,
      }).catch(() => []);
      if (rows[0]) this.set(Number(rows[0].open));
    },
  });
  return (writes) => {
    for (const [collection, own] of Map.groupBy(writes, (write) => write.collection))
      for (const [outcome, { length }] of Map.groupBy(own, (write) => write.outcome))
        settled.inc({ collection, outcome }, length);
    for (const { lagMs } of writes) lag.observe(Math.max(0, lagMs) / 1_000);
  };
}
