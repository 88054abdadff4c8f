import type { Collection } from "./collection.ts";
import {
  ascii,
  BOOLEAN,
  type Column,
  type ColumnRequirement,
  DATE_TIME,
  describeColumn,
  getFieldRequirement,
  POSITION,
  parseColumn,
  SELECT_COLUMNS,
} from "./columns.ts";
import { type Columns, type Connection, query } from "./database.ts";
import { OWNER_COLUMN } from "./owner-field.ts";
import { SHARED_TABLES, type Table, toNullable } from "./shared-tables.ts";
import { type COLUMNS, EXPIRY_COLUMN, type FEED_COLUMNS } from "./tables.ts";

/** The columns that every collection's table has; the fields' come after them. */
const ITEM_REQUIREMENTS: Record<(typeof COLUMNS)[number], ColumnRequirement> = {
  id: ascii(64),
  version: ascii(36),
  created_at: DATE_TIME,
  updated_at: DATE_TIME,
  applied_at: DATE_TIME,
  deleted_at: DATE_TIME,
  fingerprint: ascii(64),
  trace: ascii(32),
  created_item: BOOLEAN,
};

/** Those of a collection with a feed. */
const FEED_REQUIREMENTS: Record<(typeof FEED_COLUMNS)[number], ColumnRequirement> = {
  position: POSITION,
  created_position: POSITION,
};

/**
 * Compares the tables with the declared collections: whether each column holds every value that
 * the declaration allows, exactly, and whether rows can be inserted at all. Returns a sentence for
 * each thing that is missing or wrong. Rejects if a query fails.
 */
export async function findSchemaFaults(
  connection: Connection,
  collections: readonly Collection[],
): Promise<string[]> {
  const columns = await query(connection, SELECT_COLUMNS);
  const indexes = await query(
    connection,
    "SELECT TABLE_NAME AS tableName, INDEX_NAME AS indexName, COLUMN_NAME AS name," +
      " SEQ_IN_INDEX AS place, SUB_PART AS prefix," +
      " NON_UNIQUE = 0 AS isUnique FROM information_schema.STATISTICS" +
      " WHERE TABLE_SCHEMA = DATABASE() ORDER BY SEQ_IN_INDEX",
  );
  const engines = await query(
    connection,
    "SELECT TABLE_NAME AS tableName, ENGINE AS engine FROM information_schema.TABLES" +
      " WHERE TABLE_SCHEMA = DATABASE()",
  );
  const tables = [...collections.map(toTable), ...SHARED_TABLES];
  const followed = collections.filter(({ feed }) => feed);
  const isFeeds = ({ tableName, name }: Columns) => tableName === "feeds" && name === "collection";
  const feeds =
    followed.length > 0 && columns.some(isFeeds)
      ? await query(connection, "SELECT collection FROM feeds")
      : undefined;
  const isOf =
    ({ name }: Table) =>
    ({ tableName }: Columns) =>
      tableName === name;
  const isThere = (table: Table) => columns.some(isOf(table));
  return [
    ...tables
      .filter((table) => !isThere(table))
      .map(({ name }) => `The table ${name} is missing; run the migrations.`),
    ...tables.filter(isThere).flatMap((table) => {
      const own = columns.filter(isOf(table)).map(parseColumn);
      return [
        ...findEngineFaults(table, engines.find(isOf(table))?.engine),
        ...findColumnFaults(table, own),
        ...findIndexFaults(table, own, indexes.filter(isOf(table))),
      ];
    }),
    ...followed
      .filter(({ name }) => feeds && !feeds.some(({ collection }) => collection === name))
      .map(({ name }) => `The table feeds has no row of ${name}.`),
  ];
}

function toTable({ name, fields, filters, owner, reads, expires, feed }: Collection): Table {
  const first = reads === "owner" ? ["deleted_at", OWNER_COLUMN] : [];
  const ownFields = fields.filter((field) => field.name !== owner);
  const created = feed ? ["created_position"] : [];
  return {
    name,
    key: "id",
    requirements: new Map([
      ...Object.entries(ITEM_REQUIREMENTS),
      ...ownFields.map((field) => [field.column, getFieldRequirement(field)] as const),
      ...(owner === undefined ? [] : [[OWNER_COLUMN, ascii(255)] as const]),
      ...(expires ? [[EXPIRY_COLUMN, DATE_TIME] as const] : []),
      ...(feed ? Object.entries(FEED_REQUIREMENTS) : []),
    ]),
    nullable: new Map([
      ...toNullable("deleted_at", "fingerprint", "trace", "created_item"),
      ...(expires ? toNullable(EXPIRY_COLUMN) : []),
      ...ownFields.map(({ column }) => [column, ": tombstones store NULL there"] as const),
    ]),
    indexed: [
      ...[
        [...(first.length === 0 ? ["deleted_at"] : []), ...created],
        ...filters.map(({ column }) => [column]),
      ].map((columns) => ({ columns: [...first, ...columns], reader: "lists" })),
      ...(expires ? [{ columns: ["deleted_at", expires.field.column], reader: "the sweep" }] : []),
      ...(feed
        ? [
            { columns: [...first.slice(1), "position"], reader: "the feed" },
            { columns: ["version"], reader: "the look-up of a write by its id" },
          ]
        : []),
    ],
    unique: [],
  };
}

/** A table of another engine keeps what a transaction rolls back. */
function findEngineFaults({ name }: Table, engine: unknown): string[] {
  return engine === "InnoDB"
    ? []
    : [`The table ${name} must be an InnoDB table, not ${engine ?? "a view"}.`];
}

function findColumnFaults({ name, requirements, nullable }: Table, columns: Column[]): string[] {
  const byName = new Map(columns.map((column) => [column.name, column] as const));
  const faults: string[] = [];
  for (const [key, requirement] of requirements) {
    const place = `The column ${name}.${key}`;
    const column = byName.get(key);
    const reason = nullable.get(key);
    if (!column) faults.push(`${place} is missing.`);
    else if (column.isGenerated) faults.push(`${place} is generated, and cannot be written.`);
    else if (!requirement.isSatisfiedBy(column))
      faults.push(`${place} is ${describeColumn(column)}, but must be ${requirement.sql}.`);
    if (column && !column.allowsNull && reason !== undefined)
      faults.push(`${place} must allow NULL${reason}.`);
  }
  for (const column of columns)
    if (!requirements.has(column.name) && !column.isOptional)
      faults.push(
        `The column ${name}.${column.name} is not declared; it must allow NULL or have a default.`,
      );
  return faults;
}

function findIndexFaults(
  { name, key, indexed, unique }: Table,
  columns: Column[],
  indexes: Columns[],
) {
  const primary = indexes.filter(({ indexName }) => indexName === "PRIMARY");
  const isAt = (place: number, column: string | undefined) => (index: Columns) =>
    Number(index.place) === place && index.name === column;
  const isIndexed = ([first, ...more]: readonly string[]) =>
    indexes
      .filter(isAt(1, first))
      .some(({ indexName }) =>
        more.every((column, place) =>
          indexes.filter(isAt(place + 2, column)).some((index) => index.indexName === indexName),
        ),
      );
  const others = indexes.filter(
    ({ indexName, isUnique, name: column }) =>
      indexName !== "PRIMARY" && Number(isUnique) === 1 && !unique.includes(String(column)),
  );
  return [
    // A key on the first characters of ids would take two of them for one.
    ...(primary.length === 1 && primary[0]?.name === key && primary[0].prefix === null
      ? []
      : [`The primary key of ${name} must be (${key}).`]),
    // MySQL answers a repeated value as it answers a race for a new row.
    ...others.map(
      (index) => `The index ${index.indexName} on ${name}.${index.name} must not be unique.`,
    ),
    ...indexed
      .filter(({ columns: list }) =>
        list.every((column) => columns.some((one) => one.name === column)),
      )
      .filter(({ columns: list }) => !isIndexed(list))
      .map(({ columns: list, reader }) => {
        const [first, ...more] = list;
        const start = more.length === 0 ? `${name}.${first}` : `(${list.join(", ")}) of ${name}`;
        return `No index starts with ${start}; ${reader} would scan the table.`;
      }),
  ];
}
