import type { Collection } from "./collection.ts";
import { type Connection, query } from "./database.ts";
import { toDateTime } from "./date-times.ts";
import { selectDead, selectSettled } from "./receipts.ts";
import { getLowestIdAt, getWriteTime } from "./write-id.ts";

/** An item by its collection's name and its id. */
export type ItemKey = { collection: string; itemId: string };

/** Finds the items of settled writes that are in `writes` or `dead_letters`, by the writes' ids alone. */
export async function selectItemsOfReceipts(
  connection: Connection,
  writes: readonly string[],
): Promise<Map<string, ItemKey>> {
  const receipts = [
    ...(await selectSettled(connection, writes)),
    ...(await selectDead(connection, writes)),
  ];
  return new Map(receipts.map((receipt) => [receipt.write, receipt]));
}

/**
 * Finds the items of a collection whose current version is one of these writes. Where there is no feed,
 * by the index of lists, which has the times of those that created or deleted their item: not found are
 * the current version of an item that was replaced, and that of one which was swept.
 */
export async function selectItemsOfVersions(
  connection: Connection,
  { name, feed }: Collection,
  writes: readonly string[],
): Promise<Map<string, ItemKey>> {
  const times = writes.map((write) => toDateTime(getWriteTime(write)));
  const select = `SELECT id, version FROM \`${name}\` WHERE`;
  const rows = feed
    ? await query(connection, `${select} version IN (?)`, [writes])
    : await query(
        connection,
        `${select} deleted_at IS NULL AND created_at IN (?) AND version IN (?)` +
          ` UNION ALL ${select} deleted_at IN (?) AND version IN (?)`,
        [times, writes, times, writes],
      );
  return new Map(
    rows.map(({ id, version }) => [String(version), { collection: name, itemId: String(id) }]),
  );
}

/** Whether a version of the item that was accepted in the second from `startMs` on was replaced. */
export async function isReplacedWithinSecond(
  connection: Connection,
  { collection, itemId }: ItemKey,
  startMs: number,
): Promise<boolean> {
  const rows = await query(
    connection,
    "SELECT id FROM writes WHERE id >= ? AND id < ?" +
      " AND collection = ? AND item_id = ? AND outcome = 'applied' LIMIT 1",
    [getLowestIdAt(startMs), getLowestIdAt(startMs + 1_000), collection, itemId],
  );
  return rows.length > 0;
}
