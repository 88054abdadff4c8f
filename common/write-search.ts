import type { Collection } from "./collection.ts";
import { type Connection, query } from "./database.ts";
import { toDateTime } from "./date-times.ts";
import { selectDead } from "./dead-letters.ts";
import { type Receipt, type ReceiptKey, selectSettled, toReceipt } from "./receipts.ts";
import { selectStates } from "./row-states.ts";
import type { RowState } from "./tables.ts";
import { getLowestIdAt, getWriteTime } from "./write-id.ts";

/**
 * Selects the receipts of these writes to one collection and the rows of their items, by id. A write
 * without one is not settled. The caller checks that a receipt belongs to the item that it asked for.
 *
 * Each statement sees what is committed when it runs. The rows are read first: if a version is
 * replaced meanwhile, its receipt is in `writes` when that is read. Items whose receipt is found
 * there are read again, so that no row is older than its receipt: the item that a duplicate repeats
 * may have been created between the two statements.
 */
export async function selectReceipts(
  connection: Connection,
  collection: Collection,
  keys: readonly ReceiptKey[],
): Promise<{ receipts: Map<string, Receipt>; rows: Map<string, RowState> }> {
  const rows = new Map<string, RowState>();
  const readRows = async (own: readonly ReceiptKey[]) => {
    const ids = [...new Set(own.map(({ itemId }) => itemId))];
    for (const row of await selectStates(connection, collection, ids)) rows.set(row.id, row);
  };
  await readRows(keys);
  const receipts = new Map<string, Receipt>();
  const others: ReceiptKey[] = [];
  for (const key of keys) {
    const row = rows.get(key.itemId);
    if (row?.version === key.write) receipts.set(key.write, toReceipt(collection, row));
    else others.push(key);
  }
  const keep = (receipt: Receipt) => {
    if (receipt.collection === collection.name) receipts.set(receipt.write, receipt);
  };
  const listLeft = () => others.map(({ write }) => write).filter((write) => !receipts.has(write));
  (await selectSettled(connection, listLeft())).forEach(keep);
  (await selectDead(connection, listLeft())).forEach(keep);
  await readRows(others.filter(({ write }) => receipts.has(write)));
  return { receipts, rows };
}

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
