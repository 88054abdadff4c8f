import type { Request, Response } from "express";
import type { Collection } from "../../common/collection.ts";
import { DAY_MS } from "../../common/limits.ts";
import type { ReceiptKey } from "../../common/receipts.ts";
import { getWriteTime } from "../../common/write-id.ts";
import { malformed, Problem } from "../answer/problem.ts";
import { belongsToAnotherItem, type Reader } from "../reader.ts";
import type { ReceiptWaits } from "../receipt-waits.ts";
import { isReceiptHidden } from "../request/owner.ts";
import {
  isPossibleWrite,
  readAfter,
  readParameter,
  readPrefer,
  setWaitApplied,
} from "../request/parameters.ts";

/** The end of a receipt's address, as the answers to writes give it. */
const RECEIPT = /(?:^|\/)([^/]+)\/([^/]+)\/writes\/([^/]+)$/;

/**
 * Read your own write: makes the wait of reads with the parameter `after`. The read of an item names the
 * write by its id, that of many items by the address of its receipt. Resolves once that write is settled;
 * throws 503 where it is not within `Prefer: wait`. Receipts are kept for `retentionDays`.
 */
export function createAfterWait(
  { reader, waits }: { reader: Reader; waits: ReceiptWaits },
  retentionDays: number,
) {
  return async (
    request: Request,
    response: Response,
    { collection, itemId }: { collection: Collection; itemId?: string },
  ): Promise<void> => {
    const after = itemId === undefined ? readParameter(request, "after") : readAfter(request);
    if (after === undefined) return;
    const key =
      itemId === undefined
        ? readReceiptAddress(after, collection)
        : { collection, itemId, write: after };
    // A write that is older than receipts are kept was settled long ago.
    if (Date.now() - getWriteTime(key.write) > retentionDays * DAY_MS) return;
    const prefer = readPrefer(request);
    setWaitApplied(response, prefer);
    const settled =
      prefer.waitMs > 0
        ? await waits.wait(key, performance.now() + prefer.waitMs, response)
        : await reader.receipt(collection, key.itemId, key.write);
    if (settled?.receipt && !isReceiptHidden(settled.receipt, collection, response)) return;
    if (await belongsToAnotherItem(reader, key))
      throw malformed("The write in the parameter after belongs to another item.");
    throw new Problem("unavailable", "The write in the parameter after is not settled yet.");
  };
}

function readReceiptAddress(address: string, collection: Collection): ReceiptKey {
  const [, name, itemId = "", write = ""] = RECEIPT.exec(address) ?? [];
  if (name === collection.name && isPossibleWrite(write)) return { collection, itemId, write };
  throw malformed(
    `The parameter after must be the address of a receipt of ${collection.name}, as the answer to a write has it.`,
  );
}
