import type { Request, Response } from "express";
import { truncate } from "../../common/characters.ts";
import type { Collection } from "../../common/collection.ts";
import { ITEM_ID } from "../../common/item-id.ts";
import { CLOCK_SKEW_MS, WAIT_SECONDS } from "../../common/limits.ts";
import type { ClientWriteKind } from "../../common/write.ts";
import { getWriteTime, isWriteId } from "../../common/write-id.ts";
import { malformed, Problem } from "../answer/problem.ts";
import { readPair, splitHeader } from "./header-values.ts";

const CONDITIONS = ["if-match", "if-none-match", "if-unmodified-since"];
/**
 * Headers that change what a write means, and that no route supports. `Content-Range` says that the
 * body is a part of the item (RFC 9110, 14.5).
 */
const UNSUPPORTED = [
  "content-range",
  "x-http-method",
  "x-http-method-override",
  "x-method-override",
];
const UNSUPPORTED_ON: Record<ClientWriteKind, readonly string[]> = {
  create: [...UNSUPPORTED, ...CONDITIONS],
  // A retry under the same key would have an effect.
  put: [...UNSUPPORTED, "idempotency-key"],
  delete: [...UNSUPPORTED, "idempotency-key"],
};

/** The collection in the path. Throws 404 where none is declared by that name. */
export function findCollection(collections: readonly Collection[], request: Request): Collection {
  const name = request.params.collection;
  const collection = collections.find((candidate) => candidate.name === name);
  if (collection) return collection;
  const names = collections.map((known) => known.name).join(", ");
  throw new Problem("not-found", `The collection does not exist. Collections: ${names}.`);
}

/** The item id in the path. Throws 400 where it cannot be one. */
export function readItemId(request: Request): string {
  const id = request.params.id as string;
  if (ITEM_ID.test(id)) return id;
  throw malformed("An item id has 1 to 64 of the characters A-Z a-z 0-9 . _ ~ -");
}

/** A query parameter. Throws 400 where it is repeated. */
export function readParameter(request: Request, name: string): string | undefined {
  const value = request.query[name];
  if (value === undefined || typeof value === "string") return value;
  throw malformed(`The parameter ${name} must not be repeated.`);
}

/** Throws 400 where the query has a parameter that is not among the known ones. */
export function refuseUnknownParameters(request: Request, known: readonly string[] = []): void {
  // Express parses the address each time that `request.query` is read.
  if (!request.url.includes("?")) return;
  const unknown = Object.keys(request.query).find((name) => !known.includes(name));
  if (unknown !== undefined)
    throw malformed(
      `Unknown parameter ${JSON.stringify(truncate(unknown, 50))}. ` +
        (known.length > 0
          ? `This resource supports ${known.join(", ")}.`
          : "This resource supports no parameters."),
    );
}

/** The supported preferences of a request (RFC 7240). */
export type Prefer = { waitMs: number; isMinimal: boolean; applied: string[] };

/**
 * Reads `Prefer`: strict for the preferences that it knows, and ignoring others and all parameters. Of
 * a preference that is repeated, the first counts (RFC 7240, section 2).
 */
export function readPrefer({ headers }: Request): Prefer {
  const prefer: Prefer = { waitMs: 0, isMinimal: false, applied: [] };
  if (headers.prefer === undefined) return prefer;
  const preferences = new Map<string, string>();
  for (const member of splitHeader(String(headers.prefer), ",")) {
    const { name, value } = readPair(splitHeader(member, ";")[0] ?? "");
    if (!preferences.has(name)) preferences.set(name, value.toLowerCase());
  }
  for (const [name, value] of preferences) {
    if (name === "wait") {
      if (!/^\d+$/.test(value)) throw malformed("Prefer: wait must be a whole number of seconds.");
      const seconds = Math.min(Number(value), WAIT_SECONDS);
      prefer.waitMs = seconds * 1_000;
      prefer.applied.push(`wait=${seconds}`);
    }
    if (name === "return" && value === "minimal") {
      prefer.isMinimal = true;
      prefer.applied.push("return=minimal");
    }
  }
  return prefer;
}

/** Says that a read has waited; a read has no other preference to apply. */
export function setWaitApplied(response: Response, { waitMs }: Prefer): void {
  if (waitMs > 0) response.set("Preference-Applied", `wait=${waitMs / 1_000}`);
}

/** Throws 400 for a header that a write cannot honour: a client that sends one relies on it. */
export function refuseUnsupportedHeaders(
  { headers, method }: Request,
  kind: ClientWriteKind,
): void {
  for (const name of UNSUPPORTED_ON[kind])
    if (headers[name] !== undefined)
      throw malformed(`The header ${name} is not supported on ${method}.`);
}

/** Throws 400 for a condition on many records: it would have to hold for each. */
export function refuseConditions({ headers }: Request): void {
  for (const name of CONDITIONS)
    if (headers[name] !== undefined)
      throw malformed(`The header ${name} is not supported with many records.`);
}

/** Reads `Idempotency-Key`: 1 to 255 visible ASCII characters, or none. */
export function readIdempotencyKey(request: Request): string | undefined {
  const key = request.get("idempotency-key");
  if (key === undefined || /^[\x21-\x7e]{1,255}$/.test(key)) return key;
  throw malformed("Idempotency-Key must have 1 to 255 visible ASCII characters.");
}

/** Whether a string can be the id of a write: of its form, and not from the future. */
export function isPossibleWrite(id: string): boolean {
  return isWriteId(id) && getWriteTime(id) <= Date.now() + CLOCK_SKEW_MS;
}
