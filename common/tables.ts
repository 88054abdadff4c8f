import { type Collection, type Field, type FieldKind, OWNER_COLUMN } from "./collection.ts";
import { type Columns, type Connection, type PoolConnection, query } from "./database.ts";
import type { Item } from "./item-check.ts";
import { parseJson } from "./json.ts";
import { queryEach } from "./streamed-query.ts";

/** One row of a collection's table: an item, or the tombstone that a delete left. */
export type Row = RowState & {
  /** Null on a tombstone. */
  item: Item | null;
};

/** A row without its item, which may be large: all that is needed to decide a write. */
export type RowState = {
  id: string;
  /** The id of the write that was applied last; this row is its receipt. */
  version: string;
  /** Times in milliseconds since 1970: acceptance of the first and of the current version. */
  createdAt: number;
  updatedAt: number;
  /** When the current version was applied, by the subscriber's clock, just before the commit. */
  appliedAt: number;
  /** Acceptance time of the delete, on a tombstone. */
  deletedAt: number | null;
  /** The fingerprint of the keyed create that created this item. */
  fingerprint: string | null;
  /** Trace id of the current version's request. */
  trace: string | null;
  /** Whether the current version began the item's life; null where an earlier release applied it. */
  created: boolean | null;
  /** Whose item it is, where the collection has an owner; also on a tombstone. */
  owner?: string | null;
};

/**
 * Selects the rows with these ids, and stops once their items have `maxBytes`; of two or more rows,
 * the last may exceed it. Resolves to the rows, and to whether they are all that there are.
 */
export async function selectRowsWithin(
  connection: PoolConnection,
  collection: Collection,
  ids: readonly string[],
  maxBytes: number,
): Promise<{ rows: Row[]; isAll: boolean }> {
  const { table, reads } = getSql(collection);
  const rows: Row[] = [];
  let bytes = 0;
  const sql = `SELECT ${reads} FROM ${table} WHERE id IN (?)`;
  const isAll = await queryEach(connection, sql, [ids], (columns) => {
    bytes += countBytes(columns);
    rows.push(toRow(collection, columns));
    return bytes < maxBytes || rows.length === ids.length;
  });
  return { rows, isAll };
}

/** Whether any of these rows exists; waits for transactions that are inserting one. */
export async function isAnyRow(
  connection: Connection,
  collection: Collection,
  ids: readonly string[],
): Promise<boolean> {
  if (ids.length === 0) return false;
  const { table } = getSql(collection);
  const sql = `SELECT version FROM ${table} FORCE INDEX (PRIMARY) WHERE id IN (?) LOCK IN SHARE MODE`;
  return (await query(connection, sql, [ids])).length > 0;
}

/** Inserts rows that must not exist yet: ER_DUP_ENTRY on PRIMARY means a race. */
export async function insertRows(
  connection: Connection,
  collection: Collection,
  rows: readonly Row[],
): Promise<void> {
  if (rows.length === 0) return;
  const { table, names } = getSql(collection);
  const values = rows.map((row) => toColumns(collection, row));
  await query(connection, `INSERT INTO ${table} (${names}) VALUES ?`, [values]);
}

/**
 * Replaces rows that are locked by this transaction, in one statement. A column that this version does
 * not declare gets its default: what an earlier write has put there is not a part of the new version.
 */
export async function updateRows(
  connection: Connection,
  collection: Collection,
  rows: readonly Row[],
): Promise<void> {
  if (rows.length === 0) return;
  const { table, names } = getSql(collection);
  const values = rows.map((row) => toColumns(collection, row));
  await query(connection, `REPLACE INTO ${table} (${names}) VALUES ?`, [values]);
}

/** Formats milliseconds since 1970 as MySQL's DATETIME(3) in UTC. */
export function toDateTime(ms: number): string {
  const second = Math.floor(ms / 1_000);
  let text = formattedSeconds.get(second);
  if (text === undefined) {
    if (formattedSeconds.size >= MAX_FORMATTED_SECONDS) formattedSeconds.clear();
    text = new Date(second * 1_000).toISOString().slice(0, 19).replace("T", " ");
    formattedSeconds.set(second, text);
  }
  return `${text}.${String(ms - second * 1_000).padStart(3, "0")}`;
}

/** A cache: the times of a batch's rows are in few different seconds. */
const formattedSeconds = new Map<number, string>();
const MAX_FORMATTED_SECONDS = 100;

/** Parses MySQL's DATETIME(3) in UTC to milliseconds since 1970. */
export function fromDateTime(text: string): number {
  // Digit by digit: `Date.parse` takes three times as long, and each row has three dates.
  const digit = (place: number) => text.charCodeAt(place) - 48;
  const two = (place: number) => 10 * digit(place) + digit(place + 1);
  const [year, month, ms] = [100 * two(0) + two(2), two(5), 100 * digit(20) + two(21)];
  return Date.UTC(year, month - 1, two(8), two(11), two(14), two(17), ms);
}

/** Names and column lists of a collection's statements, built once. */
type Sql = { table: string; names: string; reads: string; states: string };
/** The columns that every collection's table has. */
export const COLUMNS = [
  "id",
  "version",
  "created_at",
  "updated_at",
  "applied_at",
  "deleted_at",
  "fingerprint",
  "trace",
  "created_item",
] as const;
const sqlByCollection = new WeakMap<Collection, Sql>();

/** The parts of a collection's statements. */
export function getSql(collection: Collection): Sql {
  const known = sqlByCollection.get(collection);
  if (known) return known;
  const columns = [...COLUMNS, ...collection.fields.map(({ column }) => `\`${column}\``)];
  const sql = {
    table: `\`${collection.name}\``,
    names: columns.join(", "),
    reads: [...COLUMNS, ...collection.fields.map(formatRead)].join(", "),
    states: [...COLUMNS, ...(collection.owner === undefined ? [] : [OWNER_COLUMN])].join(", "),
  };
  sqlByCollection.set(collection, sql);
  return sql;
}

/** Reads doubles as text: the driver's parser gets the last of 16 digits wrong. */
function formatRead({ column, kind }: Field): string {
  return kind === "number" ? `CAST(\`${column}\` AS CHAR) AS \`${column}\`` : `\`${column}\``;
}

/** Lists the values in the order of {@link getSql}'s names. */
function toColumns(collection: Collection, row: Row): unknown[] {
  return [
    row.id,
    row.version,
    toDateTime(row.createdAt),
    toDateTime(row.updatedAt),
    toDateTime(row.appliedAt),
    row.deletedAt === null ? null : toDateTime(row.deletedAt),
    row.fingerprint,
    row.trace,
    row.created,
    ...collection.fields.map(({ name, kind }) =>
      name === collection.owner ? row.owner : toColumn(kind, row.item?.[name]),
    ),
  ];
}

/** Converts the columns that {@link getSql} reads. */
export function toRow(collection: Collection, columns: Columns): Row {
  const state = toState(collection, columns);
  return { ...state, item: state.deletedAt === null ? toItem(collection, columns) : null };
}

/** Converts the columns that every table has, and that of the owner where there is one. */
export function toState({ owner }: Collection, columns: Columns): RowState {
  const deletedAt = columns.deleted_at as string | null;
  return {
    id: columns.id as string,
    version: columns.version as string,
    createdAt: fromDateTime(columns.created_at as string),
    updatedAt: fromDateTime(columns.updated_at as string),
    appliedAt: fromDateTime(columns.applied_at as string),
    deletedAt: deletedAt === null ? null : fromDateTime(deletedAt),
    fingerprint: columns.fingerprint as string | null,
    trace: columns.trace as string | null,
    created: toFlag(columns.created_item),
    ...(owner === undefined ? {} : { owner: columns[OWNER_COLUMN] as string | null }),
  };
}

/** Converts a TINYINT(1) that may be NULL. */
export function toFlag(value: Columns[string] | undefined): boolean | null {
  return value === null || value === undefined ? null : Number(value) === 1;
}

/** The bytes of a row's texts, or fewer where they have other characters than ASCII. */
function countBytes(columns: Columns): number {
  let bytes = 0;
  for (const name in columns) bytes += (columns[name] as string | null)?.length ?? 0;
  return bytes;
}

/** Converts columns to an item; NULL is an absent field. */
function toItem(collection: Collection, columns: Columns): Item {
  const item: Item = {};
  for (const { name, column, kind } of collection.fields) {
    const value = columns[column];
    if (value !== null && value !== undefined) item[name] = fromColumn(kind, value);
  }
  return item;
}

/** Converts a field's value to its column's. */
export function toColumn(kind: FieldKind, value: unknown): unknown {
  if (value === undefined) return null;
  if (kind === "dateTime") return toDateTime(Date.parse(String(value)));
  if (kind === "json") return JSON.stringify(value);
  return value;
}

function fromColumn(kind: FieldKind, value: string | number | Buffer): unknown {
  if (kind === "boolean") return Number(value) === 1;
  if (kind === "integer" || kind === "number") return Number(value);
  if (kind === "dateTime") return new Date(fromDateTime(String(value))).toISOString();
  if (kind === "json") return parseJson(String(value));
  return value;
}
