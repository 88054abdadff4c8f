import type { Collection } from "../../common/collection.ts";
import { type Columns, inTransaction, type Pool, query } from "../../common/database.ts";
import { fromDateTime, fromNullableDateTime } from "../../common/date-times.ts";
import { FEED_RESTORE_GAP } from "../../common/limits.ts";
import { getSql } from "../../common/tables.ts";
import type { DatabaseState } from "./plan.ts";

/** Receipts that are looked at for the newest one; ids are of the acceptance, not the settlement. */
const NEWEST_RECEIPTS = 1_000;

/** Reads what the plan needs, by indexes only. */
export async function readDatabase(
  pool: Pool,
  collections: readonly Collection[],
): Promise<DatabaseState> {
  const [counts] = (await query(
    pool,
    "SELECT UTC_TIMESTAMP(3) AS now, (SELECT COUNT(*) FROM feeds) AS feeds," +
      " (SELECT COUNT(*) FROM waiting) AS waiting, (SELECT MAX(settled_at) FROM" +
      ` (SELECT settled_at FROM writes ORDER BY id DESC LIMIT ${NEWEST_RECEIPTS}) AS newest) AS settled`,
  )) as [Columns];
  const settled = [fromNullableDateTime(counts.settled)];
  for (const collection of collections) {
    const { table } = getSql(collection);
    const order = collection.feed ? "position" : "created_at";
    const condition = collection.feed ? "" : " WHERE deleted_at IS NULL";
    // Where only owners read, there is no index of all items by their creation.
    if (collection.reads === "owner" && !collection.feed) continue;
    const sql = `SELECT applied_at FROM ${table}${condition} ORDER BY ${order} DESC LIMIT 1`;
    const [row] = await query(pool, sql);
    settled.push(fromNullableDateTime(row?.applied_at));
  }
  const times = settled.filter((ms) => ms !== null);
  return {
    nowMs: fromDateTime(String(counts.now)),
    settledAtMs: times.length > 0 ? Math.max(...times) : undefined,
    feeds: Number(counts.feeds),
    waiting: Number(counts.waiting),
  };
}

/**
 * Prepares the restored database for what is delivered again, in one transaction.
 *
 * Positions of feeds that were given in the lost time would be given anew to other changes: the new
 * epoch makes all places of readers invalid, and the gap keeps cursors of lists, which are positions
 * too, before all that is created from now on. What has waited for another write was noted before
 * that write was lost, so its time begins anew.
 */
export function beginAnew(pool: Pool): Promise<void> {
  return inTransaction(pool, async (connection) => {
    const sql = "UPDATE feeds SET epoch = UUID(), position = position + ?";
    await query(connection, sql, [FEED_RESTORE_GAP]);
    await query(connection, "DELETE FROM waiting");
  });
}
