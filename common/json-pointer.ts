import { truncate } from "./characters.ts";

/** Keys in a pointer are cut: a client may send one as large as an item. */
const POINTER_KEY_CHARACTERS = 100;

/** Formats the keys that lead to a part of a JSON value as a JSON Pointer (RFC 6901). */
export function formatPointer(path: readonly PropertyKey[]): string {
  return path.map((key) => `/${escapePointer(String(key))}`).join("");
}

function escapePointer(key: string): string {
  return truncate(key.toWellFormed(), POINTER_KEY_CHARACTERS)
    .replaceAll("~", "~0")
    .replaceAll("/", "~1");
}
