import { isAnothers, mustFindItem, NOT_OWNER_REASON } from "../common/owner.ts";
import type { Outcome, OutcomeCode } from "../common/receipts.ts";
import type { RowState } from "../common/tables.ts";
import type { Write } from "../common/write.ts";
import { isExpiredAtPublish, isFree, isPublishedBefore, seeRow } from "./expiry.ts";

/**
 * What becomes of a write, in one shape from {@link decide} to the acknowledgement of its message.
 * `settled`: this transaction commits its outcome. `settled-before`: an earlier one did.
 * `not-yet`: the write needs another one that may still be in flight. `unknown-schema`: a newer version
 * wrote it, and a newer subscriber can settle it. The messages of these two are nacked, all others are
 * acknowledged.
 */
export type Decision =
  | { kind: "settled"; outcome: Outcome; reason: string | null; code?: OutcomeCode }
  | { kind: "settled-before" }
  | NotYet
  | { kind: "unknown-schema"; reason: string };

/** `version` is the one that must be settled first, where the write names one; the reason is that of a conflict. */
export type NotYet = { kind: "not-yet"; version?: string; reason: string };

/**
 * The rule of the README's promise: what becomes of `write` where its item's row is `row`.
 * Pure: the same write on the same row always gets the same decision, in whichever order, batch or
 * repetition it was delivered. Versions are write ids, so "newer" is a comparison of strings, and where
 * items expire also of publish times.
 */
export function decide(write: Write, stored: RowState | undefined): Decision {
  if (stored?.version === write.id) return SETTLED_BEFORE;
  if (write.kind === "expire") return decideExpire(write, stored);
  const isFreed = stored !== undefined && isFree(stored, write);
  // To a delete it is as if it had never been: the item that the caller takes may be in flight.
  if (isFreed && mustFindItem(write) && !write.ifMatch) return NO_ITEM_YET;
  const decision = decideByRow(write, stored && seeRow(stored, write));
  if (decision === APPLIED && isExpiredAtPublish(write)) return EXPIRED;
  const isSuperseded = decision.kind === "settled" && decision.outcome === "superseded";
  const isOfAnothers = isFreed && isAnothers(stored, write);
  return isOfAnothers && isSuperseded ? { ...decision, reason: NEWER_WRITE } : decision;
}

function decideByRow(write: Write, row: RowState | undefined): Decision {
  if (row && isAnothers(row, write)) return NOT_OWNER;
  if (!row && mustFindItem(write) && !write.ifMatch) return NO_ITEM_YET;
  if (write.kind === "create") return decideCreate(write, row);
  if (write.ifNoneMatch) return decideIfNoneMatch(write, row);
  if (write.ifMatch) return decideIfMatch(write, row, write.ifMatch);
  return row && isNewer(row, write) ? superseded(row) : APPLIED;
}

export const SETTLED_BEFORE: Decision = { kind: "settled-before" };

const APPLIED: Decision = { kind: "settled", outcome: "applied", reason: null };
const EXPIRED: Decision = {
  kind: "settled",
  outcome: "conflict",
  reason: "The item had expired before the write was accepted.",
  code: "expired",
};

const NOT_OWNER: Decision = {
  kind: "settled",
  outcome: "conflict",
  reason: NOT_OWNER_REASON,
  code: "not-owner",
};

const NEWER_WRITE = "A newer write was applied first.";

const NO_ITEM_YET: Decision = { kind: "not-yet", reason: "The item does not exist." };

/** A write whose condition does not hold, or a create of an item that exists. */
export function conflict(reason: string): Decision {
  return { kind: "settled", outcome: "conflict", reason };
}

/** The reason of a conflict with the version that the write names. */
function describeStale(version: string): string {
  return `The version ${version} is not the current one.`;
}

/** A message that can never be settled as a write. */
export function dead(reason: string): Decision {
  return { kind: "settled", outcome: "dead", reason };
}

/** Whether the message is given back to Pub/Sub, to be delivered again. */
export function isGivenBack({ kind }: Decision): boolean {
  return kind === "not-yet" || kind === "unknown-schema";
}

export function isDead(
  decision: Decision | undefined,
): decision is Extract<Decision, { kind: "settled" }> {
  return decision?.kind === "settled" && decision.outcome === "dead";
}

/** Whether the row has a newer write than this one; where its items expire, also one published since. */
function isNewer(row: RowState, write: Write): boolean {
  return row.version > write.id || isPublishedBefore(write, row);
}

function superseded(row: RowState): Decision {
  return {
    kind: "settled",
    outcome: "superseded",
    reason: `A newer write was applied first: ${row.version}.`,
  };
}

function duplicate(reason: string): Decision {
  return { kind: "settled", outcome: "duplicate", reason };
}

/**
 * A row without a fingerprint is that of a put or delete which was delivered before its item's
 * create: the client knew the id from that create. The create itself, which is older than the row,
 * is superseded. A newer one with a key is its retry, and so a duplicate. Both leave their fingerprint.
 */
function decideCreate(write: Write, row: RowState | undefined): Decision {
  if (!row) return APPLIED;
  if (row.fingerprint && write.fingerprint)
    return row.fingerprint === write.fingerprint
      ? duplicate("The same create was settled before.")
      : conflict("The item was created from another body.");
  if (!row.fingerprint && row.version > write.id) return superseded(row);
  if (!row.fingerprint && write.fingerprint)
    return duplicate("A write that followed the first create of this key was applied before.");
  return conflict("An item with this id exists, or did.");
}

function decideIfNoneMatch(write: Write, row: RowState | undefined): Decision {
  if (row && row.deletedAt === null) return conflict("The item exists.");
  return row && isNewer(row, write) ? superseded(row) : APPLIED;
}

function decideIfMatch(write: Write, row: RowState | undefined, version: string): Decision {
  if (version === "*") {
    if (!row || row.deletedAt !== null) return conflict("The item does not exist.");
    return isNewer(row, write) ? superseded(row) : APPLIED;
  }
  if (row && isNewer(row, write)) return conflict(describeStale(version));
  if (row && row.deletedAt === null && row.version === version) return APPLIED;
  const mayBeInFlight = version < write.id && (!row || version > row.version);
  const reason = describeStale(version);
  return mayBeInFlight ? { kind: "not-yet", version, reason } : conflict(reason);
}

/** The sweep ends a version only while it is the row's, and has expired. */
function decideExpire(write: Write, row: RowState | undefined): Decision {
  const version = write.ifMatch as string;
  if (row?.version !== version) return decideIfMatch(write, row, version);
  const isEnded = row.deletedAt === null && seeRow(row, write).deletedAt !== null;
  return isEnded ? APPLIED : conflict("The item has not expired.");
}
