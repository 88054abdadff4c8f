import type { Collection } from "../common/collection.ts";
import { type Pool, query } from "../common/database.ts";
import { toDateTime } from "../common/date-times.ts";
import { sweepTombstones } from "../common/feeds.ts";
import { DAY_MS } from "../common/limits.ts";
import { withNamedLock } from "../common/named-lock.ts";
import type { Logger } from "../common/telemetry/logger.ts";
import { getLowestIdAt } from "../common/write-id.ts";

const SWEEP_INTERVAL_MS = 60 * 60 * 1000;
/** Rows in one DELETE: few, so that settling hardly waits for their locks. */
const SWEEP_ROWS = 1_000;

/**
 * Sweeps now and every hour until `stop` aborts. On App Engine, cron.yaml does so, too: no instance may
 * run for an hour. Returns a sweep that logs, and resolves to whether it succeeded.
 */
export function startRetention(options: {
  pool: Pool;
  collections: readonly Collection[];
  retentionDays: number;
  logger: Logger;
  stop: AbortSignal;
}): () => Promise<boolean> {
  const { logger, stop } = options;
  const run = async () => {
    try {
      const rows = await sweep(options);
      if (rows > 0) logger.info("deleted rows past their retention", { rows });
      return true;
    } catch (error) {
      const { code } = error as { code?: string };
      logger.warn("the retention sweep failed; it runs again in an hour", { code });
      return false;
    }
  };
  const timer = setInterval(run, SWEEP_INTERVAL_MS);
  timer.unref();
  stop.addEventListener("abort", () => clearInterval(timer));
  void run();
  return run;
}

/**
 * Deletes receipts in `writes`, dead letters (replayed or not), waits and tombstones, older than
 * `retentionDays`, in small steps along an index. A table that fails does not keep the others from
 * being swept. Returns the number of rows; 0 if another subscriber is sweeping.
 */
export async function sweep(options: {
  pool: Pool;
  collections: readonly Collection[];
  retentionDays: number;
  stop?: AbortSignal;
}): Promise<number> {
  const { pool, collections, retentionDays, stop } = options;
  const cutoffMs = Date.now() - retentionDays * DAY_MS;
  const swept = await withNamedLock(pool, "retention", async (connection) => {
    let rows = 0;
    const failures: unknown[] = [];
    const deleteAll = async (sql: string, values: readonly string[]) => {
      for (let swept = SWEEP_ROWS; swept === SWEEP_ROWS && !stop?.aborted; rows += swept) {
        const result: unknown = await query(connection, `${sql} LIMIT ${SWEEP_ROWS}`, values);
        swept = (result as { affectedRows: number }).affectedRows;
      }
    };
    const sweepAll = (sql: string, ...values: string[]) =>
      deleteAll(sql, values).catch((error) => failures.push(error));
    const sweepFeed = async (collection: Collection) => {
      const step = { cutoffMs, limit: SWEEP_ROWS };
      for (let swept = SWEEP_ROWS; swept === SWEEP_ROWS && !stop?.aborted; rows += swept)
        swept = await sweepTombstones(connection, collection, step);
    };
    const cutoff = toDateTime(cutoffMs);
    // The id of an expire has the time of the version that it ended.
    await sweepAll(
      "DELETE FROM writes WHERE id < ? AND settled_at < ? ORDER BY id",
      getLowestIdAt(cutoffMs),
      cutoff,
    );
    await sweepAll("DELETE FROM dead_letters WHERE last_seen < ? ORDER BY last_seen", cutoff);
    await sweepAll("DELETE FROM waiting WHERE first_judged < ? ORDER BY first_judged", cutoff);
    // By when it was applied, which no client's clock has set; the index is of `deleted_at`.
    for (const collection of collections)
      if (collection.feed) await sweepFeed(collection).catch((error) => failures.push(error));
      else
        await sweepAll(
          `DELETE FROM \`${collection.name}\` WHERE deleted_at < ? AND applied_at < ? ORDER BY deleted_at`,
          cutoff,
          cutoff,
        );
    if (failures.length > 0) throw failures[0];
    return rows;
  });
  return swept ?? 0;
}
