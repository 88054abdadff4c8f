import type { Columns } from "./database.ts";
import { fromDateTime, toDateTime } from "./date-times.ts";
import type { FieldKind } from "./fields.ts";
import { parseJson } from "./json.ts";

/** Converts a field's value to its column's. */
export function toColumn(kind: FieldKind, value: unknown): unknown {
  if (value === undefined) return null;
  if (kind === "dateTime") return toDateTime(Date.parse(String(value)));
  if (kind === "json") return JSON.stringify(value);
  return value;
}

/** Converts a column that is not NULL to its field's value. */
export function fromColumn(kind: FieldKind, value: string | number | Buffer): unknown {
  if (kind === "boolean") return Number(value) === 1;
  if (kind === "integer" || kind === "number") return Number(value);
  if (kind === "dateTime") return new Date(fromDateTime(String(value))).toISOString();
  if (kind === "json") return parseJson(String(value));
  return value;
}

/** Converts a TINYINT(1) that may be NULL. */
export function toFlag(value: Columns[string] | undefined): boolean | null {
  return value === null || value === undefined ? null : Number(value) === 1;
}
