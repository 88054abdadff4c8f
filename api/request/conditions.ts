import { withDeadline } from "../../common/deadline.ts";
import {
  CONDITION_WAIT_MS,
  DAY_MS,
  EARLY_CHECK_DEADLINE_MS,
  LEAST_RECEIPT_RETENTION_DAYS,
} from "../../common/limits.ts";
import type { RowState } from "../../common/tables.ts";
import type { Write } from "../../common/write.ts";
import { getWriteTime } from "../../common/write-id.ts";
import { Problem } from "../answer/problem.ts";
import { isUnavailable, type Reader } from "../reader.ts";
import { type Condition, toSecond } from "./condition-headers.ts";
import { isNearExpiry } from "./expiry.ts";

/**
 * Gives a write the condition that settlement has to check. Throws 412 where the row already shows
 * that it cannot hold. Where it may still hold, or MySQL does not respond, settlement decides, and so
 * it does of a row that is about to expire or has just expired. Returns whether the version in
 * If-Match is the row's.
 */
export async function applyCondition(
  reader: Reader,
  write: Write,
  condition: Condition,
  row: KnownRow,
): Promise<boolean> {
  const isOpen = row === "unknown" || (row !== undefined && isNearExpiry(row));
  if ("ifNoneMatch" in condition) {
    write.ifNoneMatch = true;
    if (!isOpen && row?.deletedAt === null)
      throw new Problem("failed-precondition", "The item already exists.");
    return false;
  }
  const alive = isOpen && row !== "unknown" && row.isExpired ? { ...row, deletedAt: null } : row;
  if ("unmodifiedSince" in condition) {
    write.ifMatch = await findUnmodified(reader, write, alive, condition.unmodifiedSince);
    return true;
  }
  write.ifMatch = condition.ifMatch === "*" ? "*" : chooseVersion(condition.ifMatch, alive);
  return row !== "unknown" && write.ifMatch === row?.version;
}

/** However long MySQL was away, Pub/Sub keeps no message for longer. */
const IN_FLIGHT_MS = LEAST_RECEIPT_RETENTION_DAYS * DAY_MS;

/** The one version of If-Match that the item may have, which settlement checks. */
function chooseVersion(versions: readonly string[], row: KnownRow): string {
  const isPossible = (version: string, inFlightMs = IN_FLIGHT_MS) =>
    row === "unknown" ||
    (row?.deletedAt === null && row.version === version) ||
    (version > (row?.version ?? "") && Date.now() - getWriteTime(version) < inFlightMs);
  const possible = versions.filter((version) => isPossible(version));
  // Of several, one that was not settled for long is less likely than the row's own.
  const recent = possible.filter((version) => isPossible(version, CONDITION_WAIT_MS));
  const [first, ...others] = recent.length === 1 ? recent : possible;
  if (first === undefined)
    throw new Problem("failed-precondition", "The item is not at a version in If-Match.");
  if (others.length === 0) return first;
  throw new Problem(
    "unavailable",
    "It is not known yet which version in If-Match the item has. Retry later, or name one.",
  );
}

/**
 * The item's version, where it is the only one since that second (RFC 9110, 13.1.4): then it is the
 * one whose Last-Modified the client has. A date later than that is the client's own, and the version
 * must have been applied by then. Throws 412 where it is another, or there is no item.
 */
async function findUnmodified(
  reader: Reader,
  { collection, itemId }: Write,
  row: KnownRow,
  since: number,
): Promise<string> {
  if (row === "unknown")
    throw new Problem("unavailable", "If-Unmodified-Since cannot be evaluated. Retry later.");
  const isUnmodified =
    row?.deletedAt === null &&
    (toSecond(row.updatedAt) < since
      ? row.appliedAt <= since
      : toSecond(row.updatedAt) === since &&
        !(await reader.isReplacedWithinSecond(collection, itemId, since)));
  if (isUnmodified) return row.version;
  throw new Problem(
    "failed-precondition",
    "The item was modified since If-Unmodified-Since, or does not exist.",
  );
}

/** Throws 422 where the row already shows that the idempotency key was used with another body. */
export function checkReusedKey(write: Write, row: KnownRow): void {
  if (row === "unknown" || !row?.fingerprint || row.fingerprint === write.fingerprint) return;
  throw new Problem("reused-key", "The Idempotency-Key was already used with another body.");
}

/** The state of an item's row, or that MySQL took long to answer. */
export type KnownRow = RowState | undefined | "unknown";

/** The row, unless MySQL takes long to answer: a write does not wait for it. */
export async function readKnownRow(reader: Reader, write: Write): Promise<KnownRow> {
  try {
    return await withDeadline(
      reader.state(write.collection, write.itemId),
      EARLY_CHECK_DEADLINE_MS,
    );
  } catch (error) {
    if (isUnavailable(error)) return "unknown";
    throw error;
  }
}
