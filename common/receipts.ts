import { truncate } from "./characters.ts";
import type { Collection } from "./collection.ts";
import { toFlag } from "./column-values.ts";
import { type Connection, query } from "./database.ts";
import { fromDateTime, fromNullableDateTime, toDateTime } from "./date-times.ts";
import type { RowState } from "./tables.ts";
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

/** MySQL's limit on the column, in characters. */
const REASON_CHARACTERS = 255;

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

/** Whether any of these writes is in `writes`; waits for transactions that are inserting one. */
export async function isAnySettled(
  connection: Connection,
  ids: readonly string[],
): Promise<boolean> {
  if (ids.length === 0) return false;
  const sql = "SELECT outcome FROM writes FORCE INDEX (PRIMARY) WHERE id IN (?) LOCK IN SHARE MODE";
  return (await query(connection, sql, [ids])).length > 0;
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
    receipt.reason && truncate(receipt.reason, REASON_CHARACTERS),
    receipt.created,
    receipt.position ?? null,
    toDateTime(receipt.settledAt),
    receipt.trace,
    receipt.subject,
    receipt.acceptedAt === getWriteTime(receipt.write) ? null : toDateTime(receipt.acceptedAt),
  ]);
  await query(connection, `INSERT INTO writes (${WRITES_COLUMNS}) VALUES ?`, [values]);
}
