import type { Collection } from "../common/collection.ts";
import { type Connection, classifyDatabaseError, describeDataError } from "../common/database.ts";
import { insertReceipts, type Receipt } from "../common/receipts.ts";
import { insertRows, type Row, updateRows } from "../common/tables.ts";
import type { Write } from "../common/write.ts";
import { type Decision, foldWrites } from "./decide.ts";

/** What came of the writes of one collection, once the transaction commits. */
export type Applied = {
  /** Of each write but the refused ones. */
  decisions: Map<Write, Decision>;
  /** Writes whose item MySQL refuses, and its reason. They have changed nothing. */
  refused: Map<Write, string>;
  /** Items that had no row before. */
  made: Set<string>;
  /** Writes whose receipt stands in `writes` now. */
  recorded: Set<string>;
};

/**
 * Folds writes over the rows that they meet ({@link foldWrites}), and writes what came of them:
 * rows and receipts. A statement of MySQL's takes effect as a whole or not at all, so the rows that
 * it refuses are found within the transaction, and cost the others neither their commit nor
 * another one. What else was to become of a refused row's item is folded again without the write
 * that made it so.
 */
export async function applyWrites(
  connection: Connection,
  collection: Collection,
  batch: Parameters<typeof foldWrites>[0],
): Promise<Applied> {
  const { rows, settled, nowMs } = batch;
  const decisions = new Map<Write, Decision>();
  const refused = new Map<Write, string>();
  const made = new Set<string>();
  const receipts: Receipt[] = [];
  for (let left = batch.writes; left.length > 0; ) {
    const fold = foldWrites({ writes: left, rows, settled, nowMs });
    const faults = [
      ...(await writeRows(fold.inserts, (some) => insertRows(connection, collection, some))),
      ...(await writeRows(fold.updates, (some) => updateRows(connection, collection, some))),
    ];
    for (const { row, error } of faults)
      for (const write of getOffenders(row, error, left))
        refused.set(write, describeDataError(error));
    const spoilt = new Set(faults.map(({ row }) => row.id));
    left.forEach((write, index) => {
      if (!spoilt.has(write.itemId)) decisions.set(write, fold.decisions[index] as Decision);
    });
    for (const { id } of fold.inserts) if (!spoilt.has(id)) made.add(id);
    receipts.push(...fold.receipts.filter(({ itemId }) => !spoilt.has(itemId)));
    left = left.filter((write) => spoilt.has(write.itemId) && !refused.has(write));
  }
  await insertReceipts(connection, receipts);
  return { decisions, refused, made, recorded: new Set(receipts.map(({ write }) => write)) };
}

type Fault = { row: Row; error: unknown };

/** Writes all rows but those that MySQL refuses, which it finds by halves. */
async function writeRows(
  rows: readonly Row[],
  write: (rows: readonly Row[]) => Promise<void>,
): Promise<Fault[]> {
  try {
    await write(rows);
    return [];
  } catch (error) {
    if (classifyDatabaseError(error) !== "data") throw error;
    if (rows.length === 1) return [{ row: rows[0] as Row, error }];
    const half = Math.ceil(rows.length / 2);
    const faults = await writeRows(rows.slice(0, half), write);
    return [...faults, ...(await writeRows(rows.slice(half), write))];
  }
}

/** The write that made the row what it is, each time that it was delivered. */
function getOffenders(row: Row, error: unknown, writes: readonly Write[]): Write[] {
  const offenders = writes.filter(({ id }) => id === row.version);
  // Refused for what it was before: none of these is at fault.
  if (offenders.length === 0) throw error;
  return offenders;
}
