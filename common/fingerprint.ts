import { createHash } from "node:crypto";

/** Computes the SHA-256 of JSON with its keys sorted, so that their order does not matter. */
export function computeFingerprint(item: unknown): string {
  return createHash("sha256")
    .update(JSON.stringify(sortKeys(item)))
    .digest("hex");
}

function sortKeys(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sortKeys);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, part]) => [key, sortKeys(part)]),
  );
}
