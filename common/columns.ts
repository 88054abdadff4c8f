import type { Columns } from "./database.ts";
import type { Field } from "./fields.ts";
import { ITEM_BYTES } from "./limits.ts";

/** A column of a table, as information_schema describes it. */
export type Column = {
  name: string;
  /** `varchar`. */
  type: string;
  /** `varchar(50)`, `int unsigned`, `datetime(3)`. */
  fullType: string;
  /** Of texts: the longest, and the collation, whose name begins with the character set. */
  characters: number;
  bytes: number;
  collation: string | null;
  allowsNull: boolean;
  isGenerated: boolean;
  /** Whether a row may be inserted by a statement that does not name the column. */
  isOptional: boolean;
};

/** What a column must be, in SQL for a sentence, and as a check. */
export type ColumnRequirement = { sql: string; isSatisfiedBy(column: Column): boolean };

/** Selects every column of the database; parse each row with {@link parseColumn}. */
export const SELECT_COLUMNS =
  "SELECT TABLE_NAME AS tableName, COLUMN_NAME AS name, DATA_TYPE AS type," +
  " COLUMN_TYPE AS fullType, CHARACTER_MAXIMUM_LENGTH AS characters," +
  " CHARACTER_OCTET_LENGTH AS bytes, COLLATION_NAME AS collation, IS_NULLABLE AS nullable," +
  " COLUMN_DEFAULT AS fallback, EXTRA AS extra" +
  " FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = DATABASE()";

/** Parses a row of {@link SELECT_COLUMNS}. MariaDB gives integers a display width: `int(11)`. */
export function parseColumn(row: Columns): Column {
  const allowsNull = row.nullable === "YES";
  const extra = String(row.extra);
  const isGenerated = /\b(virtual|stored) generated\b/i.test(extra);
  return {
    name: String(row.name),
    type: String(row.type).toLowerCase(),
    fullType: String(row.fullType)
      .toLowerCase()
      .replace(/int\(\d+\)/, "int"),
    characters: Number(row.characters),
    bytes: Number(row.bytes),
    collation: row.collation as string | null,
    allowsNull,
    isGenerated,
    isOptional: allowsNull || isGenerated || row.fallback !== null || /auto_increment/i.test(extra),
  };
}

/** Describes a column as SQL declares it. */
export function describeColumn({ fullType, collation }: Column): string {
  return collation === null ? fullType : `${fullType} COLLATE ${collation}`;
}

/** What stores a field's values without loss, and finds exactly those that are asked for. */
export function getFieldRequirement(field: Field): ColumnRequirement {
  if (field.kind === "text") return text(getMaxCharacters(field));
  if (field.kind === "integer") return integer(getRange(field));
  if (field.kind === "number") return NUMBER;
  if (field.kind === "boolean") return BOOLEAN;
  return field.kind === "dateTime" ? DATE_TIME : JSON_VALUE;
}

/** Ids and names in ASCII, up to so many characters; as a key, each is another one. */
export function ascii(characters: number): ColumnRequirement {
  return {
    sql: `VARCHAR(${characters}) COLLATE ascii_bin`,
    isSatisfiedBy: (column) =>
      ["varchar", "char"].includes(column.type) &&
      column.characters >= characters &&
      isBinary(column),
  };
}

/** Times to the millisecond. */
export const DATE_TIME: ColumnRequirement = {
  sql: "DATETIME(3)",
  isSatisfiedBy: ({ fullType }) => fullType === "datetime(3)",
};

/** Any text up to so many characters. CHAR would lose trailing spaces. */
export function text(maxCharacters: number): ColumnRequirement {
  const bytes = Math.min(4 * maxCharacters, ITEM_BYTES);
  const type = maxCharacters <= MAX_VARCHAR ? `VARCHAR(${maxCharacters})` : "MEDIUMTEXT";
  return {
    sql: `${type} COLLATE utf8mb4_bin`,
    isSatisfiedBy: (column) =>
      TEXT_TYPES.includes(column.type) &&
      isUtf8mb4(column) &&
      isBinary(column) &&
      column.bytes >= bytes,
  };
}

/** Messages of up to Pub/Sub's 10 MB. */
export const BYTES: ColumnRequirement = {
  sql: "LONGBLOB",
  isSatisfiedBy: ({ type }) => type === "longblob",
};

const TEXT_TYPES = ["varchar", "tinytext", "text", "mediumtext", "longtext"];
/** MySQL's limit on a VARCHAR of four bytes a character. */
const MAX_VARCHAR = 16_383;

/** A collation that tells all texts apart, but for trailing spaces. */
function isBinary({ collation }: Column): boolean {
  return collation?.endsWith("_bin") === true;
}

function isUtf8mb4({ collation }: Column): boolean {
  return collation?.startsWith("utf8mb4_") === true;
}

/** True or false. */
export const BOOLEAN: ColumnRequirement = {
  sql: "TINYINT",
  isSatisfiedBy: ({ type }) => type === "tinyint",
};

export const BIGINT: ColumnRequirement = {
  sql: "BIGINT",
  isSatisfiedBy: ({ type }) => type === "bigint",
};

/** Positions in a feed; those of rows from before it are 0. */
export const POSITION: ColumnRequirement = {
  sql: "BIGINT NOT NULL",
  isSatisfiedBy: (column) => BIGINT.isSatisfiedBy(column) && !column.allowsNull,
};

/** MariaDB's JSON is a LONGTEXT. */
const JSON_VALUE: ColumnRequirement = {
  sql: "JSON",
  isSatisfiedBy: (column) =>
    column.type === "json" ||
    (TEXT_TYPES.includes(column.type) && isUtf8mb4(column) && column.bytes >= ITEM_BYTES),
};

const INTEGER_BITS = new Map([
  ["tinyint", 8],
  ["smallint", 16],
  ["mediumint", 24],
  ["int", 32],
  ["bigint", 64],
]);

type Range = { min: number; max: number };

function integer({ min, max }: Range): ColumnRequirement {
  const fitsInt = min >= -(2 ** 31) && max < 2 ** 31;
  return {
    sql: `${fitsInt ? "INT" : "BIGINT"}, for ${min} to ${max}`,
    isSatisfiedBy({ type, fullType }) {
      const bits = INTEGER_BITS.get(type);
      if (bits === undefined) return false;
      return isUnsigned(fullType)
        ? min >= 0 && max < 2 ** bits
        : min >= -(2 ** (bits - 1)) && max < 2 ** (bits - 1);
    },
  };
}

/** DOUBLE(10,2) would round, and DOUBLE UNSIGNED, which MySQL deprecates, has no negative ones. */
const NUMBER: ColumnRequirement = {
  sql: "DOUBLE",
  isSatisfiedBy: ({ fullType }) => fullType === "double",
};

function isUnsigned(fullType: string): boolean {
  return /\bunsigned\b/.test(fullType);
}

/** Characters of the formats whose length is fixed, or has a maximum. */
const FORMAT_CHARACTERS = new Map([
  ["uuid", 36],
  ["date", 10],
  ["ipv4", 15],
  ["ipv6", 45],
]);

/** The most characters that the field's declaration allows; infinite where it names no maximum. */
function getMaxCharacters({ jsonSchema }: Field): number {
  const { maxLength, enum: values, const: only, format } = jsonSchema;
  const named = values ?? (only === undefined ? undefined : [only]);
  if (named) return Math.max(...named.map((value) => [...String(value)].length));
  return maxLength ?? FORMAT_CHARACTERS.get(format ?? "") ?? Number.POSITIVE_INFINITY;
}

/** The least and the greatest number that an integer field's declaration allows; zod always names both. */
function getRange({ jsonSchema }: Field): Range {
  const { minimum, maximum, exclusiveMinimum, exclusiveMaximum } = jsonSchema;
  return {
    min: minimum ?? Number(exclusiveMinimum) + 1,
    max: maximum ?? Number(exclusiveMaximum) - 1,
  };
}
