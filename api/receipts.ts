import { setTimeout as sleep } from "node:timers/promises";
import type { Collection } from "../common/collection.ts";
import type { Receipt } from "../common/receipts.ts";
import type { Row } from "../common/tables.ts";
import { getWriteTime } from "../common/write-id.ts";
import { Problem } from "./problem.ts";
import type { Reader } from "./reader.ts";

/** Pauses between looks for a receipt: short at first, because most writes settle at once. */
const LOOK_MS = { first: 5, max: 100 };

/**
 * Waits until a write is settled, for `waitMs` at most and not past `stop`. The looks ride on the
 * reader, so that many waiting requests cost one statement. Undefined where it is not settled.
 */
export async function awaitReceipt(
  reader: Reader,
  key: { collection: Collection; itemId: string; write: string },
  waitMs: number,
  stop: AbortSignal,
): Promise<{ receipt: Receipt; row: Row | undefined } | undefined> {
  const deadline = Date.now() + waitMs;
  for (let pauseMs = LOOK_MS.first; ; pauseMs = Math.min(2 * pauseMs, LOOK_MS.max)) {
    const { receipt, row } = await look();
    if (receipt) return { receipt, row };
    const leftMs = deadline - Date.now();
    if (leftMs <= 0 || stop.aborted) return undefined;
    await sleep(Math.min(pauseMs, leftMs), undefined, { signal: stop }).catch(() => {});
  }

  /** While MySQL is away nothing settles either, so there is nothing to report but the wait. */
  async function look(): Promise<Partial<Awaited<ReturnType<Reader["receipt"]>>>> {
    try {
      return await reader.receipt(key.collection, key.itemId, key.write);
    } catch (error) {
      if (error instanceof Problem && error.status === 503) return {};
      throw error;
    }
  }
}

/** A receipt as the client sees it. Times in RFC 3339, `lagMs` in milliseconds. */
export function showReceipt(receipt: Receipt): Record<string, unknown> {
  return {
    status: "settled",
    outcome: receipt.outcome,
    version: receipt.outcome === "applied" ? receipt.write : null,
    reason: receipt.reason,
    acceptedAt: new Date(receipt.acceptedAt).toISOString(),
    settledAt: new Date(receipt.settledAt).toISOString(),
    lagMs: Math.max(0, receipt.settledAt - receipt.acceptedAt),
    trace: receipt.trace,
  };
}

/** The receipt of a write that is still in flight. */
export function showInFlight(write: string): Record<string, unknown> {
  return {
    ...{ status: "accepted", outcome: null, version: null, reason: null },
    acceptedAt: new Date(getWriteTime(write)).toISOString(),
    ...{ settledAt: null, lagMs: null, trace: null },
  };
}

/** Where the receipt of a write is. */
export function receiptPath(key: {
  collection: Collection;
  itemId: string;
  write: string;
}): string {
  return `/api/${key.collection.name}/${key.itemId}/writes/${key.write}`;
}
