import { truncate } from "./characters.ts";
import type { Collection } from "./collection.ts";
import { toFlag } from "./column-values.ts";
import { type Connection, query } from "./database.ts";
import { classifyDatabaseError, hideDataError } from "./database-faults.ts";
import {
  fromDateTime,
  fromNullableDateTime,
  toDateTime,
  toNullableDateTime,
} from "./date-times.ts";
import { selectStates } from "./row-states.ts";
import type { RowState } from "./tables.ts";
import { getTraceId } from "./telemetry/tracing.ts";
import { getWriteTime } from "./write-id.ts";

/** What became of a write. Once committed, it never changes. */
export type Outcome = "applied" | "superseded" | "conflict" | "duplicate" | "dead";

/** Why, as a word for programs, where the outcome alone does not say it. */
export type OutcomeCode = "not-owner" | "expired" | "unknown-schema";

/** The receipt of a settled write. Times are in milliseconds since 1970. */
export type Receipt = {
  write: string;
  collection: string;
  itemId: string;
  outcome: Outcome;
  code: OutcomeCode | null;
  reason: string | null;
  /** Whether the write began the item's life; null where an earlier release applied it. */
  created: boolean | null;
  /** Of an applied write, where the collection has a feed: its place among all applied writes. */
  position?: number | undefined;
  acceptedAt: number;
  settledAt: number;
  trace: string | null;
  /** Who has written, where the collection has an owner; of a current version, the item's owner. */
  subject: string | null;
};

/** A receipt is found by its write's id together with its item's. */
export type ReceiptKey = { collection: Collection; itemId: string; write: string };

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

/** MySQL's limit on the two reason columns, in characters. */
const WRITES_REASON_CHARACTERS = 255;
const DEAD_REASON_CHARACTERS = 1_000;

/** Converts a row to the receipt of its current version. */
export function toReceipt(collection: Collection, row: RowState): Receipt {
  const receipt: Receipt = {
    write: row.version,
    collection: collection.name,
    itemId: row.id,
    outcome: "applied",
    code: null,
    reason: null,
    created: row.created,
    acceptedAt: row.updatedAt,
    settledAt: row.appliedAt,
    trace: row.trace,
    subject: row.owner ?? null,
  };
  if (row.position !== undefined) receipt.position = row.position;
  return receipt;
}

/**
 * Selects the receipts of these writes to one collection and the rows of their items, by id. A write
 * without one is not settled. The caller checks that a receipt belongs to the item that it asked for.
 *
 * Each statement sees what is committed when it runs. The rows are read first: if a version is
 * replaced meanwhile, its receipt is in `writes` when that is read. Items whose receipt is found
 * there are read again, so that no row is older than its receipt: the item that a duplicate repeats
 * may have been created between the two statements.
 */
export async function selectReceipts(
  connection: Connection,
  collection: Collection,
  keys: readonly ReceiptKey[],
): Promise<{ receipts: Map<string, Receipt>; rows: Map<string, RowState> }> {
  const rows = new Map<string, RowState>();
  const readRows = async (own: readonly ReceiptKey[]) => {
    const ids = [...new Set(own.map(({ itemId }) => itemId))];
    for (const row of await selectStates(connection, collection, ids)) rows.set(row.id, row);
  };
  await readRows(keys);
  const receipts = new Map<string, Receipt>();
  const others: ReceiptKey[] = [];
  for (const key of keys) {
    const row = rows.get(key.itemId);
    if (row?.version === key.write) receipts.set(key.write, toReceipt(collection, row));
    else others.push(key);
  }
  const keep = (receipt: Receipt) => {
    if (receipt.collection === collection.name) receipts.set(receipt.write, receipt);
  };
  const listLeft = () => others.map(({ write }) => write).filter((write) => !receipts.has(write));
  (await selectSettled(connection, listLeft())).forEach(keep);
  (await selectDead(connection, listLeft())).forEach(keep);
  await readRows(others.filter(({ write }) => receipts.has(write)));
  return { receipts, rows };
}

const WRITES_COLUMNS =
  "id, collection, item_id, outcome, code, reason, created, position, settled_at, trace, subject," +
  " accepted_at";

/** Selects the receipts with these ids from `writes`. */
export async function selectSettled(
  connection: Connection,
  ids: readonly string[],
): Promise<Receipt[]> {
  if (ids.length === 0) return [];
  const rows = await query(connection, `SELECT ${WRITES_COLUMNS} FROM writes WHERE id IN (?)`, [
    ids,
  ]);
  return rows.map((columns) => ({
    write: columns.id as string,
    collection: columns.collection as string,
    itemId: columns.item_id as string,
    outcome: columns.outcome as Outcome,
    code: columns.code as OutcomeCode | null,
    reason: columns.reason as string | null,
    created: toFlag(columns.created),
    ...(columns.position === null ? {} : { position: Number(columns.position) }),
    acceptedAt: fromNullableDateTime(columns.accepted_at) ?? getWriteTime(columns.id as string),
    settledAt: fromDateTime(columns.settled_at as string),
    trace: columns.trace as string | null,
    subject: columns.subject as string | null,
  }));
}

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

/** Whether any of these writes is in `writes`; waits for transactions that are inserting one. */
export async function isAnySettled(
  connection: Connection,
  ids: readonly string[],
): Promise<boolean> {
  if (ids.length === 0) return false;
  const sql = "SELECT outcome FROM writes FORCE INDEX (PRIMARY) WHERE id IN (?) LOCK IN SHARE MODE";
  return (await query(connection, sql, [ids])).length > 0;
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

/** Inserts receipts into `writes`: of replaced versions, and of writes without effect. */
export async function insertReceipts(
  connection: Connection,
  receipts: readonly Receipt[],
): Promise<void> {
  if (receipts.length === 0) return;
  const values = receipts.map((receipt) => [
    receipt.write,
    receipt.collection,
    receipt.itemId,
    receipt.outcome,
    receipt.code,
    receipt.reason && truncate(receipt.reason, WRITES_REASON_CHARACTERS),
    receipt.created,
    receipt.position ?? null,
    toDateTime(receipt.settledAt),
    receipt.trace,
    receipt.subject,
    receipt.acceptedAt === getWriteTime(receipt.write) ? null : toDateTime(receipt.acceptedAt),
  ]);
  await query(connection, `INSERT INTO writes (${WRITES_COLUMNS}) VALUES ?`, [values]);
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
    truncate(deadLetter.reason, DEAD_REASON_CHARACTERS),
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
