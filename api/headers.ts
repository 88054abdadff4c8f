import type { Request } from "express";
import { CLOCK_SKEW_MS, WAIT_SECONDS } from "../common/limits.ts";
import { getWriteTime, isWriteId } from "../common/write-id.ts";
import { Problem } from "./problem.ts";

/** The preferences of a request that are understood (RFC 7240). */
export type Prefer = { waitMs: number; isMinimal: boolean; applied: string[] };

/** `Prefer`, read strictly for what is known and leniently for the rest, as RFC 7240 wants. */
export function readPrefer(request: Request): Prefer {
  const prefer: Prefer = { waitMs: 0, isMinimal: false, applied: [] };
  const header = request.get("prefer");
  if (header === undefined) return prefer;
  for (const part of header.split(/[,;]/)) {
    const [name = "", value = ""] = part.split("=").map((side) => side.trim().toLowerCase());
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
 * `If-Match` with one strong entity tag or `*`, or `If-None-Match: *`. A tag that was never ours,
 * or lies in the future, can match nothing and is answered 412 at once.
 */
export function readCondition(request: Request): Condition {
  const ifMatch = request.get("if-match")?.trim();
  const ifNoneMatch = request.get("if-none-match")?.trim();
  if (ifMatch !== undefined && ifNoneMatch !== undefined)
    throw malformed("If-Match and If-None-Match cannot stand together.");
  if (ifNoneMatch !== undefined) {
    if (ifNoneMatch !== "*") throw malformed("If-None-Match must be * on a write.");
    return { ifNoneMatch: true };
  }
  if (ifMatch === undefined) return {};
  if (ifMatch === "*") return { ifMatch };
  const [, weak, version = ""] = /^(W\/)?"([\x21\x23-\x7e]*)"$/.exec(ifMatch) ?? [];
  if (!version) throw malformed('If-Match must be one entity tag, such as "…", or *.');
  const isOurs = !weak && isWriteId(version);
  if (!isOurs || getWriteTime(version) > Date.now() + CLOCK_SKEW_MS)
    throw new Problem("failed-precondition", "The entity tag in If-Match is of no known version.");
  return { ifMatch: version };
}

/** A write that takes no condition says so, rather than to ignore what the client relies on. */
export function refuseCondition(request: Request, what: string): void {
  for (const name of ["If-Match", "If-None-Match"])
    if (request.get(name) !== undefined) throw malformed(`${name} does not apply to ${what}.`);
}

/** `Idempotency-Key`: 1 to 255 visible ASCII characters, or none. */
export function readIdempotencyKey(request: Request): string | undefined {
  const key = request.get("idempotency-key");
  if (key === undefined || /^[\x21-\x7e]{1,255}$/.test(key)) return key;
  throw malformed("Idempotency-Key must have 1 to 255 visible ASCII characters.");
}

/** Whether `If-None-Match` of a GET names this version (weak comparison, RFC 9110, 13.1.2). */
export function isNotModified(request: Request, version: string): boolean {
  const header = request.get("if-none-match");
  if (header === undefined) return false;
  const tags = header.split(",").map((tag) => tag.trim().replace(/^W\//, ""));
  return tags.includes("*") || tags.includes(entityTag(version));
}

/** A version as a strong entity tag. */
export function entityTag(version: string): string {
  return `"${version}"`;
}

/** Refuses query parameters that are not named. */
export function refuseUnknownParameters(request: Request, known: readonly string[] = []): void {
  // Express would parse the address again and again.
  if (!request.originalUrl.includes("?")) return;
  const unknown = Object.keys(request.query).find((name) => !known.includes(name));
  if (unknown !== undefined)
    throw malformed(
      `The parameter ${JSON.stringify(unknown.slice(0, 50))} is not known here; ` +
        (known.length > 0 ? `known are ${known.join(", ")}.` : "there are none."),
    );
}

export function malformed(detail: string): Problem {
  return new Problem("malformed-request", detail);
}
