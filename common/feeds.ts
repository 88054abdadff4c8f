import type { Collection } from "./collection.ts";
import { type Columns, type Connection, type PoolConnection, query } from "./database.ts";
import { classifyDatabaseError, FeedLockedError } from "./database-faults.ts";
import { toDateTime } from "./date-times.ts";
import { OWNER_COLUMN } from "./owner-field.ts";
import { queryEach } from "./streamed-query.ts";
import { getSql, type Row, toRow } from "./tables.ts";

/**
 * Takes the next `count` positions of a collection's feed, and returns the one before them.
 *
 * The statement locks the counter until the transaction ends. So the positions of a transaction that
 * commits later are higher than all that are committed already, and a reader who has seen one has seen
 * every lower one that there will ever be. Call it after all rows of the batch are locked and before any
 * is written: then whoever waits for a row never holds a counter. Of several collections, take those
 * whose names come first.
 */
export async function takePositions(
  connection: Connection,
  collection: Collection,
  count: number,
): Promise<number> {
  const sql = "UPDATE feeds SET position = LAST_INSERT_ID(position + ?) WHERE collection = ?";
  const result: unknown = await query(connection, sql, [count, collection.name]).catch((error) => {
    throw classifyDatabaseError(error) === "locked" ? new FeedLockedError(collection.name) : error;
  });
  const { affectedRows, insertId } = result as { affectedRows: number; insertId: number };
  if (affectedRows !== 1) throw new Error(`The table feeds has no row of ${collection.name}.`);
  return insertId - count;
}

/** What a feed's counter says: the last position that was given, and the highest that was swept. */
export type FeedState = { epoch: string; head: number; swept: number };

/** After which change, how many, and whose alone. */
export type ChangesRange = {
  position: number;
  id: string;
  limit: number;
  owner?: string | undefined;
};

const STATE = "epoch AS `feed.epoch`, position AS `feed.head`, swept AS `feed.swept`";

/**
 * Selects changes after a place, in the order of their positions, and hands over each row, tombstones too,
 * until `take` returns false. Resolves to the feed's state.
 *
 * The state is of the rows' own snapshot: it is one statement. Where no row comes there is no tombstone
 * after the place, so that what was swept after it was swept before this read, and a later look will do.
 * An expired row comes as it stands, since its version and its place are those of the item; its end is
 * a change when it is swept.
 */
export async function selectChanges(
  connection: PoolConnection,
  collection: Collection,
  { position, id, limit, owner }: ChangesRange,
  take: (row: Row) => boolean,
): Promise<FeedState> {
  const { table, reads } = getSql(collection);
  const own = owner === undefined ? [] : [owner];
  const isOwn = owner === undefined ? "" : `${OWNER_COLUMN} = ? AND `;
  let state: FeedState | undefined;
  await queryEach(
    connection,
    // The state's names have a dot, so that no column has one of them. A LEFT JOIN would sort all rows.
    `SELECT /*+ INDEX(${table} changes) */ \`feed.epoch\`, \`feed.head\`, \`feed.swept\`, ${reads}` +
      ` FROM (SELECT ${STATE} FROM feeds WHERE collection = ?) AS feed, ${table}` +
      ` WHERE ${isOwn}position >= ? AND (position > ? OR id > ?) ORDER BY position, id LIMIT ${limit}`,
    [collection.name, ...own, position, position, id],
    (columns) => {
      state ??= toFeedState(columns);
      return take(toRow(collection, columns));
    },
  );
  if (state) return state;
  const sql = `SELECT ${STATE} FROM feeds WHERE collection = ?`;
  const [columns] = await query(connection, sql, [collection.name]);
  if (!columns) throw new Error(`The table feeds has no row of ${collection.name}.`);
  return toFeedState(columns);
}

function toFeedState(columns: Columns): FeedState {
  return {
    epoch: columns["feed.epoch"] as string,
    head: Number(columns["feed.head"]),
    swept: Number(columns["feed.swept"]),
  };
}

/**
 * Deletes the `limit` oldest tombstones that were deleted and applied before `cutoffMs`, and raises the
 * feed's mark to the highest position among them, in one transaction. Returns how many were deleted.
 *
 * The oldest by `deleted_at`, along the index of the lists: by position, each step would sort all that are
 * due. So the mark may pass tombstones of the same sweep for a moment, which does no harm: a reader who
 * is told so has lost one above its place.
 */
export async function sweepTombstones(
  connection: PoolConnection,
  collection: Collection,
  { cutoffMs, limit }: { cutoffMs: number; limit: number },
): Promise<number> {
  const { table } = getSql(collection);
  const cutoff = toDateTime(cutoffMs);
  const isOld = "deleted_at < ? AND applied_at < ?";
  const found = await query(
    connection,
    `SELECT id FROM ${table} WHERE ${isOld} ORDER BY deleted_at LIMIT ${limit}`,
    [cutoff, cutoff],
  );
  if (found.length === 0) return 0;
  const ids = found.map(({ id }) => id);
  let deleted = 0;
  await query(connection, "START TRANSACTION");
  try {
    // Rows before the counter, and by id, as they are settled; one of them may be an item again.
    const rows = await query(
      connection,
      `SELECT id, position FROM ${table} FORCE INDEX (PRIMARY)` +
        ` WHERE id IN (?) AND ${isOld} ORDER BY id FOR UPDATE`,
      [ids, cutoff, cutoff],
    );
    const swept = Math.max(0, ...rows.map(({ position }) => Number(position)));
    if (rows.length > 0)
      await query(connection, `DELETE FROM ${table} WHERE id IN (?)`, [rows.map(({ id }) => id)]);
    deleted = rows.length;
    const sql = "UPDATE feeds SET swept = GREATEST(swept, ?) WHERE collection = ?";
    await query(connection, sql, [swept, collection.name]);
    await query(connection, "COMMIT");
  } catch (error) {
    await query(connection, "ROLLBACK");
    throw error;
  }
  return deleted;
}
