import type { Collection } from "./collection.ts";
import { type Connection, query } from "./database.ts";
import { fromDateTime, toDateTime } from "./date-times.ts";
import { SWEEP_AFTER_SECONDS } from "./limits.ts";
import { getSql } from "./tables.ts";

/** A row that has expired, and when, in milliseconds since 1970. */
export type ExpiredRow = { id: string; version: string; expiresAt: number };

/**
 * Selects rows that expired {@link SWEEP_AFTER_SECONDS} ago or longer, by MySQL's clock, the oldest
 * first, and after `after` if it is given; none where the collection's items do not expire.
 */
export async function selectExpired(
  connection: Connection,
  collection: Collection,
  { after, limit }: { after?: ExpiredRow | undefined; limit: number },
): Promise<ExpiredRow[]> {
  const { expires } = collection;
  if (!expires) return [];
  const expiry = `\`${expires.field.column}\``;
  const time = after && toDateTime(after.expiresAt);
  const rows = await query(
    connection,
    `SELECT id, version, ${expiry} AS expires_at FROM ${getSql(collection).table}` +
      ` WHERE deleted_at IS NULL AND ${expiry} <= UTC_TIMESTAMP(3) - INTERVAL ${SWEEP_AFTER_SECONDS} SECOND` +
      (after ? ` AND ${expiry} >= ? AND (${expiry} > ? OR id > ?)` : "") +
      ` ORDER BY ${expiry}, id LIMIT ${limit}`,
    after ? [time, time, after.id] : [],
  );
  return rows.map((columns) => ({
    id: String(columns.id),
    version: String(columns.version),
    expiresAt: fromDateTime(String(columns.expires_at)),
  }));
}
