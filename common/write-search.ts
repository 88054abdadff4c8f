import type { Collection } from "./collection.ts";
import { type Connection, query } from "./database.ts";
import { selectDead, selectSettled } from "./receipts.ts";
import { toDateTime } from "./tables.ts";
import { getLowestIdAt, getWriteTime } from "./write-id.ts";

/** An item by its collection's name and its id. */
export type ItemKey = { collection: string; itemId: string };

/**
 * Finds the items of settled writes by the writes' ids alone: of those in `writes` and
 * `dead_letters`, and of current versions that created or deleted their item, which the index of
 * lists finds. The current version of an item that was replaced is not found.
 */
export async function selectItemsOfWrites(
  connection: Connection,
  collections: readonly Collection[],
  writes: readonly string[],
): Promise<Map<string, ItemKey>> {
  const found = new Map<string, ItemKey>();
  for (const receipt of [
    ...(await selectSettled(connection, writes)),
    ...(await selectDead(connection, writes)),
  ])
    found.set(receipt.write, receipt);
  const times = writes.map((write) => toDateTime(getWriteTime(write)));
  for (const { name } of collections) {
    const rows = await query(
      connection,
      `SELECT id, version FROM \`${name}\`` +
        " WHERE deleted_at IS NULL AND created_at IN (?) AND version IN (?)" +
        ` UNION ALL SELECT id, version FROM \`${name}\` WHERE deleted_at IN (?) AND version IN (?)`,
      [times, writes, times, writes],
    );
    for (const { id, version } of rows)
      found.set(String(version), { collection: name, itemId: String(id) });
  }
  return found;
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
