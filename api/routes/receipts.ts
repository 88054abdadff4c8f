import type { RequestHandler } from "express";
import { DAY_MS } from "../../common/limits.ts";
import type { Receipt, ReceiptKey } from "../../common/receipts.ts";
import { getWriteTime } from "../../common/write-id.ts";
import { sendJson } from "../answer/json.ts";
import { Problem } from "../answer/problem.ts";
import { getItemPath, getReceiptPath } from "../answer/writes.ts";
import { belongsToAnotherItem } from "../reader.ts";
import { isUnchanged } from "../request/condition-headers.ts";
import { isReceiptHidden, readReader } from "../request/owner.ts";
import {
  findCollection,
  isPossibleWrite,
  readItemId,
  readPrefer,
  refuseUnknownParameters,
  setWaitApplied,
} from "../request/parameters.ts";
import type { ReadsOptions } from "./reads.ts";

const IN_FLIGHT_RETRY_SECONDS = 1;

/** GET of a write's receipt. Receipts older than `retentionDays` are deleted. */
export function createGetReceipt(
  { collections, reader, waits }: ReadsOptions,
  retentionDays: number,
): RequestHandler {
  return async (request, response) => {
    refuseUnknownParameters(request);
    const collection = findCollection(collections, request);
    readReader(collection, response);
    const itemId = readItemId(request);
    const write = request.params.write as string;
    if (!isPossibleWrite(write)) throw new Problem("not-found", "The write does not exist.");
    const prefer = readPrefer(request);
    const { waitMs } = prefer;
    setWaitApplied(response, prefer);
    const key = { collection, itemId, write };
    const settled =
      waitMs > 0
        ? await waits.wait(key, performance.now() + waitMs, response)
        : await reader.receipt(collection, itemId, write);
    if (!settled?.receipt) await refuseUnknown(key);
    else if (isReceiptHidden(settled.receipt, collection, response))
      throw new Problem("not-found", "The receipt does not exist, or was deleted.");
    if (isUnchanged(request)) return void response.status(304).end();
    if (settled?.receipt) return sendJson(response, showReceipt(settled.receipt));
    const receipt = getReceiptPath(getItemPath(request, collection, itemId), write);
    response.set("Retry-After", String(IN_FLIGHT_RETRY_SECONDS));
    sendJson(response, { ...showInFlight(write), receipt });
  };

  /** Throws 404 for a write that cannot be in flight to this item. */
  async function refuseUnknown(key: ReceiptKey): Promise<void> {
    if (Date.now() - getWriteTime(key.write) > retentionDays * DAY_MS)
      throw new Problem("not-found", "The receipt does not exist, or was deleted.");
    if (await belongsToAnotherItem(reader, key))
      throw new Problem("not-found", "The write belongs to another item.");
  }
}

/** A settled write's receipt as the client sees it. Times in RFC 3339, `lagMs` in milliseconds. */
function showReceipt(receipt: Receipt): Record<string, unknown> {
  return {
    status: "settled",
    outcome: receipt.outcome,
    code: receipt.code,
    version: receipt.outcome === "applied" ? receipt.write : null,
    created: receipt.created,
    ...(receipt.position === undefined ? {} : { position: receipt.position }),
    reason: receipt.reason,
    acceptedAt: new Date(receipt.acceptedAt).toISOString(),
    settledAt: new Date(receipt.settledAt).toISOString(),
    lagMs: Math.max(0, receipt.settledAt - receipt.acceptedAt),
    trace: receipt.trace,
  };
}

/** The receipt of a write that is still in flight. */
function showInFlight(write: string): Record<string, unknown> {
  return {
    status: "accepted",
    outcome: null,
    code: null,
    version: null,
    created: null,
    reason: null,
    acceptedAt: new Date(getWriteTime(write)).toISOString(),
    settledAt: null,
    lagMs: null,
    trace: null,
  };
}
