import { setTimeout as sleep } from "node:timers/promises";
import { QueueFullError } from "../common/batcher.ts";
import type { Collection } from "../common/collection.ts";
import { classifyDatabaseError, type Pool, withConnection } from "../common/database.ts";
import { READ } from "../common/limits.ts";
import { type Receipt, selectReceipts } from "../common/receipts.ts";
import { type Row, selectPage, selectRows } from "../common/tables.ts";
import type { Metrics } from "../common/telemetry/metrics.ts";
import {
  type ItemKey,
  isReplacedWithinSecond,
  selectItemsOfWrites,
} from "../common/write-search.ts";
import { Problem } from "./answer/problem.ts";

/** Reads rows and receipts. Rejects with a 503 Problem while MySQL does not respond. */
export type Reader = {
  row(collection: Collection, id: string): Promise<Row | undefined>;
  /** The receipt, where the write is settled, and the item's row as it is then. */
  receipt(
    collection: Collection,
    itemId: string,
    write: string,
  ): Promise<{ receipt: Receipt | undefined; row: Row | undefined }>;
  page(collection: Collection, page: Parameters<typeof selectPage>[2]): Promise<Row[]>;
  /** The item of a settled write, where the write's id alone finds it. */
  itemOf(write: string): Promise<ItemKey | undefined>;
  /** Whether a version that was accepted in this second (ms since 1970) was replaced. */
  isReplacedWithinSecond(collection: Collection, itemId: string, startMs: number): Promise<boolean>;
};

/** Pauses between polls for a receipt: short at first, because most writes settle at once. */
const POLL_MS = { first: 5, max: 100 };

type RowKey = { collection: Collection; itemId: string };
type ReceiptKey = RowKey & { write: string };

/** Reads by group commit: concurrent reads by id become one `WHERE id IN (…)`. */
export function createReader(options: {
  pool: Pool;
  collections: readonly Collection[];
  metrics: Metrics;
}): Reader {
  const { pool, collections, metrics } = options;
  const rows = metrics.createBatcher<RowKey, Row | undefined>("read", {
    ...READ,
    dispatch: (keys) =>
      perCollection(keys, async (collection, own) => {
        const ids = [...new Set(own.map(({ itemId }) => itemId))];
        const found = await withConnection(pool, (connection) =>
          selectRows(connection, collection, ids),
        );
        const byId = new Map(found.map((row) => [row.id, row]));
        return own.map(({ itemId }) => byId.get(itemId));
      }),
  });
  const receipts = metrics.createBatcher<
    ReceiptKey,
    { receipt?: Receipt | undefined; row?: Row | undefined }
  >("read", {
    ...READ,
    dispatch: (keys) =>
      perCollection(keys, async (collection, own) => {
        const found = await withConnection(pool, (connection) =>
          selectReceipts(connection, collection, own),
        );
        return own.map(({ itemId, write }) => {
          const receipt = found.receipts.get(write);
          return {
            receipt: receipt?.itemId === itemId ? receipt : undefined,
            row: found.rows.get(itemId),
          };
        });
      }),
  });
  const items = metrics.createBatcher<string, ItemKey | undefined>("read", {
    ...READ,
    dispatch: async (writes) => {
      const found = await withConnection(pool, (connection) =>
        selectItemsOfWrites(connection, collections, writes),
      );
      return writes.map((write) => found.get(write));
    },
  });
  return {
    row: (collection, itemId) => rows.add({ collection, itemId }).catch(refuse),
    receipt: async (collection, itemId, write) => {
      const { receipt, row } = await receipts.add({ collection, itemId, write }).catch(refuse);
      return { receipt, row };
    },
    page: (collection, page) =>
      withConnection(pool, (connection) => selectPage(connection, collection, page)).catch(refuse),
    itemOf: (write) => items.add(write).catch(refuse),
    isReplacedWithinSecond: (collection, itemId, startMs) =>
      withConnection(pool, (connection) =>
        isReplacedWithinSecond(connection, { collection: collection.name, itemId }, startMs),
      ).catch(refuse),
  };
}

/**
 * Waits until a write is settled, for `waitMs` at most and not past `stop`. The reader batches the
 * polls, so that many waiting requests cost one statement. Undefined where it is not settled.
 */
export async function awaitReceipt(
  reader: Reader,
  key: ReceiptKey,
  waitMs: number,
  stop: AbortSignal,
): Promise<{ receipt: Receipt; row: Row | undefined } | undefined> {
  const deadline = performance.now() + waitMs;
  for (let pauseMs = POLL_MS.first; ; pauseMs = Math.min(2 * pauseMs, POLL_MS.max)) {
    const { receipt, row } = await poll();
    if (receipt) return { receipt, row };
    const leftMs = deadline - performance.now();
    if (leftMs <= 0 || stop.aborted) return undefined;
    await sleep(Math.min(pauseMs, leftMs), undefined, { signal: stop }).catch(() => {});
  }

  /** While MySQL is away nothing settles either, so the wait goes on. */
  async function poll(): Promise<Partial<Awaited<ReturnType<Reader["receipt"]>>>> {
    try {
      return await reader.receipt(key.collection, key.itemId, key.write);
    } catch (error) {
      if (error instanceof Problem && error.status === 503) return {};
      throw error;
    }
  }
}

/** Whether a write that has no receipt here is one of another item; false while MySQL is away. */
export async function isOfAnotherItem(
  reader: Reader,
  { collection, itemId, write }: ReceiptKey,
): Promise<boolean> {
  try {
    const item = await reader.itemOf(write);
    return item !== undefined && (item.collection !== collection.name || item.itemId !== itemId);
  } catch (error) {
    if (error instanceof Problem && error.status === 503) return false;
    throw error;
  }
}

/** Answers keys of mixed collections with one statement for each collection among them. */
async function perCollection<Key extends RowKey, Result>(
  keys: readonly Key[],
  read: (collection: Collection, keys: Key[]) => Promise<Result[]>,
): Promise<Result[]> {
  const [first] = keys;
  if (first && keys.every(({ collection }) => collection === first.collection))
    return read(first.collection, [...keys]);
  const answers = new Map<Key, Result>();
  for (const [collection, own] of Map.groupBy(keys, (key) => key.collection)) {
    const results = await read(collection, own);
    own.forEach((key, index) => {
      answers.set(key, results[index] as Result);
    });
  }
  return keys.map((key) => answers.get(key) as Result);
}

function refuse(error: unknown): never {
  if (error instanceof QueueFullError)
    throw new Problem("unavailable", "Too many reads are waiting. Retry later.");
  if (classifyDatabaseError(error) === "transient")
    throw new Problem("unavailable", "The database does not respond. Retry later.");
  throw error;
}
