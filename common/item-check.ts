import type { z } from "zod";
import { abbreviate } from "./characters.ts";
import { isObject } from "./json.ts";
import { formatPointer } from "./json-pointer.ts";
import { ERROR_CHARACTERS, ITEM_DEPTH, LISTED_ERRORS } from "./limits.ts";
import { findDroppedKeys, findUnstorable, type ValueFault } from "./value-faults.ts";

/** An item as the client sends it: its declared fields, without the id. */
export type Item = Record<string, unknown>;

/** One error in a request body: an RFC 6901 JSON Pointer, and a sentence. */
export type FieldError = { pointer: string; detail: string };

/**
 * Checks an item against its collection and normalises it. The API calls it before publishing and
 * the subscriber after delivery, so the subscriber can store whatever the API accepts. Whatever was
 * sent and would not be kept is an error: it looks at `value`, and not at what the schema made of it.
 */
export function checkItem(
  collection: { schema: z.ZodType<Item> },
  value: unknown,
): { ok: true; item: Item } | ItemFaults {
  if (!isObject(value)) return listErrors([{ pointer: "", detail: "Must be a JSON object." }]);
  if (isTooDeep(value)) return listErrors(explainDepth(value));
  const unstorable = findUnstorable(value).map(toFieldError);
  const parsed = collection.schema.safeParse(value);
  const others = parsed.success
    ? findDroppedKeys(value, parsed.data).map(toFieldError)
    : parsed.error.issues.slice(0, LISTED_ERRORS.problem).flatMap((issue) => explain(issue, value));
  if (parsed.success && unstorable.length + others.length === 0)
    return { ok: true, item: parsed.data };
  // What is unstorable is often of the wrong type too, or dropped, which says less.
  const pointers = new Set(unstorable.map(({ pointer }) => pointer));
  const errors = [...unstorable, ...others.filter((e) => !pointers.has(e.pointer))];
  const left = parsed.success ? 0 : countErrors(parsed.error.issues) - others.length;
  return listErrors(errors, errors.length + left);
}

/** What is wrong with an item: the first errors, and how many there are. */
type ItemFaults = { ok: false; errors: FieldError[]; count: number };

/** Cuts a list of errors to a size that an answer can have. */
function listErrors(errors: readonly FieldError[], count = errors.length): ItemFaults {
  const listed = errors.slice(0, LISTED_ERRORS.problem).map(({ pointer, detail }) => ({
    pointer: abbreviate(pointer, ERROR_CHARACTERS),
    detail: abbreviate(detail, ERROR_CHARACTERS),
  }));
  return { ok: false, errors: listed, count };
}

function countErrors(issues: readonly z.core.$ZodIssue[]): number {
  return issues.reduce(
    (sum, issue) => sum + (issue.code === "unrecognized_keys" ? issue.keys.length : 1),
    0,
  );
}

/** Whether a JSON value is nested deeper than an item may be; checked before other recursions. */
export function isTooDeep(value: unknown, levels = ITEM_DEPTH): boolean {
  if (typeof value !== "object" || value === null) return false;
  return levels === 0 || Object.values(value).some((part) => isTooDeep(part, levels - 1));
}

/** Formats errors as one sentence's end: `nombre is required; x is not a field of this collection.` */
export function formatErrors(errors: readonly FieldError[]): string {
  const parts = errors.map(({ pointer, detail }) => {
    const predicate = detail.charAt(0).toLowerCase() + detail.slice(1).replace(/\.$/, "");
    return `${pointer.slice(1) || "the body"} ${predicate}`;
  });
  return `${parts.join("; ")}.`;
}

function toFieldError({ path, detail }: ValueFault): FieldError {
  return { pointer: formatPointer(path), detail };
}

/** Converts zod's issue to sentences, each with a pointer. */
function explain(issue: z.core.$ZodIssue, body: object): FieldError[] {
  if (issue.code === "unrecognized_keys")
    return issue.keys.slice(0, LISTED_ERRORS.problem).map((key) => ({
      pointer: formatPointer([...issue.path, key]),
      detail: explainUnknownKey(key, issue.path),
    }));
  // A custom check has its own words, also about what is absent.
  const missing = issue.code !== "custom" && lookUp(body, issue.path) === undefined;
  const detail = missing ? "Is required." : toSentence(issue);
  return [{ pointer: formatPointer(issue.path), detail }];
}

function explainUnknownKey(key: string, path: readonly PropertyKey[]): string {
  if (path.length > 0) return "Is not a field of this object.";
  // A PUT's id is no part of what is checked.
  const hint = key === "id" ? "; use PUT to choose an id" : "";
  return `Is not a field of this collection${hint}.`;
}

function explainDepth(body: object): FieldError[] {
  const deep = Object.entries(body).filter(([, part]) => isTooDeep(part, ITEM_DEPTH - 1));
  const detail = `Must be nested at most ${ITEM_DEPTH - 1} levels deep.`;
  return deep.map(([key]) => ({ pointer: formatPointer([key]), detail }));
}

function lookUp(body: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>(
    (value, key) => (Object.hasOwn(Object(value), key) ? (value as Item)[String(key)] : undefined),
    body,
  );
}

/** zod's message as a sentence about the field, which reads on from its name ({@link formatErrors}). */
function toSentence(issue: z.core.$ZodIssue): string {
  if (isBeyondSafeIntegers(issue)) return SAFE_INTEGER;
  const text = issue.message
    .replace(/^Invalid input$/, "Is not valid")
    .replace(/^Invalid input: expected int, .*/, "Must be a whole number")
    .replace(/^Invalid key in \w+$/, "Is not a valid key")
    .replace(/^Invalid discriminator value\. Expected /, "Must be one of ")
    .replace(/^Invalid input: expected (\w+), received (\w+)$/, "Must be of type $1, not $2")
    .replace(/^Too (?:big|small): expected \w+ to /, "Must ")
    .replace(/^Invalid (?:input|option): expected /, "Must be ")
    .replace(/^Invalid (?:string|number): must /, "Must ")
    .replace(/^Invalid /, issue.code === "invalid_format" ? "Must be a valid " : "$&");
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}${text.endsWith(".") ? "" : "."}`;
}

const SAFE_INTEGER = `Must be a whole number between ${Number.MIN_SAFE_INTEGER} and ${Number.MAX_SAFE_INTEGER}.`;

/** zod gives an integer without limits of its own these; JSON numbers beyond them are not exact. */
function isBeyondSafeIntegers(issue: z.core.$ZodIssue): boolean {
  if (issue.code === "too_big") return issue.maximum === Number.MAX_SAFE_INTEGER;
  return issue.code === "too_small" && issue.minimum === Number.MIN_SAFE_INTEGER;
}
