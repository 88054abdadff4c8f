import type { ServerResponse } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { withDeadline } from "../common/deadline.ts";
import { MAX_RECEIPT_WAITS } from "../common/limits.ts";
import type { Receipt, ReceiptKey } from "../common/receipts.ts";
import type { RowState } from "../common/tables.ts";
import { isUnavailable, type Reader } from "./reader.ts";

/** Waits for writes to settle, for `Prefer: wait`. */
export type ReceiptWaits = {
  /**
   * Resolves once the write is settled, with its receipt and its item's row; or with undefined at
   * `untilMs` (of `performance.now()`), when the process stops, when the response's client has closed
   * the connection, or after one look where {@link MAX_RECEIPT_WAITS} others wait.
   */
  wait(key: ReceiptKey, untilMs: number, response: ServerResponse): Promise<Settled | undefined>;
};

/** A settled write's receipt, and its item's row as it is then. */
export type Settled = { receipt: Receipt; row: RowState | undefined };

/** Pauses between polls for a receipt: short at first, because most writes settle at once. */
const POLL_MS = { first: 5, max: 100 };
/** A poll without an answer is given up, so that a wait also ends in time while MySQL is silent. */
const POLL_DEADLINE_MS = 500;

/** The reader batches the polls, so that many waiting requests cost one statement. */
export function createReceiptWaits(options: { reader: Reader; stop: AbortSignal }): ReceiptWaits {
  const { reader, stop } = options;
  let waiting = 0;
  return { wait };

  async function wait(
    key: ReceiptKey,
    untilMs: number,
    response: ServerResponse,
  ): Promise<Settled | undefined> {
    if (waiting >= MAX_RECEIPT_WAITS) return poll(key, untilMs);
    waiting += 1;
    try {
      // Polled: thousands of listeners on one AbortSignal cost more.
      const isOver = () => stop.aborted || response.closed || performance.now() >= untilMs;
      for (let pauseMs = POLL_MS.first; ; pauseMs = Math.min(2 * pauseMs, POLL_MS.max)) {
        const settled = await poll(key, untilMs);
        if (settled || isOver()) return settled;
        await sleep(Math.max(0, Math.min(pauseMs, untilMs - performance.now())));
        if (isOver()) return undefined;
      }
    } finally {
      waiting -= 1;
    }
  }

  /** While MySQL is away nothing settles either, so the wait goes on. */
  async function poll(
    { collection, itemId, write }: ReceiptKey,
    untilMs: number,
  ): Promise<Settled | undefined> {
    const leftMs = untilMs - performance.now();
    const reading = reader.receipt(collection, itemId, write);
    try {
      const { receipt, row } = await withDeadline(reading, Math.min(leftMs, POLL_DEADLINE_MS));
      return receipt && { receipt, row };
    } catch (error) {
      if (isUnavailable(error)) return undefined;
      throw error;
    }
  }
}
