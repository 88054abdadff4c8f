import type { Collection } from "../../common/collection.ts";
import { type Columns, inTransaction, type Pool, query } from "../../common/database.ts";
import { fromDateTime, fromNullableDateTime } from "../../common/date-times.ts";
import { FEED_RESTORE_GAP } from "../../common/limits.ts";
import { getSql } from "../../common/tables.ts";
import { getLowestIdAt } from "../../common/write-id.ts";
import type { DatabaseState } from "./plan.ts";

/** Receipts that are looked at for the newest one; ids are of the acceptance, not the settlement. */
const NEWEST_RECEIPTS = 1_000;
const PAGE_ROWS = 1_000;
/** Items in one report, some 200 bytes each. */
const MAX_ITEMS = 1_000_000;

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

/** An item and how many of its writes have which outcome. */
export type CompetingItem = {
  collection: string;
  itemId: string;
  outcomes: Record<string, number>;
};

/** The writes that are asked about: when they were accepted, and after when they were settled. */
export type Window = { acceptedFromMs: number; acceptedUntilMs: number; settledAfterMs: number };

/**
 * Finds the items of which two or more writes were accepted and settled in the window. All but one
 * write of an item have a receipt in `writes`, which is read by its key.
 *
 * Returns the items, and whether there are more than a report can hold.
 */
export async function findCompetingItems(
  pool: Pool,
  collections: readonly Collection[],
  window: Window,
): Promise<{ items: CompetingItem[]; isCut: boolean }> {
  const { found, isCut } = await countReceipts(pool, window);
  const items: CompetingItem[] = [];
  for (const collection of collections) {
    const own = [...(found.get(collection.name) ?? new Map<string, Record<string, number>>())];
    for (let start = 0; start < own.length; start += PAGE_ROWS) {
      const page = own.slice(start, start + PAGE_ROWS);
      const current = await selectCurrent(
        pool,
        collection,
        page.map(([id]) => id),
        window,
      );
      for (const [itemId, outcomes] of page) {
        if (current.has(itemId)) outcomes.applied = (outcomes.applied ?? 0) + 1;
        const writes = Object.values(outcomes).reduce((sum, count) => sum + count, 0);
        if (writes > 1) items.push({ collection: collection.name, itemId, outcomes });
      }
    }
  }
  return { items, isCut };
}

/** Counts receipts by collection, item and outcome. */
async function countReceipts(pool: Pool, window: Window) {
  const found = new Map<string, Map<string, Record<string, number>>>();
  const last = getLowestIdAt(window.acceptedUntilMs);
  let items = 0;
  for (let from = getLowestIdAt(window.acceptedFromMs), rows = PAGE_ROWS; rows === PAGE_ROWS; ) {
    const page = await query(
      pool,
      "SELECT id, collection, item_id, outcome, settled_at FROM writes" +
        ` WHERE id > ? AND id < ? ORDER BY id LIMIT ${PAGE_ROWS}`,
      [from, last],
    );
    rows = page.length;
    for (const { id, collection, item_id, outcome, settled_at } of page) {
      from = String(id);
      if (fromDateTime(String(settled_at)) <= window.settledAfterMs) continue;
      const own = getOrAdd(found, String(collection), () => new Map());
      if (!own.has(String(item_id)) && items === MAX_ITEMS) return { found, isCut: true };
      if (!own.has(String(item_id))) items += 1;
      const outcomes: Record<string, number> = getOrAdd(own, String(item_id), () => ({}));
      outcomes[String(outcome)] = (outcomes[String(outcome)] ?? 0) + 1;
    }
  }
  return { found, isCut: false };
}

/** Ids of those items whose current version is in the window. */
async function selectCurrent(
  pool: Pool,
  collection: Collection,
  ids: readonly string[],
  { acceptedFromMs, acceptedUntilMs, settledAfterMs }: Window,
): Promise<Set<string>> {
  const { table } = getSql(collection);
  const sql = `SELECT id, version, applied_at FROM ${table} WHERE id IN (?)`;
  const rows = await query(pool, sql, [ids]);
  const [first, last] = [getLowestIdAt(acceptedFromMs), getLowestIdAt(acceptedUntilMs)];
  const isInWindow = ({ version, applied_at }: Columns) =>
    String(version) > first &&
    String(version) < last &&
    fromDateTime(String(applied_at)) > settledAfterMs;
  return new Set(rows.filter(isInWindow).map(({ id }) => String(id)));
}

function getOrAdd<Value>(map: Map<string, Value>, key: string, make: () => Value): Value {
  const known = map.get(key);
  if (known !== undefined) return known;
  const made = make();
  map.set(key, made);
  return made;
}
