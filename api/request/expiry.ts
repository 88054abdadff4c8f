import { CLOCK_SKEW_MS, EXPIRY_GRACE_MS } from "../../common/limits.ts";
import type { RowState } from "../../common/tables.ts";
import type { Write } from "../../common/write.ts";
import { getWriteTime, mintWriteId } from "../../common/write-id.ts";
import { Problem } from "../answer/problem.ts";

/**
 * Sets the expiry of an item that names none to the latest that its collection allows. Throws 422 for
 * one too far ahead, by this process's clock.
 */
export function setExpiry({ collection: { expires }, item }: Write): void {
  if (!expires || !item) return;
  const { field, most, mostMs } = expires;
  const nowMs = Date.now();
  item[field.name] ??= new Date(nowMs + mostMs).toISOString();
  if (Date.parse(String(item[field.name])) - nowMs > mostMs)
    throw invalidExpiry(field.name, `be at most ${most} from now.`);
}

/**
 * Throws 422 where the item's expiry is in the past, by this process's clock. It may be in a repeated
 * create with a key: whether that is one, the row says, or settlement where the row is not known.
 */
export function refuseExpired(write: Write, row: RowState | undefined | "unknown"): void {
  const { item, fingerprint, collection } = write;
  if (!collection.expires || !item) return;
  if (fingerprint && (row === "unknown" || row?.fingerprint === fingerprint)) return;
  const { name } = collection.expires.field;
  if (Date.parse(String(item[name])) <= Date.now()) throw invalidExpiry(name, "be in the future.");
}

function invalidExpiry(name: string, detail: string): Problem {
  return new Problem("invalid-item", `The item is not valid: ${name} must ${detail}`, {
    errors: [{ pointer: `/${name}`, detail: `Must ${detail}` }],
  });
}

/**
 * Whether the clocks may differ on which side of the row's expiry a write is that is published now:
 * Pub/Sub's, which settlement judges by, and this process's.
 */
export function isNearExpiry({ expiresAt }: RowState): boolean {
  if (expiresAt === null || expiresAt === undefined) return false;
  return Math.abs(Date.now() - expiresAt) <= CLOCK_SKEW_MS + EXPIRY_GRACE_MS;
}

/** Whether the row may be nobody's for a write that is published now. */
export function mayBeFree({ expiresAt }: RowState): boolean {
  if (expiresAt === null || expiresAt === undefined) return false;
  return Date.now() >= expiresAt - CLOCK_SKEW_MS;
}

/** Whether the row is nobody's for a write that is published now, whichever clock is wrong. */
export function isSurelyFree({ expiresAt }: RowState): boolean {
  if (expiresAt === null || expiresAt === undefined) return false;
  return Date.now() >= expiresAt + EXPIRY_GRACE_MS + CLOCK_SKEW_MS;
}

/**
 * Mints the id anew where the row has a newer version, which an instance with a faster clock has
 * accepted: what that one held could not be renewed, nor taken after its expiry, until this clock has
 * come so far.
 */
export function mintAfterRow(write: Write, row: RowState | undefined | "unknown"): void {
  if (!write.collection.expires || write.kind === "create") return;
  if (row === "unknown" || !row || row.version < write.id) return;
  write.id = mintWriteId({ version: row.version, seen: true });
  write.acceptedAt = getWriteTime(write.id);
}
