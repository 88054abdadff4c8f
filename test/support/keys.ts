import { createHash } from "node:crypto";

/** The value of `API_KEYS` for keys of these names, whose secrets are the names, in all collections. */
export function formatKeys(keys: Record<string, "read" | "write" | "write-any">): string {
  return Object.entries(keys)
    .map(([name, scope]) => {
      const scopes = scope === "read" ? "*:read" : `*:read *:${scope}`;
      return `${name} ${createHash("sha256").update(name).digest("hex")} ${scopes}`;
    })
    .join("\n");
}

/** The header of a caller who shows the key of this name. */
export function showKey(name: string): { authorization: string } {
  return { authorization: `Bearer ${name}` };
}
