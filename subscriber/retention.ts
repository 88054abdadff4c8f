import type { Collection } from "../common/collection.ts";
import { type Pool, query, withConnection } from "../common/database.ts";
import { DAY_MS } from "../common/limits.ts";
import { toDateTime } from "../common/tables.ts";
import type { Logger } from "../common/telemetry/logger.ts";
import { getLowestIdAt } from "../common/write-id.ts";

const SWEEP_INTERVAL_MS = 60 * 60 * 1000;
/** Rows in one DELETE: few, so that settling hardly waits for their locks. */
const SWEEP_ROWS = 1_000;
/** In SQL. A lock belongs to the server, so its name contains that of the database; 64 characters at most. */
export const LOCK_NAME = "LEFT(CONCAT(DATABASE(), ' retention'), 64)";

/** Sweeps now and every hour until `stop` aborts. */
export function startRetention(options: {
  pool: Pool;
  collections: readonly Collection[];
  retentionDays: number;
  logger: Logger;
  stop: AbortSignal;
}): void {
  const { logger, stop } = options;
  const run = () =>
    sweep(options).then(
      (rows) => rows > 0 && logger.info("deleted rows past their retention", { rows }),
      (error) =>
        logger.warn("the retention sweep failed; it runs again in an hour", { code: error.code }),
    );
  const timer = setInterval(run, SWEEP_INTERVAL_MS);
  timer.unref();
  stop.addEventListener("abort", () => clearInterval(timer));
  void run();
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
  return withConnection(pool, async (connection) => {
    const lock = await query(connection, `SELECT GET_LOCK(${LOCK_NAME}, 0) AS held`);
    if (lock[0]?.held !== 1) return 0;
    let rows = 0;
    const failures: unknown[] = [];
    const deleteAll = async (sql: string, value: string) => {
      for (let swept = SWEEP_ROWS; swept === SWEEP_ROWS && !stop?.aborted; rows += swept) {
        const result: unknown = await query(connection, `${sql} LIMIT ${SWEEP_ROWS}`, [value]);
        swept = (result as { affectedRows: number }).affectedRows;
      }
    };
    const sweepAll = (sql: string, value: string) =>
      deleteAll(sql, value).catch((error) => failures.push(error));
    await sweepAll("DELETE FROM writes WHERE id < ? ORDER BY id", getLowestIdAt(cutoffMs));
    await sweepAll(
      "DELETE FROM dead_letters WHERE last_seen < ? ORDER BY last_seen",
      toDateTime(cutoffMs),
    );
    await sweepAll(
      "DELETE FROM waiting WHERE first_judged < ? ORDER BY first_judged",
      toDateTime(cutoffMs),
    );
    for (const { name } of collections)
      await sweepAll(
        `DELETE FROM \`${name}\` WHERE deleted_at < ? ORDER BY deleted_at`,
        toDateTime(cutoffMs),
      );
    if (failures.length > 0) throw failures[0];
    await query(connection, `SELECT RELEASE_LOCK(${LOCK_NAME})`);
    return rows;
  });
}
