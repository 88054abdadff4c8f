import { z } from "zod";
import { ITEM_DEPTH } from "./limits.ts";

/** An item as the client sends it: its declared fields, without the id. */
export type Item = Record<string, unknown>;

/** One fault of a request body: where (RFC 6901 JSON Pointer) and what, as a sentence. */
export type FieldError = { pointer: string; detail: string };

/** One declared field and how it stands in MySQL. */
export type Field = {
  name: string;
  column: string;
  kind: FieldKind;
  schema: z.ZodType;
  required: boolean;
};

export type FieldKind = "text" | "integer" | "number" | "boolean" | "dateTime" | "json";

/** A declared resource: one table, one set of routes, one part of the OpenAPI document. */
export type Collection = {
  name: string;
  fields: readonly Field[];
  filters: readonly Field[];
  schema: z.ZodType<Item>;
  example: Item;
};

/** Names become URL segments, table names and columns, so they stay within what all three allow. */
const NAME = /^[a-z][a-zA-Z0-9]{0,47}$/;
const RESERVED_TABLES = new Set(["writes", "deadletters", "migrations", "migrationslock"]);
const RESERVED_FIELDS = new Set([
  ...["id", "version", "createdAt", "updatedAt", "appliedAt", "deletedAt", "fingerprint"],
  ...["trace", "limit", "cursor", "order", "after"],
]);

/**
 * Declares a collection. `fields` are zod schemas (use {@link text} and {@link dateTime} for
 * those two kinds); `filters` names the fields that `GET ?field=` may filter on, each of which
 * needs an index `(field, deleted_at, created_at, id)`; `example` stands in the OpenAPI document.
 * Throws a sentence where the declaration cannot hold.
 */
export function defineCollection<Shape extends Record<string, z.ZodType>>(declaration: {
  name: string;
  fields: Shape;
  filters?: readonly (keyof Shape & string)[];
  example: { [Name in keyof Shape]?: unknown };
}): Collection {
  const { name, example } = declaration;
  if (!NAME.test(name) || RESERVED_TABLES.has(name.toLowerCase()))
    throw new Error(`The collection name "${name}" is reserved or is not of the form ${NAME}.`);
  const fields = Object.entries(declaration.fields).map(([field, schema]) =>
    defineField(name, field, schema),
  );
  const filters = (declaration.filters ?? []).map((filter) => {
    const field = fields.find((candidate) => candidate.name === filter);
    if (!field || field.kind === "json")
      throw new Error(`The collection "${name}" cannot filter on "${filter}".`);
    return field;
  });
  const schema = z.strictObject(declaration.fields) as unknown as z.ZodType<Item>;
  const collection = { name, fields, filters, schema, example };
  const check = checkItem(collection, example);
  if (!check.ok)
    throw new Error(`The example of "${name}" is not valid: ${describe(check.errors)}`);
  return collection;
}

const countCharacters = (count: number) => (count === 1 ? "1 character" : `${count} characters`);

/** A string of `min` to `max` characters, counted in code points as JSON Schema and MySQL do. */
export function text({ min = 0, max }: { min?: number; max: number }): z.ZodType<string> {
  return z
    .string()
    .refine((value) => value.length >= min, {
      error: `Must have at least ${countCharacters(min)}.`,
    })
    .refine((value) => value.length <= max || [...value].length <= max, {
      error: `Must have at most ${countCharacters(max)}.`,
    })
    .meta({ minLength: min, maxLength: max });
}

/** An RFC 3339 instant to the millisecond, normalised to UTC: `2026-03-01T09:30:00.000Z`. */
export function dateTime(): z.ZodType<string> {
  return z.iso
    .datetime({ offset: true, abort: true, error: "Must be an RFC 3339 date-time with a zone." })
    .refine((value) => /^[1-9]/.test(value) && !/\.\d{4}/.test(value), {
      abort: true,
      error: "Must be in the years 1000 to 9999, to the millisecond at most.",
    })
    .overwrite((value) => (Number.isNaN(Date.parse(value)) ? value : new Date(value).toISOString()))
    .refine((value) => /^[1-9]\d{3}-/.test(value), {
      error: "Must be in the years 1000 to 9999, in UTC too.",
    });
}

/**
 * Checks and normalises one item against its collection. The API calls it before it publishes
 * and the subscriber after delivery, so what one accepts the other can store.
 */
export function checkItem(
  collection: Collection,
  value: unknown,
): { ok: true; item: Item } | { ok: false; errors: FieldError[] } {
  if (typeof value !== "object" || value === null || Array.isArray(value))
    return { ok: false, errors: [{ pointer: "", detail: "Must be a JSON object." }] };
  if (isTooDeep(value)) return { ok: false, errors: explainDepth(value) };
  const parsed = collection.schema.safeParse(value);
  if (!parsed.success)
    return { ok: false, errors: parsed.error.issues.flatMap((issue) => explain(issue, value)) };
  const errors = Object.entries(parsed.data).flatMap(([key, part]) => checkText(part, `/${key}`));
  return errors.length === 0 ? { ok: true, item: parsed.data } : { ok: false, errors };
}

/** Whether a JSON value is nested deeper than an item may be; what recurses checks this first. */
export function isTooDeep(value: unknown, levels = ITEM_DEPTH): boolean {
  if (typeof value !== "object" || value === null) return false;
  return levels === 0 || Object.values(value).some((part) => isTooDeep(part, levels - 1));
}

/** Fault list as one line, for logs and reasons. */
export function describe(errors: readonly FieldError[]): string {
  return errors.map(({ pointer, detail }) => `${pointer || "/"}: ${detail}`).join(" ");
}

function defineField(collection: string, name: string, schema: z.ZodType): Field {
  if (!NAME.test(name) || RESERVED_FIELDS.has(name))
    throw new Error(`The field "${name}" of "${collection}" has a reserved or unusable name.`);
  const { type, format, anyOf } = z.toJSONSchema(schema, { io: "input" }) as {
    [key: string]: unknown;
  };
  if (anyOf || Array.isArray(type))
    throw new Error(`The field "${name}" of "${collection}" must have one type; not null.`);
  const kinds: Record<string, FieldKind> = {
    string: format === "date-time" ? "dateTime" : "text",
    integer: "integer",
    number: "number",
    boolean: "boolean",
    array: "json",
    object: "json",
  };
  const kind = kinds[String(type)];
  if (!kind) throw new Error(`The field "${name}" of "${collection}" has no known type.`);
  const required = !schema.safeParse(undefined).success;
  return { name, column: toSnakeCase(name), kind, schema, required };
}

function toSnakeCase(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

/** zod's issues as sentences with a pointer each; a missing field is said to be missing. */
function explain(issue: z.core.$ZodIssue, body: object): FieldError[] {
  if (issue.code === "unrecognized_keys")
    return issue.keys.map((key) => ({
      pointer: pointer([...issue.path, key]),
      detail: "Is not a field of this collection.",
    }));
  const missing = issue.code === "invalid_type" && lookUp(body, issue.path) === undefined;
  const detail = missing ? "Is required." : sentence(issue.message);
  return [{ pointer: pointer(issue.path), detail }];
}

function explainDepth(body: object): FieldError[] {
  const deep = Object.entries(body).filter(([, part]) => isTooDeep(part, ITEM_DEPTH - 1));
  const detail = `Must be nested at most ${ITEM_DEPTH - 1} levels deep.`;
  return deep.map(([key]) => ({ pointer: pointer([key]), detail }));
}

function lookUp(body: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>((value, key) => (value as Item | undefined)?.[String(key)], body);
}

function pointer(path: readonly PropertyKey[]): string {
  return path.map((key) => `/${escapePointer(String(key))}`).join("");
}

function escapePointer(key: string): string {
  return key.toWellFormed().slice(0, 100).replaceAll("~", "~0").replaceAll("/", "~1");
}

function sentence(message: string): string {
  const text = message.replace(/^Invalid input: /, "");
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}${text.endsWith(".") ? "" : "."}`;
}

/** NUL and lone surrogates have no exact place in MySQL's utf8mb4 text and are refused anywhere. */
function checkText(value: unknown, at: string): FieldError[] {
  if (typeof value === "string")
    return value.isWellFormed() && !value.includes("\0")
      ? []
      : [{ pointer: at, detail: "Must be well-formed Unicode without NUL characters." }];
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([key, part]) => [
    ...checkText(key, at),
    ...checkText(part, `${at}/${escapePointer(key)}`),
  ]);
}
