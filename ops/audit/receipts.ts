import type { Collection } from "../../common/collection.ts";
import { type Pool, query } from "../../common/database.ts";
import { type Outcome, selectDead, selectSettled } from "../../common/receipts.ts";
import type { Told } from "./input.ts";

/** Rows in one step through a table: a few milliseconds, and within what a statement may take. */
const SCAN_ROWS = 5_000;

/**
 * The outcomes of these writes by id; one that is not among them has no receipt. Asked by key, and
 * the rows first: a version that is replaced in between has moved to `writes` by the time that is
 * read. The row of a bare id is not known; {@link scanVersions} finds it.
 */
export async function selectOutcomes(
  pool: Pool,
  collections: readonly Collection[],
  told: readonly Told[],
): Promise<Map<string, Outcome>> {
  const outcomes = new Map<string, Outcome>();
  for (const { name } of collections) {
    const items = told.flatMap((one) => (one.collection === name ? [one.item as string] : []));
    if (items.length === 0) continue;
    const sql = `SELECT id, version FROM \`${name}\` WHERE id IN (?)`;
    const versions = new Map((await query(pool, sql, [items])).map((row) => [row.id, row.version]));
    for (const { id, collection, item } of told)
      if (collection === name && versions.get(item as string) === id) outcomes.set(id, "applied");
  }
  await addMoved(pool, told, outcomes);
  return outcomes;
}

/** Adds those that have a receipt outside the rows. */
export async function addMoved(
  pool: Pool,
  told: readonly Told[],
  outcomes: Map<string, Outcome>,
): Promise<void> {
  const idsLeft = () => told.flatMap(({ id }) => (outcomes.has(id) ? [] : [id]));
  for (const { write, outcome } of await selectSettled(pool, idsLeft()))
    outcomes.set(write, outcome);
  for (const { write, outcome } of await selectDead(pool, idsLeft())) outcomes.set(write, outcome);
}

/**
 * Takes out of `ids` those that are the current version of an item, and gives each to `found`. No
 * index leads from a version to its row: this reads every row, in steps along the primary key that
 * hold no lock.
 */
export async function scanVersions(
  pool: Pool,
  collections: readonly Collection[],
  ids: Set<string>,
  found: (id: string) => void,
): Promise<void> {
  for (const { name } of collections) {
    const sql = `SELECT id, version FROM \`${name}\` WHERE id > ? ORDER BY id LIMIT ${SCAN_ROWS}`;
    for (let last = ""; ids.size > 0; ) {
      const rows = await query(pool, sql, [last]);
      for (const { version } of rows) if (ids.delete(version as string)) found(version as string);
      if (rows.length < SCAN_ROWS) break;
      last = rows.at(-1)?.id as string;
    }
  }
}
