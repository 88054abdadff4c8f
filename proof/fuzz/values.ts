import fc from "fast-check";
import type { Document, Json } from "./document.ts";

/** Texts that have broken parsers, indexes, tables or pages before. */
export const ODD_TEXTS = [
  "",
  " ",
  "\0",
  "a\0b",
  "\ud800",
  "\udfff\ud800",
  "\ufeffx",
  "\u202e",
  "e\u0301",
  "İ",
  "ß",
  "ñ",
  "😀",
  "𠜎".repeat(64),
  "😀".repeat(256),
  "x".repeat(255),
  "x".repeat(256),
  "'; DROP TABLE data; --",
  "\r\nX: 1",
  "../../etc/passwd",
  ..."% _ \\ <script> {{7*7}} __proto__ constructor toString hasOwnProperty".split(" "),
  ..."NaN null undefined 1e999 0000-00-00T00:00:00Z 1000-01-01T00:00:00Z".split(" "),
  ..."2026-02-30T00:00:00Z 9999-12-31T23:59:59.999Z".split(" "),
];
const MAX_DOUBLE = Number.MAX_VALUE;
const ODD_NUMBERS = [0, -0, 0.1, -1, 1e21, 1e-7, 5e-324, MAX_DOUBLE, 2 ** 53, -(2 ** 63)];
const ODD_NAMES = ["", "\ud800", ..."__proto__ constructor id version a/b~c created_at".split(" ")];

/** Of objects whose keys are not declared. */
const freeNames = [fc.constantFrom(...ODD_NAMES), fc.string({ unit: "binary", maxLength: 5 })];

/** The only pattern in the document is that of an item id, which "." and ".." are not. */
const itemId = fc
  .string({ unit: fc.constantFrom(..."abcXYZ019._~-"), minLength: 1, maxLength: 64 })
  .filter((id) => !/^\.\.?$/.test(id));

/** Any JSON value, often an odd one. */
export const oddValue: fc.Arbitrary<unknown> = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom<unknown>(...ODD_TEXTS, ...ODD_NUMBERS, null, true) },
  { weight: 2, arbitrary: fc.jsonValue({ maxDepth: 3, stringUnit: "binary" }) },
  { weight: 1, arbitrary: fc.integer({ min: 20, max: 60 }).map(nest) },
);

/**
 * Values by a schema of the document: mostly what it allows, and sometimes, at any depth, what it
 * does not. Supports what the document uses of JSON Schema.
 */
export function nearValue(document: Document, given: Json): fc.Arbitrary<unknown> {
  const schema = document.resolve(given);
  return fc.oneof(
    { weight: 12, arbitrary: goodValue(document, schema) },
    { weight: 1, arbitrary: oddValue },
  );
}

function goodValue(document: Document, schema: Json): fc.Arbitrary<unknown> {
  if ("const" in schema) return fc.constant(schema.const);
  if (Array.isArray(schema.enum)) return fc.constantFrom(...schema.enum);
  if (Array.isArray(schema.anyOf))
    return fc.oneof(...(schema.anyOf as Json[]).map((one) => nearValue(document, one)));
  if (schema.type === "boolean") return fc.boolean();
  if (schema.type === "integer") return fc.maxSafeInteger().map((value) => clamp(value, schema));
  if (schema.type === "number") return fc.double({ noNaN: true, noDefaultInfinity: true });
  if (schema.type === "array") {
    const items = nearValue(document, (schema.items ?? {}) as Json);
    // Large arrays are tried in bodies.ts.
    return fc.array(items, { maxLength: 10 });
  }
  if (schema.type === "object") return nearObject(document, schema);
  if (schema.type === "string") return goodText(schema);
  return oddValue;
}

function nearObject(document: Document, schema: Json): fc.Arbitrary<unknown> {
  const properties = Object.entries((schema.properties ?? {}) as Record<string, Json>);
  const whole = fc.record(
    Object.fromEntries(properties.map(([name, one]) => [name, nearValue(document, one)])),
    // A field may be missing, but rarely more than one is.
    { noNullPrototype: true },
  );
  const names = properties.map(([name]) => name);
  if (names.length === 0) return fc.dictionary(fc.oneof(...freeNames), oddValue, { maxKeys: 5 });
  const without = fc.tuple(whole, fc.constantFrom(...names)).map(([value, name]) => {
    const { [name]: _, ...rest } = value as Json;
    return rest;
  });
  const withMore = fc
    .tuple(whole, fc.constantFrom(...ODD_NAMES), oddValue)
    // A plain assignment to __proto__ would set the prototype.
    .map(([value, name, more]) => Object.defineProperty({ ...value }, name, shown(more)));
  return fc.oneof(
    { weight: 10, arbitrary: whole },
    { weight: 2, arbitrary: without },
    { weight: 1, arbitrary: withMore },
  );
}

function goodText(schema: Json): fc.Arbitrary<string> {
  if (schema.format === "date-time")
    return fc
      .date({ min: new Date("1000-01-02"), max: new Date("9999-12-30"), noInvalidDate: true })
      .map((date) => date.toISOString());
  if (schema.format === "uuid") return fc.uuid({ version: 7 });
  if (typeof schema.pattern === "string") return itemId;
  const { minLength = 0, maxLength = 30 } = schema as { minLength?: number; maxLength?: number };
  return fc.string({ unit: "binary", minLength, maxLength: Math.min(maxLength, 300) });
}

function clamp(value: number, { minimum, maximum }: Json): number {
  return Math.min(Math.max(value, Number(minimum ?? -Infinity)), Number(maximum ?? Infinity));
}

function nest(depth: number): unknown {
  let value: unknown = 1;
  for (let level = 0; level < depth; level += 1) value = level % 2 === 0 ? [value] : { value };
  return value;
}

function shown(value: unknown): PropertyDescriptor {
  return { value, enumerable: true, configurable: true, writable: true };
}

/** An array with one value, by this chance, or without any. */
export function maybe<T>(share: number, one: fc.Arbitrary<T>): fc.Arbitrary<T[]> {
  const weight = Math.round(share * 100);
  const some = one.map((value) => [value]);
  return fc.oneof(
    { weight: 100 - weight, arbitrary: fc.constant<T[]>([]) },
    { weight, arbitrary: some },
  );
}
