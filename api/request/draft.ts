import type { Response } from "express";
import type { Collection } from "../../common/collection.ts";
import { computeFingerprint } from "../../common/fingerprint.ts";
import type { ClientWriteKind, Write } from "../../common/write.ts";
import { deriveItemId, getWriteTime, mintWriteId } from "../../common/write-id.ts";
import { getKeyHolder } from "./caller.ts";
import type { Condition } from "./condition-headers.ts";
import { setExpiry } from "./expiry.ts";
import { takeItemId, validateItem } from "./item.ts";
import { setOwner } from "./owner.ts";

/** What a request asks for one record, from which its write is made. */
export type Draft = {
  response: Response;
  kind: ClientWriteKind;
  collection: Collection;
  value: unknown;
  condition: Condition | undefined;
  key: string | undefined;
  pathId: string | undefined;
  /** The write that a delete follows, which may be in flight. */
  after: string | undefined;
  /** When the client's wait is over, of `performance.now()`. */
  untilMs: number;
  /** The record's place in a bulk request. */
  place?: number;
};

/**
 * Makes the write of a record, without its condition. Throws a 422 Problem where the item, its owner or its
 * expiry is not valid.
 */
export function draftWrite(draft: Draft): Write {
  const { kind, collection, key } = draft;
  const { traceparent, caller } = draft.response.locals;
  const { itemId, value } =
    kind === "put" ? takeItemId(draft) : { itemId: draft.pathId, value: draft.value };
  const item = kind === "delete" ? undefined : validateItem(collection, value);
  const id = mintWriteId();
  const derived =
    key && deriveItemId([collection.name, getKeyHolder(caller), key, draft.place ?? -1]);
  const write: Write = {
    id,
    kind,
    collection,
    itemId: itemId ?? (derived || mintWriteId()),
    acceptedAt: getWriteTime(id),
    item,
    // Of the body as it was sent: a retry may get another default, owner or expiry than the first.
    fingerprint: key && item ? computeFingerprint(value) : undefined,
    traceparent,
  };
  setOwner(write, caller);
  setExpiry(write);
  return write;
}
