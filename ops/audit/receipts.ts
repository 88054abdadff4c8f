import type { Collection } from "../../common/collection.ts";
import { type Pool, query } from "../../common/database.ts";
import { selectDead } from "../../common/dead-letters.ts";
import { type Outcome, selectSettled } from "../../common/receipts.ts";
import type { AcceptedWrite } from "./accepted-writes.ts";

/** Rows in one step through a table: a few milliseconds, and within what a statement may take. */
const SCAN_ROWS = 5_000;

/**
 * The outcomes of these writes by id; a write without one has no receipt. The rows are read first:
 * the receipt of a version that is replaced in between is in `writes` by the time that is read.
 * The item of a bare id is not known; {@link scanVersions} finds its row.
 */
export async function selectOutcomes(
  pool: Pool,
  collections: readonly Collection[],
  writes: readonly AcceptedWrite[],
): Promise<Map<string, Outcome>> {
  const outcomes = new Map<string, Outcome>();
  for (const { name } of collections) {
    const own = writes.filter(({ collection }) => collection === name);
    if (own.length === 0) continue;
    const sql = `SELECT id, version FROM \`${name}\` WHERE id IN (?)`;
    const rows = await query(pool, sql, [own.map(({ item }) => item)]);
    const versions = new Map(rows.map(({ id, version }) => [id, version]));
    for (const { id, item } of own)
      if (versions.get(item as string) === id) outcomes.set(id, "applied");
  }
  await addMoved(pool, writes, outcomes);
  return outcomes;
}

/** Adds the outcomes of writes that have a receipt outside the rows. */
export async function addMoved(
  pool: Pool,
  writes: readonly AcceptedWrite[],
  outcomes: Map<string, Outcome>,
): Promise<void> {
  const listLeft = () => writes.map(({ id }) => id).filter((id) => !outcomes.has(id));
  for (const { write, outcome } of await selectSettled(pool, listLeft()))
    outcomes.set(write, outcome);
  for (const { write, outcome } of await selectDead(pool, listLeft())) outcomes.set(write, outcome);
}

/**
 * Removes from `ids` those that are the current version of an item, and calls `onFound` with each.
 * Versions have no index, so this reads every row, in steps along the primary key, without a lock.
 */
export async function scanVersions(
  pool: Pool,
  collections: readonly Collection[],
  ids: Set<string>,
  onFound: (id: string) => void,
): Promise<void> {
  for (const { name } of collections) {
    const sql = `SELECT id, version FROM \`${name}\` WHERE id > ? ORDER BY id LIMIT ${SCAN_ROWS}`;
    for (let last = ""; ids.size > 0; ) {
      const rows = await query(pool, sql, [last]);
      for (const { version } of rows) if (ids.delete(version as string)) onFound(version as string);
      if (rows.length < SCAN_ROWS) break;
      last = rows.at(-1)?.id as string;
    }
  }
}
