import type { Collection } from "./collection.ts";
import { fromColumn, toColumn, toFlag } from "./column-values.ts";
import { type Columns, type Connection, type PoolConnection, query } from "./database.ts";
import {
  fromDateTime,
  fromNullableDateTime,
  toDateTime,
  toNullableDateTime,
} from "./date-times.ts";
import type { Field } from "./fields.ts";
import type { Item } from "./item-check.ts";
import { OWNER_COLUMN } from "./owner-field.ts";
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
  /**
   * Times in milliseconds since 1970: acceptance of the write that began the item's life, which never
   * changes after, and of the current version.
   */
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
  /**
   * Where the collection's items expire: when this one does; on a tombstone, when it was deleted or
   * had expired. Null for never.
   */
  expiresAt?: number | null;
  /** There too: when the message of the current version was published. */
  publishedAt?: number | null;
  /** There too, of a row that was read for a client: it has expired, and shows as a tombstone. */
  isExpired?: true;
  /**
   * Where the collection has a feed: the places of the current version, and of the write that began the
   * item's life, in the order of all applied writes. 0 where they were applied before there was a feed.
   */
  position?: number | undefined;
  createdPosition?: number | undefined;
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
  const { table, reads, expired } = getSql(collection);
  const rows: Row[] = [];
  let bytes = 0;
  const sql = `SELECT ${reads}${expired} FROM ${table} WHERE id IN (?)`;
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

/** Names and column lists of a collection's statements, built once. */
type Sql = {
  table: string;
  names: string;
  reads: string;
  /** What a {@link RowState} is read from. */
  states: string;
  /** For a column list of reads: whether the row has expired by MySQL's clock. */
  expired: string;
  /** For a condition: that the row has not expired. */
  alive: string;
};
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
/** Only where a collection's items expire. */
export const EXPIRY_COLUMN = "version_published_at";
/** The columns that the table of a collection with a feed has beside these. */
export const FEED_COLUMNS = ["position", "created_position"] as const;
const sqlByCollection = new WeakMap<Collection, Sql>();

/** The parts of a collection's statements. */
export function getSql(collection: Collection): Sql {
  const known = sqlByCollection.get(collection);
  if (known) return known;
  const { owner, expires, feed } = collection;
  const expiry = expires && `\`${expires.field.column}\``;
  const own = [...COLUMNS, ...(expiry ? [EXPIRY_COLUMN] : []), ...(feed ? FEED_COLUMNS : [])];
  const columns = [...own, ...collection.fields.map(({ column }) => `\`${column}\``)];
  const sql = {
    table: `\`${collection.name}\``,
    names: columns.join(", "),
    reads: [...own, ...collection.fields.map(formatRead)].join(", "),
    states: [
      ...own,
      ...(owner === undefined ? [] : [OWNER_COLUMN]),
      ...(expiry ? [expiry] : []),
    ].join(", "),
    // UTC_TIMESTAMP is one time in a whole statement, whatever the session's time zone.
    expired: expiry ? `, ${expiry} <= UTC_TIMESTAMP(3) AS is_expired` : "",
    alive: expiry ? `(${expiry} IS NULL OR ${expiry} > UTC_TIMESTAMP(3))` : "",
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
  const { owner, expires, feed } = collection;
  return [
    row.id,
    row.version,
    toDateTime(row.createdAt),
    toDateTime(row.updatedAt),
    toDateTime(row.appliedAt),
    toNullableDateTime(row.deletedAt),
    row.fingerprint,
    row.trace,
    row.created,
    ...(expires ? [toNullableDateTime(row.publishedAt)] : []),
    ...(feed ? [row.position, row.createdPosition] : []),
    ...collection.fields.map((field) => {
      if (field.name === owner) return row.owner;
      if (field === expires?.field) return toNullableDateTime(row.expiresAt);
      return toColumn(field.kind, row.item?.[field.name]);
    }),
  ];
}

/** Converts the columns that {@link getSql} reads. */
export function toRow(collection: Collection, columns: Columns): Row {
  const state = toState(collection, columns);
  return { ...state, item: state.deletedAt === null ? toItem(collection, columns) : null };
}

/** Converts the columns of a {@link RowState}. A row that was read as expired becomes a tombstone. */
export function toState({ owner, expires, feed }: Collection, columns: Columns): RowState {
  const state: RowState = {
    id: columns.id as string,
    version: columns.version as string,
    createdAt: fromDateTime(columns.created_at as string),
    updatedAt: fromDateTime(columns.updated_at as string),
    appliedAt: fromDateTime(columns.applied_at as string),
    deletedAt: fromNullableDateTime(columns.deleted_at),
    fingerprint: columns.fingerprint as string | null,
    trace: columns.trace as string | null,
    created: toFlag(columns.created_item),
    ...(owner === undefined ? {} : { owner: columns[OWNER_COLUMN] as string | null }),
  };
  if (feed) {
    state.position = Number(columns.position);
    state.createdPosition = Number(columns.created_position);
  }
  if (!expires) return state;
  state.expiresAt = fromNullableDateTime(columns[expires.field.column]);
  state.publishedAt = fromNullableDateTime(columns[EXPIRY_COLUMN]);
  if (state.deletedAt !== null || !toFlag(columns.is_expired)) return state;
  return { ...state, deletedAt: state.expiresAt, isExpired: true };
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
