import { EXPIRY_GRACE_MS } from "../common/limits.ts";
import type { RowState } from "../common/tables.ts";
import type { Write } from "../common/write.ts";

/*
 * Expiry is judged by the write's publish time, which Pub/Sub's own clock stamps, and which every
 * redelivery keeps. Neither an instance's clock, nor a version that a client makes up, nor a long way
 * to the subscriber can shorten another's hold. To a write without a publish time nothing has expired.
 */

/**
 * The row as the write finds it. From its expiry on, an item is gone, as by a delete: its row is a
 * tombstone of its own version. Once it is free, the tombstone is that of whoever writes.
 */
export function seeRow(row: RowState, write: Write): RowState {
  if (!hasExpired(row, write, 0)) return row;
  const seen = { ...row, deletedAt: row.deletedAt ?? row.expiresAt };
  return isFree(row, write) ? { ...seen, owner: write.subject ?? null } : seen;
}

/** Whether the row is nobody's any more when the write is published: a little after its expiry. */
export function isFree(row: RowState, write: Write): boolean {
  return hasExpired(row, write, EXPIRY_GRACE_MS);
}

function hasExpired(
  row: RowState,
  { publishedAt = Number.NEGATIVE_INFINITY }: Write,
  graceMs: number,
): row is RowState & { expiresAt: number } {
  const { expiresAt } = row;
  return expiresAt !== null && expiresAt !== undefined && publishedAt >= expiresAt + graceMs;
}

/** Whether a write makes an item that expires. */
export function hasExpiry(write: Write): boolean {
  return getExpiry(write) !== null;
}

/** Whether a write has expired before it was published: it came too late to be of any use. */
export function isExpiredAtPublish(write: Write): boolean {
  const expiresAt = getExpiry(write);
  return expiresAt !== null && (write.publishedAt ?? Number.NEGATIVE_INFINITY) >= expiresAt;
}

/**
 * Whether the row's version was published after this write, by more than the clocks of Pub/Sub's
 * servers may differ. Then it is the newer one, whatever the ids say: an API instance whose clock is
 * ahead must not let an old renewal, or an old release, shorten what was held since.
 */
export function isPublishedBefore(write: Write, row: RowState): boolean {
  const publishedAt = getPlace(write);
  if (publishedAt === undefined || !row.publishedAt) return false;
  return publishedAt + EXPIRY_GRACE_MS < row.publishedAt;
}

/**
 * The publish time that places a write among others. A replay has the dead write's, so that it replaces
 * nothing that the dead write would not have, and nothing that is still in flight is behind it. What
 * has expired is judged by its own: a hold cannot begin before it is there.
 */
function getPlace({ firstPublishedAt, publishedAt }: Write): number | undefined {
  return firstPublishedAt ?? publishedAt;
}

/** What the row keeps of an applied write, where the collection's items expire. */
export function describeExpiry(
  write: Write,
  row: RowState | undefined,
): Pick<RowState, "expiresAt" | "publishedAt"> {
  if (!write.collection.expires) return {};
  const { kind } = write;
  if (kind === "expire")
    return { expiresAt: row?.expiresAt ?? null, publishedAt: row?.publishedAt ?? null };
  // A replay's place may be before another's hold, and nothing behind it may begin in that.
  const freeAt = row?.expiresAt && isFree(row, write) ? row.expiresAt + EXPIRY_GRACE_MS : 0;
  return {
    expiresAt: kind === "delete" ? getEnd(write, row) : getExpiry(write),
    publishedAt: Math.max(getPlace(write) ?? 0, row?.publishedAt ?? 0, freeAt) || null,
  };
}

/** A delete ends what is held when it is published; what had ended before stays as it was. */
function getEnd({ publishedAt }: Write, row: RowState | undefined): number | null {
  if (publishedAt === undefined) return null;
  return Math.min(publishedAt, row?.expiresAt ?? publishedAt);
}

/** When the item of a write expires, in milliseconds since 1970; null for never. */
function getExpiry({ collection, item }: Write): number | null {
  const value = collection.expires && item?.[collection.expires.field.name];
  return value === undefined ? null : Date.parse(String(value));
}
