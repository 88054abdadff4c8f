import { mayLosePrecision, parseNumber } from "./decimal.ts";
import { ITEM_DEPTH } from "./limits.ts";

declare global {
  interface JSON {
    /** ECMAScript 2026: what JSON.stringify writes as this text, a number for example. */
    rawJSON(text: string): { readonly rawJSON: string };
    isRawJSON(value: unknown): value is { readonly rawJSON: string };
  }
}

/**
 * The value of a key that its object has more than once. JSON.parse would keep the last one and
 * not say so; RFC 8259, section 4, calls what receivers do unpredictable.
 */
export class RepeatedKey {
  readonly last: unknown;

  constructor(last: unknown) {
    this.last = last;
  }

  toJSON(): unknown {
    return this.last;
  }
}

/**
 * Parses JSON that comes from outside: bodies, messages, columns of MySQL, logs. It differs from
 * JSON.parse in what that changes without a word:
 *
 * - A key that is repeated in its object has a {@link RepeatedKey} as its value.
 * - A number that a double does not keep is a `JSON.rawJSON` of its text, which JSON.stringify
 *   writes as it was sent. {@link parseNumber} says which numbers these are.
 * - Keys with escapes are right, also where V8 confuses them ({@link confusesEscapedKeys}).
 *
 * Throws the SyntaxError of JSON.parse. Most texts cost one JSON.parse and a look at the text; the
 * rest at most 50 ns a byte more, without recursion.
 */
export function parseJson(text: string): unknown {
  const value: unknown = JSON.parse(text);
  const isKept =
    !text.includes("\\") && !mayLosePrecision(text) && countKeys(value) === countKeyTokens(text);
  return isKept ? value : buildValue(text);
}

/** Whether what {@link parseJson} returned is a JSON object. */
export function isObject(value: unknown): value is Record<string, unknown> {
  if (typeof value !== "object" || value === null) return false;
  return !Array.isArray(value) && !JSON.isRawJSON(value) && !(value instanceof RepeatedKey);
}

/**
 * Whether this Node's JSON.parse mistakes a key with an escape for another key that it has seen
 * before (V8; nodejs/node issues 63785 and 64546). Only texts with an escape in a key are affected.
 */
export function confusesEscapedKeys(): boolean {
  JSON.parse('{"confusesEscapedKeys":[],"\\\\":0}');
  return !Object.hasOwn(JSON.parse('{"confusesEscapedKeys":1,"\\"":2}'), '"');
}

export const QUOTE = '"'.charCodeAt(0);
const BACKSLASH = "\\".charCodeAt(0);
const SPACE = " ".charCodeAt(0);

/** Counts the keys of all objects in a value; NaN where it is nested too deeply for recursion. */
function countKeys(value: unknown, levels = ITEM_DEPTH + 1): number {
  if (typeof value !== "object" || value === null) return 0;
  if (levels === 0) return Number.NaN;
  let count = 0;
  if (Array.isArray(value)) {
    for (const part of value) count += countKeys(part, levels - 1);
    return count;
  }
  for (const key of Object.keys(value))
    count += 1 + countKeys((value as Record<string, unknown>)[key], levels - 1);
  return count;
}

/** Counts the colons behind a quote or white space: at least one for each key of a text. */
function countKeyTokens(text: string): number {
  let count = 0;
  for (let at = text.indexOf(":"); at !== -1; at = text.indexOf(":", at + 1)) {
    const before = text.charCodeAt(at - 1);
    if (before === QUOTE || before <= SPACE) count += 1;
  }
  return count;
}

/**
 * Builds the value of a text that JSON.parse accepts, token by token. What is nested deeper than any
 * item may be is left out, as an item that has it is refused.
 */
function buildValue(text: string): unknown {
  const top: unknown[] = [];
  const outer: Container[] = [];
  let container: Container = top;
  let key: string | undefined;
  /** Levels that are open below the last one that is kept. */
  let deeper = 0;
  const add = (value: unknown) => {
    if (deeper > 0) return;
    if (Array.isArray(container)) container.push(value);
    else if (key === undefined) key = value as string;
    else {
      addKey(container, key, value);
      key = undefined;
    }
  };
  const open = (inner: Container) => {
    if (outer.length === KEPT_LEVELS) deeper += 1;
    if (deeper > 0) return;
    add(inner);
    outer.push(container);
    container = inner;
  };
  const close = () => {
    if (deeper > 0) deeper -= 1;
    else container = outer.pop() as Container;
  };
  for (let at = 0, end = 0; at < text.length; at = end) {
    end = at + 1;
    switch (text[at]) {
      case "{":
        open({});
        break;
      case "[":
        open([]);
        break;
      case "}":
      case "]":
        close();
        break;
      case '"':
        end = findStringEnd(text, at) + 1;
        add(readString(text.slice(at, end)));
        break;
      case ",":
      case ":":
      case " ":
      case "\n":
      case "\r":
      case "\t":
        break;
      default:
        SCALAR.lastIndex = at;
        SCALAR.test(text);
        end = SCALAR.lastIndex;
        add(readScalar(text.slice(at, end)));
    }
  }
  return top[0];
}

/** An array of items, the levels of an item, and one more, which shows that it is too deep. */
const KEPT_LEVELS = ITEM_DEPTH + 2;

type Container = unknown[] | Record<string, unknown>;

/** V8 decodes escapes rightly in a string that is no key. */
function readString(token: string): string {
  return token.includes("\\") ? JSON.parse(token) : token.slice(1, -1);
}

/** A number, true, false or null. */
const SCALAR = /[^\s,\]}]+/y;

function readScalar(token: string): unknown {
  if (token === "true") return true;
  if (token === "false") return false;
  if (token === "null") return null;
  return parseNumber(token) ?? JSON.rawJSON(token);
}

/** The index of the quote that ends the string which begins at `start`; the text's length if none does. */
export function findStringEnd(text: string, start: number): number {
  for (let index = text.indexOf('"', start + 1); index >= 0; index = text.indexOf('"', index + 1)) {
    let backslashes = 0;
    while (text.charCodeAt(index - 1 - backslashes) === BACKSLASH) backslashes += 1;
    if (backslashes % 2 === 0) return index;
  }
  return text.length;
}

function addKey(object: Record<string, unknown>, key: string, value: unknown): void {
  const kept = Object.hasOwn(object, key) ? new RepeatedKey(value) : value;
  // An assignment to __proto__ would set the prototype.
  if (key !== "__proto__") object[key] = kept;
  else
    Object.defineProperty(object, key, {
      value: kept,
      enumerable: true,
      configurable: true,
      writable: true,
    });
}
