import { z } from "zod";

/** An API key as it is configured: its holder's name, its SHA-256, and what it permits. */
export type ApiKey = { name: string; sha256: Buffer; scopes: ReadonlySet<string> };

/**
 * What the keys that we tell people to generate begin with: a credential that begins so is an API key
 * and never taken for a token, and scanners for leaked secrets can find it.
 */
export const API_KEY_PREFIX = "constancia_";

/** The form of a name that stands before the colon of a principal. */
export const HOLDER = /^[a-z0-9][a-z0-9-]{0,31}$/;
/** `operate`, or `read`, `write` or `write-any` of a collection or, with `*`, of all. */
const SCOPE = /^(operate|(\*|[a-z][a-zA-Z0-9]{0,47}):(read|write|write-any))$/;
const SHA256 = /^[0-9a-f]{64}$/;

/** Whether a text is one of the scopes that a caller can have. */
export function isScope(text: string): boolean {
  return SCOPE.test(text);
}

/** `API_KEYS`: a key a line, `NAME SHA256 SCOPE…`. A name may have several keys, to rotate them. */
export const apiKeys = z.string().transform((value, context) => {
  const keys: ApiKey[] = [];
  for (const [place, line] of value.split("\n").entries()) {
    const [name = "", sha256 = "", ...scopes] = line.split(/\s+/).filter(Boolean);
    if (name === "") continue;
    if (!HOLDER.test(name) || !SHA256.test(sha256) || !scopes.every(isScope) || scopes.length === 0)
      context.addIssue(
        `must have NAME SHA256 SCOPE… in each line; line ${place + 1} has not` +
          (line.includes(":") && !line.includes(" ") ? " (name:scope:sha256 was replaced)" : ""),
      );
    keys.push({ name, sha256: Buffer.from(sha256, "hex"), scopes: new Set(scopes) });
  }
  if (new Set(keys.map(({ sha256 }) => sha256.toString("hex"))).size < keys.length)
    context.addIssue("must not have one key in two lines");
  return keys;
});
