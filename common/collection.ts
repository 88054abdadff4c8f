import { isDeepStrictEqual } from "node:util";
import { z } from "zod";
import { defineExpiry, type Expiry } from "./expiry-field.ts";
import {
  declarationError,
  defineField,
  describeNameFault,
  type Field,
  NAME,
  TRANSFORMS_VALUE,
} from "./fields.ts";
import { checkItem, formatErrors, type Item } from "./item-check.ts";
import { defineOwner } from "./owner-field.ts";

/** A declared resource: it has a table, routes and a part of the OpenAPI document. */
export type Collection = {
  name: string;
  /** Which of its declarations this is, from 1; see `numberSchemas`. Messages carry it. */
  schemaNumber: number;
  fields: readonly Field[];
  filters: readonly Field[];
  /** Whether its applied writes are numbered, so that lists are exact and changes can be followed. */
  feed: boolean;
  schema: z.ZodType<Item>;
  example: Item;
  /** The field that says whose an item is, where items have owners. */
  owner?: string | undefined;
  /** Only its owner may read an item, its receipts and lists of them. */
  reads?: "owner" | undefined;
  /** When its items expire, where they do. */
  expires?: Expiry | undefined;
};

/** Tables of our own, and paths below `/api` that are kept for routes of our own. */
const RESERVED_NAMES = new Set([
  "announcements",
  "changes",
  "deadletters",
  "feeds",
  "migrations",
  "migrationslock",
  "receipts",
  "sweeps",
  "waiting",
  "writes",
]);
/** What a declaration may have. */
const DECLARED: readonly string[] = [
  "name",
  "fields",
  "filters",
  "feed",
  "example",
  "owner",
  "reads",
  "expires",
];
/** Names of columns that only a collection with a feed has. */
const FEED_FIELDS = new Set(["position", "createdPosition"]);

/**
 * Declares a collection. `fields` are zod schemas (use {@link text} and {@link dateTime} for
 * those two kinds). `filters` names the fields that `GET ?field=` may filter on; each needs an index
 * `(field, deleted_at, created_at, id)`. `example` is shown in the OpenAPI document. `owner` names a
 * field that is not among `fields`: the API fills it with the principal that has written, and only this
 * principal may replace or delete the item. With `reads: "owner"` nobody else may read it, and the
 * indexes of lists begin with `(deleted_at, owner, …)`. `expires` names the optional date-time at which
 * an item is gone (the API sets it where it is left out), and as an ISO 8601 duration the most that it
 * may be ahead; it needs an index `(deleted_at, field)`. `feed: true` numbers the applied writes in the
 * order of their commits (docs/api.md): lists are then in an order that is exact, by `created_position`,
 * which stands in place of `created_at, id` in the indexes; the price is one transaction at a time for
 * this collection. Throws an error that names the collection and the field if the declaration is invalid.
 */
export function defineCollection<Shape extends Record<string, z.ZodType>>(declaration: {
  name: string;
  fields: Shape;
  filters?: readonly (keyof Shape & string)[];
  feed?: boolean;
  example: { [Name in keyof Shape]?: unknown };
  owner?: string;
  reads?: "owner";
  expires?: { field: keyof Shape & string; most: string };
}): Collection {
  const { name, example, owner, reads, feed = false } = declaration;
  if (!NAME.test(name) || RESERVED_NAMES.has(name.toLowerCase()) || name in Object.prototype)
    throw declarationError(name, describeNameFault(RESERVED_NAMES, name));
  const unknown = Object.keys(declaration).find((key) => !DECLARED.includes(key));
  if (unknown !== undefined)
    throw declarationError(
      name,
      `${unknown} is none of what it may declare: ${DECLARED.join(", ")}`,
    );
  const fields = Object.entries(declaration.fields).map(([field, schema]) =>
    defineField(name, field, schema),
  );
  if (reads !== undefined && owner === undefined)
    throw declarationError(name, 'reads: "owner" needs an owner');
  // Whoever takes an expired item is its owner, and the feed of the one before would not show its end.
  if (reads !== undefined && feed && declaration.expires)
    throw declarationError(name, "a feed that only owners read cannot be of items that expire");
  if (owner !== undefined) fields.push(defineOwner(name, owner, fields));
  const taken = fields.find((field) => feed && FEED_FIELDS.has(field.name));
  if (taken) throw declarationError(name, "the name is reserved where there is a feed", taken.name);
  const filters = (declaration.filters ?? []).map((filter) => {
    const field = fields.find((candidate) => candidate.name === filter);
    if (!field || field.kind === "json")
      throw declarationError(name, "cannot be filtered on", filter);
    return field;
  });
  const shape = Object.fromEntries(fields.map((field) => [field.name, field.schema]));
  const schema = z.strictObject(shape) as unknown as z.ZodType<Item>;
  const expires = declaration.expires && defineExpiry(name, declaration.expires, fields);
  const own = { owner, reads, expires, feed };
  const collection = { name, schemaNumber: 1, fields, filters, schema, example, ...own };
  const check = checkItem(collection, example);
  if (!check.ok)
    throw declarationError(name, `the example is not valid: ${formatErrors(check.errors)}`);
  const changed = fields.find(({ name: field, schema }) => {
    const value = check.item[field];
    return !isDeepStrictEqual(schema.safeParse(value).data, value);
  });
  if (changed) throw declarationError(name, TRANSFORMS_VALUE, changed.name);
  return collection;
}

/**
 * Throws where two collections have the same name. Case does not tell them apart: on some servers it
 * does not tell their tables apart either.
 */
export function assertDistinctNames(collections: readonly Collection[]): void {
  const names = collections.map(({ name }) => name.toLowerCase());
  const repeated = collections.find(({ name }, place) => names.indexOf(name.toLowerCase()) < place);
  if (repeated) throw new Error(`There are two collections with the name "${repeated.name}".`);
}

const countCharacters = (count: number) => (count === 1 ? "1 character" : `${count} characters`);

/** A string of `min` to `max` characters, counted as code points, as JSON Schema and MySQL do. */
export function text({ min = 0, max }: { min?: number; max: number }): z.ZodType<string> {
  return z
    .string()
    .refine((value) => [...value].length >= min, {
      error: `Must have at least ${countCharacters(min)}.`,
    })
    .refine((value) => value.length <= max || [...value].length <= max, {
      error: `Must have at most ${countCharacters(max)}.`,
    })
    .meta({ minLength: min, maxLength: max });
}

/** An RFC 3339 date-time to the millisecond, normalised to UTC: `2026-03-01T09:30:00.000Z`. */
export function dateTime(): z.ZodType<string> {
  return z.iso
    .datetime({ offset: true, abort: true, error: "Must be an RFC 3339 date-time with a zone." })
    .refine((value) => /^[1-9]/.test(value) && !/\.\d{4}/.test(value), {
      abort: true,
      error: "Must be in the years 1000 to 9999, to the millisecond at most.",
    })
    .overwrite((value) => new Date(value).toISOString())
    .refine((value) => /^[1-9]\d{3}-/.test(value), {
      error: "Must be in the years 1000 to 9999, in UTC too.",
    });
}
