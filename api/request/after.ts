import type { Request } from "express";
import type { Collection } from "../../common/collection.ts";
import type { ReceiptKey } from "../../common/receipts.ts";
import { malformed } from "../answer/problem.ts";
import { isPossibleWrite, readParameter } from "./parameters.ts";

/** The end of a receipt's address, as the answers to writes give it. */
const RECEIPT = /(?:^|\/)([^/]+)\/([^/]+)\/writes\/([^/]+)$/;

/**
 * The write that the parameter `after` names for an item: by its id, or by the address of its receipt.
 * Throws 400 where it is neither, and for a receipt of another item.
 */
export function readAfter(
  request: Request,
  { collection, itemId }: { collection: Collection; itemId: string },
): string | undefined {
  const after = readParameter(request, "after");
  if (after === undefined || isPossibleWrite(after)) return after;
  const [, name, receiptItem, write = ""] = RECEIPT.exec(after) ?? [];
  if (!isPossibleWrite(write))
    throw malformed("The parameter after must be a write id, or the address of a receipt.");
  if (name !== collection.name || receiptItem !== itemId) throw refuseOtherItem();
  return write;
}

/**
 * The write that the parameter `after` names for many items, by the address of its receipt. Throws 400
 * where it is none of this collection.
 */
export function readReceiptAddress(
  request: Request,
  collection: Collection,
): ReceiptKey | undefined {
  const after = readParameter(request, "after");
  if (after === undefined) return undefined;
  const [, name, itemId = "", write = ""] = RECEIPT.exec(after) ?? [];
  if (name === collection.name && isPossibleWrite(write)) return { collection, itemId, write };
  throw malformed(
    `The parameter after must be the address of a receipt of ${collection.name}, as the answer to a write has it.`,
  );
}

/** The problem of a write that belongs to another item than the one that is asked for. */
export function refuseOtherItem() {
  return malformed("The write in the parameter after belongs to another item.");
}
