import type { Collection } from "../common/collection.ts";
import type { Connection } from "../common/database.ts";
import { classifyDatabaseError, describeDataError } from "../common/database-faults.ts";
import { takePositions } from "../common/feeds.ts";
import { insertReceipts, type Receipt } from "../common/receipts.ts";
import { updateStates } from "../common/row-states.ts";
import { insertRows, type Row, updateRows } from "../common/tables.ts";
import type { Write } from "../common/write.ts";
import { type Decision, dead } from "./decide.ts";
import { type Batch, foldWrites, numberFold } from "./fold-writes.ts";

/** What the writes of one collection became, once the transaction commits. */
export type Applied = {
  /** Of every write. One whose item MySQL refuses is dead, and has changed nothing. */
  decisions: Map<Write, Decision>;
  /** Ids of items that had no row before. */
  inserted: Set<string>;
  /** Ids of writes whose receipt is in `writes` now. */
  recorded: Set<string>;
};

/**
 * Folds a batch ({@link foldWrites}) and writes its rows and receipts.
 *
 * A statement takes effect as a whole or not at all, so the rows that MySQL refuses are found
 * within this transaction, and the other writes commit with it. The other writes of a refused row's
 * item are folded again without the write that was refused. Where the collection has a feed, the
 * positions of the refused stay unused: nothing is committed there later, so no reader waits for it.
 */
export async function applyWrites(
  connection: Connection,
  collection: Collection,
  batch: Batch,
): Promise<Applied> {
  const decisions = new Map<Write, Decision>();
  const inserted = new Set<string>();
  const receipts: Receipt[] = [];
  for (let left = batch.writes; left.length > 0; ) {
    const fold = foldWrites({ ...batch, writes: left });
    const count = fold.applied.length;
    if (count > 0) numberFold(fold, await takePositions(connection, collection, count));
    const insertFaults = await writeRows(fold.inserts, (rows) =>
      insertRows(connection, collection, rows),
    );
    const updateFaults = await writeRows(fold.updates, (rows) =>
      updateRows(connection, collection, rows),
    );
    await updateStates(connection, collection, fold.marks);
    const faults = [...insertFaults, ...updateFaults];
    for (const { row, error } of faults)
      for (const write of findOffenders(row, left))
        decisions.set(write, dead(describeDataError(error)));
    const refusedIds = new Set(faults.map(({ row }) => row.id));
    left.forEach((write, index) => {
      if (!refusedIds.has(write.itemId)) decisions.set(write, fold.decisions[index] as Decision);
    });
    for (const { id } of fold.inserts) if (!refusedIds.has(id)) inserted.add(id);
    receipts.push(...fold.receipts.filter(({ itemId }) => !refusedIds.has(itemId)));
    left = left.filter((write) => !decisions.has(write));
  }
  await insertReceipts(connection, receipts);
  return { decisions, inserted, recorded: new Set(receipts.map(({ write }) => write)) };
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

/** The write whose version the refused row is, once per delivery in the batch. */
function findOffenders(row: Row, writes: readonly Write[]): Write[] {
  return writes.filter(({ id }) => id === row.version);
}
