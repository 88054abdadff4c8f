import type { Response } from "express";
import type { Collection } from "../../common/collection.ts";
import { type Config, ConfigError } from "../../common/config.ts";
import { isAnothers, mustFindItem, NOT_OWNER_REASON } from "../../common/owner.ts";
import { PRINCIPAL } from "../../common/owner-field.ts";
import type { Receipt } from "../../common/receipts.ts";
import type { RowState } from "../../common/tables.ts";
import type { Write } from "../../common/write.ts";
import { missingCredential } from "../answer/challenges.ts";
import { Problem } from "../answer/problem.ts";
import { type Caller, hasRight } from "./caller.ts";
import { isSurelyFree, mayBeFree } from "./expiry.ts";

/** Throws a {@link ConfigError} where items have owners, and nobody who calls can be told from another. */
export function assertOwnersKnown(
  { ACCESS }: Pick<Config, "ACCESS">,
  collections: readonly Collection[],
): void {
  const owned = collections.find(({ owner }) => owner !== undefined);
  if (owned && ACCESS === "public")
    throw new ConfigError([
      `The items of "${owned.name}" have owners, so ACCESS must not be public: set API_KEYS or` +
        " OIDC_ISSUERS (docs/identity.md), or on your machine run npm start -- --issuer.",
    ]);
}

/** Who calls. Throws 401 where that is not known, or is no principal that can own an item. */
export function requirePrincipal({ locals: { caller } }: Response): Caller {
  if (caller && PRINCIPAL.test(caller.principal)) return caller;
  throw missingCredential();
}

/**
 * Notes who has written, and whose the item is: the caller's, or where the caller has the right
 * `write-any`, that of whom the body names. Throws 422 where another names anyone else.
 */
export function setOwner(write: Write, caller: Caller | undefined): void {
  const { item, collection } = write;
  const { name, owner } = collection;
  if (owner === undefined || !caller) return;
  write.subject = caller.principal;
  if (hasRight(caller, "write-any", name)) write.anyOwner = true;
  if (!item) return;
  item[owner] ??= caller.principal;
  if (item[owner] === caller.principal || write.anyOwner) return;
  const detail = "Must be left out, or name who writes.";
  throw new Problem("invalid-item", `The item is not valid: ${owner} must name who writes.`, {
    errors: [{ pointer: `/${owner}`, detail }],
  });
}

/**
 * Throws 403 where the row is known to be another's, and 404 for a delete where it is known that there
 * is none, and that none is on its way.
 */
export function checkOwner(
  write: Write,
  row: RowState | undefined | "unknown",
  { mayFollow }: { mayFollow: boolean },
): void {
  if (row === "unknown") return;
  if (row && isAnothers(row, write) && !mayBeFree(row))
    throw new Problem("not-owner", NOT_OWNER_REASON);
  if (isMissing(row) && mustFindItem(write) && !mayFollow)
    throw new Problem("not-found", "The item does not exist.");
}

/** Whether it is known that there is no item for a write that is published now. */
export function isMissing(row: RowState | undefined | "unknown"): boolean {
  return row !== "unknown" && (!row || isSurelyFree(row));
}

/** Who reads what is only its owner's; undefined where everybody may. Throws 401 where that is not known. */
export function readReader({ reads }: Collection, response: Response): string | undefined {
  return reads === "owner" ? requirePrincipal(response).principal : undefined;
}

/** Whether a row is one that `reader` may not see: to such a reader it is not there. */
export function isHidden(row: RowState | undefined, reader: string | undefined): boolean {
  return reader !== undefined && row?.owner !== reader;
}

/**
 * Whether a receipt is one that the caller may not see. It is for who has written, and where that is
 * not known, since the row is the receipt of its version, for whose the item is; `write-any` may have
 * written it too.
 */
export function isReceiptHidden(
  receipt: Receipt,
  collection: Collection,
  { locals: { caller } }: Response,
): boolean {
  if (collection.reads !== "owner") return false;
  const isOwn = caller !== undefined && receipt.subject === caller.principal;
  return !isOwn && !(caller && hasRight(caller, "write-any", collection.name));
}
