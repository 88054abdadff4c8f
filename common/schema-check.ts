import type { Collection, Field, FieldKind } from "./collection.ts";
import { type Columns, type Pool, query } from "./database.ts";
import { COLUMNS } from "./tables.ts";

/** The column types that store each kind of field without loss. */
const TYPES: Record<FieldKind, readonly string[]> = {
  text: ["varchar", "char", "text", "mediumtext", "longtext"],
  integer: ["bigint", "int"],
  number: ["double"],
  boolean: ["tinyint"],
  dateTime: ["datetime"],
  json: ["json", "longtext"],
};

/**
 * Compares the tables with the declared collections. Returns a sentence for each thing that is
 * missing or wrong. Rejects if the query fails.
 */
export async function findSchemaFaults(
  pool: Pool,
  collections: readonly Collection[],
): Promise<string[]> {
  const columns = await query(
    pool,
    "SELECT TABLE_NAME AS tableName, COLUMN_NAME AS name, DATA_TYPE AS type," +
      " IS_NULLABLE AS nullable, DATETIME_PRECISION AS digits" +
      " FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = DATABASE()",
  );
  const indexes = await query(
    pool,
    "SELECT TABLE_NAME AS tableName, COLUMN_NAME AS name FROM information_schema.STATISTICS" +
      " WHERE TABLE_SCHEMA = DATABASE() AND SEQ_IN_INDEX = 1",
  );
  const hasTable = (name: string) => columns.some(({ tableName }) => tableName === name);
  const missing = [...collections.map(({ name }) => name), "writes", "dead_letters"]
    .filter((name) => !hasTable(name))
    .map((name) => `The table ${name} is missing; run the migrations.`);
  const faults = collections
    .filter(({ name }) => hasTable(name))
    .flatMap((collection) => findTableFaults(collection, columns, indexes));
  return [...missing, ...faults];
}

function findTableFaults(collection: Collection, columns: Columns[], indexes: Columns[]): string[] {
  const own = columns.filter(({ tableName }) => tableName === collection.name);
  const find = (name: string) => own.find((column) => column.name === name);
  const isIndexed = (name: string) =>
    indexes.some((index) => index.tableName === collection.name && index.name === name);
  return [
    ...COLUMNS.filter((name) => !find(name)).map(
      (name) => `The column ${collection.name}.${name} is missing.`,
    ),
    ...collection.fields.flatMap((field) =>
      findColumnFaults(`${collection.name}.${field.column}`, field, find(field.column)),
    ),
    ...["deleted_at", ...collection.filters.map(({ column }) => column)]
      .filter((name) => find(name) && !isIndexed(name))
      .map(
        (name) => `No index starts with ${collection.name}.${name}; lists would scan the table.`,
      ),
  ];
}

function findColumnFaults(place: string, field: Field, column: Columns | undefined): string[] {
  if (!column) return [`The column ${place} is missing.`];
  const faults: string[] = [];
  const types = TYPES[field.kind];
  if (!types.includes(String(column.type).toLowerCase()))
    faults.push(`The column ${place} is ${column.type}, but must be ${types.join(" or ")}.`);
  if (field.kind === "dateTime" && Number(column.digits) !== 3)
    faults.push(`The column ${place} must be DATETIME(3), to keep milliseconds.`);
  if (column.nullable !== "YES")
    faults.push(`The column ${place} must allow NULL: tombstones store NULL there.`);
  return faults;
}
