import type { Request } from "express";
import { truncate } from "../../common/characters.ts";
import type { Collection } from "../../common/collection.ts";
import { CLOCK_SKEW_MS, WAIT_SECONDS } from "../../common/limits.ts";
import { ITEM_ID } from "../../common/write.ts";
import { getWriteTime, isWriteId } from "../../common/write-id.ts";
import { malformed, Problem } from "../answer/problem.ts";

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

/** A name, and its value: quoted, or up to the next comma or semicolon. */
const PREFERENCE = /([^\s,;="]+)\s*(?:=\s*(?:"((?:[^"\\]|\\.)*)"|([^,;]*)))?/g;

/**
 * Reads `Prefer`: strict for the preferences that it knows, and ignoring others. Of a preference that
 * is repeated, the first counts (RFC 7240, section 2).
 */
export function readPrefer(request: Request): Prefer {
  const prefer: Prefer = { waitMs: 0, isMinimal: false, applied: [] };
  const header = request.get("prefer");
  if (header === undefined) return prefer;
  const preferences = new Map<string, string>();
  for (const [, name = "", quoted, plain = ""] of header.matchAll(PREFERENCE))
    if (!preferences.has(name.toLowerCase()))
      preferences.set(name.toLowerCase(), (quoted ?? plain.trim()).toLowerCase());
  for (const [name, value] of preferences) {
    if (name === "wait") {
      if (!/^\d{1,9}$/.test(value))
        throw malformed("Prefer: wait must be a whole number of seconds.");
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

/** A condition on a put or delete (RFC 9110, sections 13.1.1 and 13.1.2). */
export type Condition = { ifMatch?: string; ifNoneMatch?: true };

/**
 * Reads `If-Match` with one strong entity tag or `*`, or `If-None-Match: *`. A tag that is not a
 * write id, or is from the future, can match nothing: 412 at once.
 */
export function readCondition(request: Request): Condition {
  const ifMatch = request.get("if-match")?.trim();
  const ifNoneMatch = request.get("if-none-match")?.trim();
  if (ifMatch !== undefined && ifNoneMatch !== undefined)
    throw malformed("If-Match and If-None-Match cannot be combined.");
  if (ifNoneMatch !== undefined) {
    if (ifNoneMatch !== "*") throw malformed("On a write, If-None-Match must be *.");
    return { ifNoneMatch: true };
  }
  if (ifMatch === undefined) return {};
  if (ifMatch === "*") return { ifMatch };
  const [, weak, version = ""] = /^(W\/)?"([\x21\x23-\x7e]*)"$/.exec(ifMatch) ?? [];
  if (!version) throw malformed("If-Match must be * or one entity tag in double quotes.");
  if (weak || !isPossibleWrite(version))
    throw new Problem(
      "failed-precondition",
      "The entity tag in If-Match is not a version of this item.",
    );
  return { ifMatch: version };
}

/** Throws 400 for a condition where none is supported: a client that sends one relies on it. */
export function refuseCondition(request: Request, what: string): void {
  for (const name of ["If-Match", "If-None-Match"])
    if (request.get(name) !== undefined) throw malformed(`${name} is not supported on ${what}.`);
}

/** Reads `Idempotency-Key`: 1 to 255 visible ASCII characters, or none. */
export function readIdempotencyKey(request: Request): string | undefined {
  const key = request.get("idempotency-key");
  if (key === undefined || /^[\x21-\x7e]{1,255}$/.test(key)) return key;
  throw malformed("Idempotency-Key must have 1 to 255 visible ASCII characters.");
}

/**
 * Whether `If-None-Match` of a GET names this version (weak comparison, RFC 9110, 13.1.2). Express
 * would ignore it beside `Cache-Control: no-cache`, which fetch() adds to it.
 */
export function isNotModified(request: Request, version: string): boolean {
  const header = request.get("if-none-match");
  if (header === undefined) return false;
  const tags = header.split(",").map((tag) => tag.trim().replace(/^W\//, ""));
  return tags.includes("*") || tags.includes(formatEntityTag(version));
}

/** A version as a strong entity tag. */
export function formatEntityTag(version: string): string {
  return `"${version}"`;
}

/** Whether a string can be the id of a write: of its form, and not from the future. */
export function isPossibleWrite(id: string): boolean {
  return isWriteId(id) && getWriteTime(id) <= Date.now() + CLOCK_SKEW_MS;
}
