import { createHash } from "node:crypto";
import type { Collection } from "../../common/collection.ts";
import type { Field } from "../../common/fields.ts";
import { ITEM_ID } from "../../common/item-id.ts";
import { parseJson } from "../../common/json.ts";
import type { Place } from "../../common/pages.ts";
import { malformed } from "../answer/problem.ts";

/** The list that a cursor belongs to; it is valid for that list only. */
export type List = {
  collection: Collection;
  newestFirst: boolean;
  filters: readonly { field: Field; value: unknown }[];
};

/** The end of the year 9999, the last that MySQL's DATETIME holds. */
const LAST_MS = 253_402_300_799_999;

/** Writes a place in a list as an opaque string. */
export function writeCursor({ at, id }: Place, list: List): string {
  return Buffer.from(JSON.stringify([at, id, digest(list)])).toString("base64url");
}

/** The place that a cursor names. Throws 400 where it is invalid, or of another list. */
export function readCursor(cursor: string, list: List): Place {
  const [at, id, listDigest] = decodeArray(cursor);
  const isPlace =
    Number.isSafeInteger(at) &&
    (at as number) >= 0 &&
    ((at as number) <= LAST_MS || list.collection.feed) &&
    typeof id === "string" &&
    ITEM_ID.test(id);
  if (!isPlace) throw malformed("The cursor is not valid.");
  if (listDigest !== digest(list))
    throw malformed(
      "The cursor belongs to another list: collection, order and filters must not change.",
    );
  return { at: at as number, id };
}

/** Decodes an array in JSON and base64url; empty where it is none. */
export function decodeArray(text: string): unknown[] {
  try {
    const value = parseJson(Buffer.from(text, "base64url").toString());
    return Array.isArray(value) ? value : [];
  } catch {
    return [];
  }
}

function digest({ collection, newestFirst, filters }: List): string {
  const filtered = filters.map(({ field, value }) => [field.name, value]);
  const parts = [collection.name, newestFirst, filtered, ...(collection.feed ? ["feed"] : [])];
  return createHash("sha256").update(JSON.stringify(parts)).digest("base64url").slice(0, 8);
}
