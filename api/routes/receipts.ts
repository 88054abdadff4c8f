import type { RequestHandler } from "express";
import { getWriteTime } from "../../common/write-id.ts";
import { Problem } from "../answer/problem.ts";
import { getItemPath, getReceiptPath, showInFlight, showReceipt } from "../answer/receipt.ts";
import { awaitReceipt } from "../reader.ts";
import { isPossibleWrite, readPrefer } from "../request/headers.ts";
import { findCollection, readItemId, refuseUnknownParameters } from "../request/parameters.ts";
import type { ReadsOptions } from "./reads.ts";

const IN_FLIGHT_RETRY_SECONDS = 1;
const DAY_MS = 24 * 60 * 60 * 1000;

/** GET of a write's receipt. Receipts older than `retentionDays` are deleted. */
export function createGetReceipt(
  { collections, reader, stop }: ReadsOptions,
  retentionDays: number,
): RequestHandler {
  return async (request, response) => {
    refuseUnknownParameters(request);
    const collection = findCollection(collections, request);
    const itemId = readItemId(request);
    const write = request.params.write as string;
    if (!isPossibleWrite(write)) throw new Problem("not-found", "The write does not exist.");
    const { waitMs } = readPrefer(request);
    const settled =
      waitMs > 0
        ? await awaitReceipt(reader, { collection, itemId, write }, waitMs, stop)
        : await reader.receipt(collection, itemId, write);
    if (settled?.receipt) return void response.json(showReceipt(settled.receipt));
    if (Date.now() - getWriteTime(write) > retentionDays * DAY_MS)
      throw new Problem("not-found", "The receipt does not exist, or was deleted.");
    const receipt = getReceiptPath(getItemPath(request, collection, itemId), write);
    response.set("Retry-After", String(IN_FLIGHT_RETRY_SECONDS));
    response.json({ ...showInFlight(write), receipt });
  };
}
