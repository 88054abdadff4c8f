import { truncate } from "./characters.ts";
import { type Connection, query } from "./database.ts";
import { classifyDatabaseError, hideDataError } from "./database-faults.ts";
import {
  fromDateTime,
  fromNullableDateTime,
  toDateTime,
  toNullableDateTime,
} from "./date-times.ts";
import type { Receipt } from "./receipts.ts";
import { getTraceId } from "./telemetry/tracing.ts";
import { getWriteTime } from "./write-id.ts";

/** A message that can never be settled as a write. */
export type DeadLetter = {
  messageId: string;
  writeId: string | null;
  attributes: Record<string, string>;
  data: Buffer;
  reason: string;
  /** When the message was published, in milliseconds since 1970. */
  publishedAt?: number | undefined;
};

/** What the reason of a dead write begins with that only a newer version may know. */
export const UNKNOWN_SCHEMA = "unknown-schema: ";

/** MySQL's limit on the column, in characters. */
const REASON_CHARACTERS = 1_000;

/** Selects the receipts of the dead writes with these ids, as clients may see them. */
export async function selectDead(
  connection: Connection,
  ids: readonly string[],
): Promise<Receipt[]> {
  if (ids.length === 0) return [];
  const rows = await query(
    connection,
    // Of the attributes, which may have 128 KB, only these.
    `SELECT write_id, ${readAttribute("ce-source")} AS source, ${readAttribute("ce-subject")} AS item,` +
      ` ${readAttribute("traceparent")} AS traceparent, ${readAttribute("subject")} AS subject,` +
      ` ${readAttribute("ce-type")} AS type, reason, first_seen, published_at` +
      " FROM dead_letters WHERE write_id IN (?)",
    [ids],
  );
  return rows.map((columns) => ({
    write: columns.write_id as string,
    collection: (columns.source as string | null)?.replace("/api/", "") ?? "",
    itemId: (columns.item as string | null) ?? "",
    outcome: "dead",
    code: (columns.reason as string).startsWith(UNKNOWN_SCHEMA) ? "unknown-schema" : null,
    reason: hideDataError(columns.reason as string),
    created: false,
    acceptedAt:
      (isExpire(columns.type) ? fromNullableDateTime(columns.published_at) : null) ??
      getWriteTime(columns.write_id as string),
    settledAt: fromDateTime(columns.first_seen as string),
    trace: getTraceId((columns.traceparent as string | null) ?? undefined) ?? null,
    subject: columns.subject as string | null,
  }));
}

/** Its id has the time of the version that it ends. */
function isExpire(type: unknown): boolean {
  return String(type).endsWith(".expire");
}

function readAttribute(name: string): string {
  return `JSON_UNQUOTE(JSON_EXTRACT(attributes, '$."${name}"'))`;
}

/** Ids within this time are looked up as one range, which takes a fifth of the time of 500 keys. */
const DEAD_RANGE_MS = 5_000;

/**
 * Selects dead writes, those with these sorted ids and perhaps some between them; `lock` waits for
 * transactions that insert one. They are looked up by key where a condition names an old version, since
 * all dead letters of months would be read, and where somebody else has locked one between them.
 */
export async function selectDeadIds(
  connection: Connection,
  ids: readonly string[],
  { lock }: { lock: boolean },
): Promise<Set<string>> {
  const [first, last] = [ids[0], ids.at(-1)];
  if (first === undefined || last === undefined) return new Set();
  const sql = "SELECT write_id, reason FROM dead_letters FORCE INDEX (write_id) WHERE write_id";
  const locking = lock ? " LOCK IN SHARE MODE" : "";
  const byRange = () => query(connection, `${sql} BETWEEN ? AND ?${locking}`, [first, last]);
  const byKey = () => query(connection, `${sql} IN (?)${locking}`, [ids]);
  const retryByKey = (error: unknown) =>
    classifyDatabaseError(error) === "locked" ? byKey() : Promise.reject(error);
  const isNarrow = getWriteTime(last) - getWriteTime(first) <= DEAD_RANGE_MS;
  const rows = isNarrow ? await byRange().catch(retryByKey) : await byKey();
  return new Set(rows.map(({ write_id }) => write_id as string));
}

/** Inserts dead letters. For one that is there already (redelivered), updates `last_seen`. */
export async function insertDeadLetters(
  connection: Connection,
  deadLetters: readonly DeadLetter[],
  nowMs: number,
): Promise<void> {
  if (deadLetters.length === 0) return;
  const now = toDateTime(nowMs);
  const values = deadLetters.map((deadLetter) => [
    deadLetter.messageId,
    deadLetter.writeId,
    JSON.stringify(deadLetter.attributes),
    deadLetter.data.toString("base64"),
    truncate(deadLetter.reason, REASON_CHARACTERS),
    ...[now, now, toNullableDateTime(deadLetter.publishedAt)],
  ]);
  // Base64 needs 4 bytes for 3, the driver's hexadecimal 6: a message of 10 MB in hexadecimal would
  // exceed MariaDB's packet of 16 MiB, and be redelivered forever.
  await query(
    connection,
    "INSERT INTO dead_letters" +
      " (message_id, write_id, attributes, data, reason, first_seen, last_seen, published_at) VALUES " +
      values.map(() => "(?, ?, ?, FROM_BASE64(?), ?, ?, ?, ?)").join(", ") +
      " ON DUPLICATE KEY UPDATE last_seen = VALUES(last_seen)",
    values.flat(),
  );
}
