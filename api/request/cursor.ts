import { createHash } from "node:crypto";
import type { Field } from "../../common/collection.ts";
import { parseJson } from "../../common/json.ts";
import type { Place } from "../../common/pages.ts";
import { ITEM_ID } from "../../common/write.ts";
import { malformed } from "../answer/problem.ts";

/** The list that a cursor belongs to; it is valid for that list only. */
export type List = {
  collection: string;
  newestFirst: boolean;
  filters: readonly { field: Field; value: unknown }[];
};

/** The end of the year 9999, the last that MySQL's DATETIME holds. */
const LAST_MS = 253_402_300_799_999;

/** Writes a place in a list as an opaque string. */
export function writeCursor({ createdAt, id }: Place, list: List): string {
  return Buffer.from(JSON.stringify([createdAt, id, digest(list)])).toString("base64url");
}

/** The place that a cursor names. Throws 400 where it is invalid, or of another list. */
export function readCursor(cursor: string, list: List): Place {
  const [createdAt, id, listDigest] = parse(cursor);
  const isPlace =
    Number.isSafeInteger(createdAt) &&
    (createdAt as number) >= 0 &&
    (createdAt as number) <= LAST_MS &&
    typeof id === "string" &&
    ITEM_ID.test(id);
  if (!isPlace) throw malformed("The cursor is not valid.");
  if (listDigest !== digest(list))
    throw malformed(
      "The cursor belongs to another list: collection, order and filters must not change.",
    );
  return { createdAt: createdAt as number, id };
}

function parse(cursor: string): unknown[] {
  try {
    const value = parseJson(Buffer.from(cursor, "base64url").toString());
    return Array.isArray(value) ? value : [];
  } catch {
    return [];
  }
}

function digest({ collection, newestFirst, filters }: List): string {
  const parts = [collection, newestFirst, filters.map(({ field, value }) => [field.name, value])];
  return createHash("sha256").update(JSON.stringify(parts)).digest("base64url").slice(0, 8);
}
