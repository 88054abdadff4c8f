import type { z } from "zod";
import { convertsValues, toJsonSchema } from "./zod-schemas.ts";

/** One declared field, and its column in MySQL. */
export type Field = {
  name: string;
  column: string;
  kind: FieldKind;
  schema: z.ZodType;
  /** What the schema allows a client to send, as JSON Schema. */
  jsonSchema: z.core.JSONSchema.BaseSchema;
  required: boolean;
};

export type FieldKind = "text" | "integer" | "number" | "boolean" | "dateTime" | "json";

/** Names are used in URLs and as names of tables and columns; this form is valid in all of them. */
export const NAME = /^[a-z][a-zA-Z0-9]{0,47}$/;
const RESERVED_FIELDS = new Set([
  "id",
  "version",
  "createdAt",
  "updatedAt",
  "appliedAt",
  "deletedAt",
  "fingerprint",
  "trace",
  "createdItem",
  "versionPublishedAt",
  "limit",
  "cursor",
  "order",
  "after",
]);

export const TRANSFORMS_VALUE =
  "must not change its value when it is checked again: the API checks an item, and the subscriber" +
  " checks what the API has published. Remove the transform, or use overwrite()";
const CONVERTS_VALUE =
  "must not take one type for another, or a wrong value for its default: what is stored is what was" +
  " sent. Remove coerce, catch() or preprocess()";
/** Times of RFC 3339 that MySQL does not keep: before the year 1000, and finer than a millisecond. */
const UNSTORABLE_TIMES = [
  "0999-12-31T23:59:59Z",
  "0999-12-31T23:59:59.000Z",
  ...[4, 5, 6, 7, 8, 9].map((digits) => `2026-03-01T09:30:00.${"1".repeat(digits)}Z`),
];

/** Defines a field by its schema. Throws an error that names the collection and the field if that is not valid. */
export function defineField(collection: string, name: string, schema: z.ZodType): Field {
  const fail = (fault: string) => declarationError(collection, fault, name);
  // Names such as toString would be found on every object.
  if (!NAME.test(name) || RESERVED_FIELDS.has(name) || name in Object.prototype)
    throw fail(describeNameFault(RESERVED_FIELDS, name));
  const jsonSchema = toJsonSchema(schema, "input");
  if (jsonSchema?.anyOf || Array.isArray(jsonSchema?.type))
    throw fail(
      schema.safeParse(null).success
        ? "must not be null; it may be optional()"
        : "must have one type, not one of several",
    );
  const kinds: Record<string, FieldKind> = {
    string: jsonSchema?.format === "date-time" ? "dateTime" : "text",
    integer: "integer",
    number: "number",
    boolean: "boolean",
    array: "json",
    object: "json",
  };
  if (convertsValues(schema)) throw fail(CONVERTS_VALUE);
  const kind = kinds[String(jsonSchema?.type)];
  if (!kind || !jsonSchema)
    throw fail(`must have one of JSON's types: ${Object.keys(kinds).join(", ")}`);
  if (!toJsonSchema(schema, "output")) throw fail(TRANSFORMS_VALUE);
  if (kind === "dateTime" && UNSTORABLE_TIMES.some((time) => schema.safeParse(time).success))
    throw fail("must be declared with dateTime()");
  const required = !schema.safeParse(undefined).success;
  return { name, column: toSnakeCase(name), kind, schema, jsonSchema, required };
}

/** Says what is wrong with a name that is not of the form {@link NAME}, or that is reserved. */
export function describeNameFault(reserved: ReadonlySet<string>, name: string): string {
  if (!NAME.test(name))
    return `the name must be of the form ${NAME}: in camelCase, of at most 48 characters`;
  return `the name is reserved, as these are: ${[...reserved].join(", ")}, and what every object has`;
}

/** A declaration is wrong; the message is a sentence that is enough to mend it. */
export class DeclarationError extends Error {
  override name = "DeclarationError";
}

/** The error of a wrong declaration, which names the collection, and the field if it is one's. */
export function declarationError(collection: string, fault: string, field?: string): Error {
  const place = field === undefined ? "" : `, field "${field}"`;
  return new DeclarationError(`Collection "${collection}"${place}: ${fault.replace(/\.$/, "")}.`);
}

function toSnakeCase(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
