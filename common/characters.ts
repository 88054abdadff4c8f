/**
 * Cuts a text to its first `characters`, counted as code points, as MySQL and JSON Schema do; so it
 * never ends in half of a surrogate pair.
 */
export function truncate(text: string, characters: number): string {
  if (text.length <= characters) return text;
  // A code point has at most two UTF-16 code units.
  return [...text.slice(0, 2 * characters)].slice(0, characters).join("");
}

/** Cuts a text that has more than so many UTF-16 code units, and marks it so; its form stays valid. */
export function abbreviate(text: string, units: number): string {
  return text.length > units ? `${text.slice(0, units).toWellFormed()}…` : text;
}
