import type { Request, Response } from "express";
import type { Collection } from "../../common/collection.ts";
import { DAY_MS } from "../../common/limits.ts";
import { getWriteTime } from "../../common/write-id.ts";
import { Problem } from "../answer/problem.ts";
import { belongsToAnotherItem, type Reader } from "../reader.ts";
import type { ReceiptWaits } from "../receipt-waits.ts";
import { readAfter, readReceiptAddress, refuseOtherItem } from "../request/after.ts";
import { isReceiptHidden } from "../request/owner.ts";
import { readPrefer, setWaitApplied } from "../request/parameters.ts";

/**
 * Read your own write: makes the wait of reads with the parameter `after`. Resolves once that write is settled;
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
    const key = readWrite(request, collection, itemId);
    if (!key) return;
    // A write that is older than receipts are kept was settled long ago.
    if (Date.now() - getWriteTime(key.write) > retentionDays * DAY_MS) return;
    const prefer = readPrefer(request);
    setWaitApplied(response, prefer);
    const settled =
      prefer.waitMs > 0
        ? await waits.wait(key, performance.now() + prefer.waitMs, response)
        : await reader.receipt(collection, key.itemId, key.write);
    if (settled?.receipt && !isReceiptHidden(settled.receipt, collection, response)) return;
    if (await belongsToAnotherItem(reader, key)) throw refuseOtherItem();
    throw new Problem("unavailable", "The write in the parameter after is not settled yet.");
  };
}

function readWrite(request: Request, collection: Collection, itemId: string | undefined) {
  if (itemId === undefined) return readReceiptAddress(request, collection);
  const write = readAfter(request, { collection, itemId });
  return write === undefined ? undefined : { collection, itemId, write };
}
