import type { Request } from "express";
import { malformed, Problem } from "../answer/problem.ts";
import { parseHttpDate } from "./http-date.ts";
import { isPossibleWrite } from "./parameters.ts";

/** A condition on a put or delete (RFC 9110, section 13.1). */
export type Condition =
  /** One of these versions, or any. */
  | { ifMatch: "*" | readonly string[] }
  | { ifNoneMatch: true }
  /** Milliseconds since 1970, in whole seconds. */
  | { unmodifiedSince: number };

/** RFC 9110, section 8.8.3. */
const ENTITY_TAG = /^(?:W\/)?"([\x21\x23-\x7e\x80-\xff]*)"$/;

/**
 * Reads `If-Match`, `If-None-Match: *` or `If-Unmodified-Since` of a write. A date beside If-Match is
 * ignored (RFC 9110, 13.1.4). Throws 412 where no listed entity tag can be a version.
 */
export function readCondition({ headers, headersDistinct }: Request): Condition | undefined {
  const { "if-match": ifMatch, "if-none-match": ifNoneMatch } = headers;
  const isDated = headers["if-unmodified-since"] !== undefined;
  if (ifNoneMatch !== undefined) {
    if (ifMatch !== undefined || isDated)
      throw malformed("If-None-Match cannot be combined with If-Match or If-Unmodified-Since.");
    if (ifNoneMatch.trim() !== "*") throw malformed("On a write, If-None-Match must be *.");
    return { ifNoneMatch: true };
  }
  if (ifMatch !== undefined) return { ifMatch: readVersions(ifMatch) };
  if (!isDated) return undefined;
  const [date = "", ...others] = headersDistinct["if-unmodified-since"] ?? [];
  const unmodifiedSince = others.length > 0 ? undefined : parseHttpDate(date);
  // The RFC would have it ignored, but then the write would overwrite.
  if (unmodifiedSince === undefined)
    throw malformed("If-Unmodified-Since must be one HTTP date, such as a Last-Modified.");
  return { unmodifiedSince };
}

/**
 * The versions in If-Match. RFC 9110, 13.1.1, has weak tags match nothing, but proxies that compress
 * weaken the tags of what passes: `W/` before a version of ours is that version.
 */
function readVersions(header: string): "*" | string[] {
  if (header.trim() === "*") return "*";
  const tags = parseEntityTags(header);
  if (!tags) throw malformed("If-Match must be * or entity tags in double quotes.");
  const versions = tags.filter(isPossibleWrite);
  if (versions.length === 0)
    throw new Problem(
      "failed-precondition",
      "The entity tag in If-Match is not a version of this item.",
    );
  return [...new Set(versions)];
}

/**
 * Evaluates the conditions of a GET (RFC 9110, 13.2.2). Throws 412 where `If-Match` or
 * `If-Unmodified-Since` does not hold; returns whether `If-None-Match` asks for 304. Only `*` matches a
 * resource without a version. A date is ignored where it is invalid, or the resource has none.
 */
export function isUnchanged(
  { headers }: Request,
  { version, updatedAt }: { version?: string; updatedAt?: number } = {},
): boolean {
  const { "if-match": ifMatch, "if-none-match": ifNoneMatch } = headers;
  if (ifMatch !== undefined) {
    // Also a weak tag, as in readVersions.
    if (ifMatch.trim() !== "*" && !(version && parseEntityTags(ifMatch)?.includes(version)))
      throw new Problem("failed-precondition", "The resource is not at a version in If-Match.");
  } else if (updatedAt !== undefined && headers["if-unmodified-since"] !== undefined) {
    const since = parseHttpDate(headers["if-unmodified-since"]);
    if (since !== undefined && toSecond(updatedAt) > since)
      throw new Problem("failed-precondition", "The item was modified since If-Unmodified-Since.");
  }
  // Weak comparison (RFC 9110, 13.1.2).
  if (ifNoneMatch === undefined) return false;
  if (ifNoneMatch.trim() === "*") return true;
  return version !== undefined && (parseEntityTags(ifNoneMatch)?.includes(version) ?? false);
}

/** Cuts milliseconds to the whole second, which is what `Last-Modified` can say. */
export function toSecond(ms: number): number {
  return ms - (ms % 1_000);
}

/** A version as a strong entity tag. */
export function formatEntityTag(version: string): string {
  return `"${version}"`;
}

/**
 * Parses a list of entity tags, weak or not, which may have empty members (RFC 9110, 5.6.1); undefined
 * where it is none.
 */
function parseEntityTags(header: string): string[] | undefined {
  const members = (header.match(/(?:[^",]|"[^"]*"?)+/g) ?? []).map((member) => member.trim());
  const tags: string[] = [];
  for (const member of members.filter((text) => text !== "")) {
    const match = ENTITY_TAG.exec(member);
    if (!match) return undefined;
    tags.push(match[1] ?? "");
  }
  return tags.length > 0 ? tags : undefined;
}
