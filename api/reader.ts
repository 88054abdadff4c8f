import { QueueFullError } from "../common/batcher.ts";
import type { Collection } from "../common/collection.ts";
import { type Pool, type PoolConnection, withConnection } from "../common/database.ts";
import { classifyDatabaseError } from "../common/database-faults.ts";
import { DeadlineExceededError, withDeadline } from "../common/deadline.ts";
import { type ChangesRange, type FeedState, selectChanges } from "../common/feeds.ts";
import {
  EARLY_CHECK_DEADLINE_MS,
  ITEM_BYTES,
  POOL_QUEUE,
  READ,
  READ_BYTES,
  READ_DEADLINE_MS,
  READ_POOL_SHARE,
} from "../common/limits.ts";
import { selectPage } from "../common/pages.ts";
import type { Receipt, ReceiptKey } from "../common/receipts.ts";
import { selectStates } from "../common/row-states.ts";
import { Semaphore } from "../common/semaphore.ts";
import { type Row, type RowState, selectRowsWithin } from "../common/tables.ts";
import type { Metrics } from "../common/telemetry/metrics.ts";
import {
  type ItemKey,
  isReplacedWithinSecond,
  selectItemsOfReceipts,
  selectItemsOfVersions,
  selectReceipts,
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
  /** Hands over changes after a place one by one, until `take` returns false; the feed's state with them. */
  changes(
    collection: Collection,
    range: ChangesRange,
    take: (row: Row) => boolean,
  ): Promise<FeedState>;
  /**
   * The item of a settled write, where the write's id alone finds it; none that only its owner may
   * read, since whoever asks may be another.
   */
  itemOf(write: string): Promise<ItemKey | undefined>;
  /** Whether a version that was accepted in this second (ms since 1970) was replaced. */
  isReplacedWithinSecond(collection: Collection, itemId: string, startMs: number): Promise<boolean>;
};

/** A batch of reads ended at its limit of bytes before it came to this row. */
class RowNotReadError extends Error {}

/** Rows of the largest items that are read together. */
const LARGE_ROWS = Math.floor(READ_BYTES / ITEM_BYTES);

/**
 * Reads by group commit: concurrent reads by id of one collection become one `WHERE id IN (…)`. Each
 * collection has its own batches and its own share of the pool's `poolSize` connections, so that a
 * table that is locked or silent holds up no other collection.
 */
export function createReader(options: {
  pool: Pool;
  poolSize: number;
  collections: readonly Collection[];
  metrics: Metrics;
}): Reader {
  const { pool, collections, metrics } = options;
  const byCollection = new Map(collections.map((it) => [it, createCollectionReads(it, options)]));
  const getReads = (collection: Collection) => byCollection.get(collection) as CollectionReads;
  const items = metrics.createBatcher<string, ItemKey | undefined>("read", {
    ...READ,
    deadlineMs: READ_DEADLINE_MS,
    dispatch: async (writes) => {
      const found = await withConnection(
        pool,
        (connection) => selectItemsOfReceipts(connection, writes),
        { deadlineMs: READ_DEADLINE_MS },
      );
      for (const [collection, { read }] of byCollection) {
        // What only its owner may read is not told, and its index begins with the owner.
        if (collection.reads === "owner") continue;
        const own = await read((connection) =>
          selectItemsOfVersions(connection, collection, writes),
        );
        for (const [write, item] of own) found.set(write, item);
      }
      const isPublic = ({ collection }: ItemKey) =>
        collections.find(({ name }) => name === collection)?.reads !== "owner";
      return writes.map((write) => {
        const item = found.get(write);
        return item && isPublic(item) ? item : undefined;
      });
    },
  });
  return {
    row: (collection, itemId) => {
      const { rows, largeRows } = getReads(collection);
      return rows
        .add(itemId)
        .catch((error) => {
          if (error instanceof RowNotReadError) return largeRows.add(itemId);
          throw error;
        })
        .catch(refuse);
    },
    state: (collection, itemId) => getReads(collection).states.add(itemId).catch(refuse),
    receipt: async (collection, itemId, write) => {
      const key = { collection, itemId, write };
      const { receipt, row } = await getReads(collection).receipts.add(key).catch(refuse);
      return { receipt, row };
    },
    page: (collection, page, take) =>
      getReads(collection)
        .read((connection) => selectPage(connection, collection, page, take))
        .catch(refuse),
    changes: (collection, range, take) =>
      getReads(collection)
        .read((connection) => selectChanges(connection, collection, range, take))
        .catch(refuse),
    itemOf: (write) => items.add(write).catch(refuse),
    isReplacedWithinSecond: (collection, itemId, startMs) =>
      getReads(collection)
        .read((connection) =>
          isReplacedWithinSecond(connection, { collection: collection.name, itemId }, startMs),
        )
        .catch(refuse),
  };
}

type CollectionReads = ReturnType<typeof createCollectionReads>;

function createCollectionReads(
  collection: Collection,
  { pool, poolSize, metrics }: { pool: Pool; poolSize: number; metrics: Metrics },
) {
  const places = Math.ceil(poolSize * READ_POOL_SHARE);
  const semaphore = new Semaphore({ places, maxQueued: POOL_QUEUE });
  const states = createBatcher<string, RowState | undefined>(async (ids, connection) =>
    pickRows(ids, await selectStates(connection, collection, [...new Set(ids)])),
  );
  const receipts = createBatcher<ReceiptKey, { receipt?: Receipt; row?: RowState }>(
    async (keys, connection) => {
      const found = await selectReceipts(connection, collection, keys);
      return keys.map(({ itemId, write }) => {
        const receipt = found.receipts.get(write);
        const row = found.rows.get(itemId);
        return { ...(receipt?.itemId === itemId && { receipt }), ...(row && { row }) };
      });
    },
  );
  return {
    rows: createRows(READ.maxItems, READ_BYTES),
    // A batch of many large items is not read whole; what is left of it is read a few at a time.
    // Their number bounds them: MySQL's text of JSON, with its spaces, may be half as large again.
    largeRows: createRows(LARGE_ROWS, Number.POSITIVE_INFINITY),
    states,
    receipts,
    read,
  };

  /** Runs statements on a connection of the collection's share; both waits are within the deadline. */
  function read<Result>(work: (connection: PoolConnection) => Promise<Result>): Promise<Result> {
    const endMs = performance.now() + READ_DEADLINE_MS;
    return semaphore.run(
      () => withConnection(pool, work, { deadlineMs: endMs - performance.now() }),
      READ_DEADLINE_MS,
    );
  }

  function createRows(maxItems: number, maxBytes: number) {
    return createBatcher<string, Row | undefined>(async (ids, connection) => {
      const distinct = [...new Set(ids)];
      const found = await selectRowsWithin(connection, collection, distinct, maxBytes);
      const results = pickRows(ids, found.rows);
      return found.isAll ? results : results.map((row) => row ?? new RowNotReadError());
    }, maxItems);
  }

  function createBatcher<Key, Result>(
    select: (keys: readonly Key[], connection: PoolConnection) => Promise<(Result | Error)[]>,
    maxItems = READ.maxItems,
  ) {
    return metrics.createBatcher<Key, Result>("read", {
      ...READ,
      maxItems,
      deadlineMs: READ_DEADLINE_MS,
      dispatch: (keys) => read((connection) => select(keys, connection)),
    });
  }
}

function pickRows<Found extends RowState>(
  ids: readonly string[],
  rows: readonly Found[],
): (Found | undefined)[] {
  const byId = new Map(rows.map((row) => [row.id, row]));
  return ids.map((id) => byId.get(id));
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

function refuse(error: unknown): never {
  if (error instanceof QueueFullError)
    throw new Problem("unavailable", "Too many reads are waiting. Retry later.");
  if (["transient", "table", "locked"].includes(classifyDatabaseError(error)))
    throw new Problem("unavailable", "The database does not respond. Retry later.");
  throw error;
}
