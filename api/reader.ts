import { QueueFullError } from "../common/batcher.ts";
import type { Collection } from "../common/collection.ts";
import { type Pool, type PoolConnection, withConnection } from "../common/database.ts";
import { classifyDatabaseError } from "../common/database-faults.ts";
import { DeadlineExceededError, withDeadline } from "../common/deadline.ts";
import {
  EARLY_CHECK_DEADLINE_MS,
  ITEM_BYTES,
  READ,
  READ_BYTES,
  READ_DEADLINE_MS,
} from "../common/limits.ts";
import { selectPage } from "../common/pages.ts";
import { type Receipt, type ReceiptKey, selectReceipts } from "../common/receipts.ts";
import { selectStates } from "../common/row-states.ts";
import { type Row, type RowState, selectRowsWithin } from "../common/tables.ts";
import type { Metrics } from "../common/telemetry/metrics.ts";
import {
  type ItemKey,
  isReplacedWithinSecond,
  selectItemsOfWrites,
} from "../common/write-search.ts";
import { Problem } from "./answer/problem.ts";

/**
 * Reads rows and receipts. Rejects with a 503 Problem while MySQL does not respond, after
 * {@link READ_DEADLINE_MS} at the latest.
 */
export type Reader = {
  row(collection: Collection, id: string): Promise<Row | undefined>;
  /** The row without its item. */
  state(collection: Collection, id: string): Promise<RowState | undefined>;
  /** The receipt, where the write is settled, and the state of the item's row as it is then. */
  receipt(
    collection: Collection,
    itemId: string,
    write: string,
  ): Promise<{ receipt: Receipt | undefined; row: RowState | undefined }>;
  /** Hands over the rows of a page one by one, until `take` returns false. */
  page(
    collection: Collection,
    page: Parameters<typeof selectPage>[2],
    take: (row: Row) => boolean,
  ): Promise<void>;
  /**
   * The item of a settled write, where the write's id alone finds it; none that only its owner may
   * read, since whoever asks may be another.
   */
  itemOf(write: string): Promise<ItemKey | undefined>;
  /** Whether a version that was accepted in this second (ms since 1970) was replaced. */
  isReplacedWithinSecond(collection: Collection, itemId: string, startMs: number): Promise<boolean>;
};

type RowKey = { collection: Collection; itemId: string };

/** A batch of reads ended at its limit of bytes before it came to this row. */
class RowNotReadError extends Error {}

/** Rows of the largest items that are read together. */
const LARGE_ROWS = Math.floor(READ_BYTES / ITEM_BYTES);

/** Reads by group commit: concurrent reads by id become one `WHERE id IN (…)`. */
export function createReader(options: {
  pool: Pool;
  collections: readonly Collection[];
  metrics: Metrics;
}): Reader {
  const { pool, collections, metrics } = options;
  const read = <Result>(work: (connection: PoolConnection) => Promise<Result>) =>
    withConnection(pool, work, { deadlineMs: READ_DEADLINE_MS });
  const rows = createRows(READ.maxItems, READ_BYTES);
  // A batch of many large items is not read whole; what is left of it is read a few at a time.
  // Their number bounds them: MySQL's text of JSON, with its spaces, may be half as large again.
  const largeRows = createRows(LARGE_ROWS, Number.POSITIVE_INFINITY);
  const states = createBatcher<RowKey, RowState | undefined>((collection, keys, connection) =>
    selectStates(connection, collection, listIds(keys)).then((found) => pickRows(keys, found)),
  );
  const receipts = createBatcher<ReceiptKey, { receipt?: Receipt; row?: RowState }>(
    async (collection, keys, connection) => {
      const found = await selectReceipts(connection, collection, keys);
      return keys.map(({ itemId, write }) => {
        const receipt = found.receipts.get(write);
        const row = found.rows.get(itemId);
        return { ...(receipt?.itemId === itemId && { receipt }), ...(row && { row }) };
      });
    },
  );
  const items = metrics.createBatcher<string, ItemKey | undefined>("read", {
    ...READ,
    deadlineMs: READ_DEADLINE_MS,
    dispatch: async (writes) => {
      const found = await read((connection) =>
        selectItemsOfWrites(connection, collections, writes),
      );
      const isPublic = ({ collection }: ItemKey) =>
        collections.find(({ name }) => name === collection)?.reads !== "owner";
      return writes.map((write) => {
        const item = found.get(write);
        return item && isPublic(item) ? item : undefined;
      });
    },
  });
  return {
    row: (collection, itemId) =>
      rows
        .add({ collection, itemId })
        .catch((error) => {
          if (error instanceof RowNotReadError) return largeRows.add({ collection, itemId });
          throw error;
        })
        .catch(refuse),
    state: (collection, itemId) => states.add({ collection, itemId }).catch(refuse),
    receipt: async (collection, itemId, write) => {
      const { receipt, row } = await receipts.add({ collection, itemId, write }).catch(refuse);
      return { receipt, row };
    },
    page: (collection, page, take) =>
      read((connection) => selectPage(connection, collection, page, take)).catch(refuse),
    itemOf: (write) => items.add(write).catch(refuse),
    isReplacedWithinSecond: (collection, itemId, startMs) =>
      read((connection) =>
        isReplacedWithinSecond(connection, { collection: collection.name, itemId }, startMs),
      ).catch(refuse),
  };

  function createRows(maxItems: number, maxBytes: number) {
    return createBatcher<RowKey, Row | undefined>(async (collection, keys, connection) => {
      const ids = listIds(keys);
      const found = await selectRowsWithin(connection, collection, ids, maxBytes);
      const results = pickRows(keys, found.rows);
      return found.isAll ? results : results.map((row) => row ?? new RowNotReadError());
    }, maxItems);
  }

  function createBatcher<Key extends RowKey, Result>(
    select: (
      collection: Collection,
      keys: readonly Key[],
      connection: PoolConnection,
    ) => Promise<(Result | Error)[]>,
    maxItems = READ.maxItems,
  ) {
    return metrics.createBatcher<Key, Result>("read", {
      ...READ,
      maxItems,
      deadlineMs: READ_DEADLINE_MS,
      dispatch: (keys) =>
        perCollection(keys, (collection, own) =>
          read((connection) => select(collection, own, connection)),
        ),
    });
  }
}

function listIds(keys: readonly RowKey[]): string[] {
  return [...new Set(keys.map(({ itemId }) => itemId))];
}

function pickRows<Found extends RowState>(
  keys: readonly RowKey[],
  rows: readonly Found[],
): (Found | undefined)[] {
  const byId = new Map(rows.map((row) => [row.id, row]));
  return keys.map(({ itemId }) => byId.get(itemId));
}

/** Whether a write that has no receipt here belongs to another item; false where MySQL takes long. */
export async function belongsToAnotherItem(
  reader: Reader,
  { collection, itemId, write }: ReceiptKey,
): Promise<boolean> {
  try {
    const item = await withDeadline(reader.itemOf(write), EARLY_CHECK_DEADLINE_MS);
    return item !== undefined && (item.collection !== collection.name || item.itemId !== itemId);
  } catch (error) {
    if (isUnavailable(error)) return false;
    throw error;
  }
}

/** Whether a read failed because MySQL, or the queue before it, did not answer in time. */
export function isUnavailable(error: unknown): boolean {
  return (
    error instanceof DeadlineExceededError || (error instanceof Problem && error.status === 503)
  );
}

/**
 * Answers keys of mixed collections with one statement for each collection among them; one that fails
 * is an error of its own collection's keys only.
 */
async function perCollection<Key extends RowKey, Result>(
  keys: readonly Key[],
  read: (collection: Collection, keys: Key[]) => Promise<Result[]>,
): Promise<(Result | Error)[]> {
  const [first] = keys;
  if (first && keys.every(({ collection }) => collection === first.collection))
    return read(first.collection, [...keys]);
  const answers = new Map<Key, Result | Error>();
  for (const [collection, own] of Map.groupBy(keys, (key) => key.collection)) {
    const results = await read(collection, own).catch((error: Error) => own.map(() => error));
    own.forEach((key, index) => {
      answers.set(key, results[index] as Result | Error);
    });
  }
  return keys.map((key) => answers.get(key) as Result | Error);
}

function refuse(error: unknown): never {
  if (error instanceof QueueFullError)
    throw new Problem("unavailable", "Too many reads are waiting. Retry later.");
  if (["transient", "table", "locked"].includes(classifyDatabaseError(error)))
    throw new Problem("unavailable", "The database does not respond. Retry later.");
  throw error;
}
