import type { Request } from "express";
import type { Collection } from "../../common/collection.ts";
import type { Receipt } from "../../common/receipts.ts";
import { getWriteTime } from "../../common/write-id.ts";

/** A settled write's receipt as the client sees it. Times in RFC 3339, `lagMs` in milliseconds. */
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
    status: "accepted",
    outcome: null,
    version: null,
    reason: null,
    acceptedAt: new Date(getWriteTime(write)).toISOString(),
    settledAt: null,
    lagMs: null,
    trace: null,
  };
}

/** The path of an item, below the base URL that the collections are mounted at. */
export function getItemPath({ baseUrl }: Request, collection: Collection, itemId: string): string {
  return `${baseUrl}/${collection.name}/${itemId}`;
}

/** The path of the receipt of a write. */
export function getReceiptPath(itemPath: string, write: string): string {
  return `${itemPath}/writes/${write}`;
}
