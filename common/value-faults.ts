import { RepeatedKey } from "./json.ts";
import { JSON_KEY_BYTES } from "./limits.ts";

/** What is wrong with a part of an item, and the keys that lead to the part. */
export type ValueFault = { path: readonly string[]; detail: string };

/**
 * Finds what cannot be stored and given back as it was sent, whatever the collection declares.
 * `value` is what {@link parseJson} made of the text, so that nothing is lost yet. It must not be
 * nested too deeply.
 */
export function findUnstorable(
  value: object,
  path: readonly string[] = [],
  faults: ValueFault[] = [],
): ValueFault[] {
  for (const key of Object.keys(value)) {
    const part = (value as Record<string, unknown>)[key];
    const wrongKey = explainKey(key);
    // The key itself may not be fit for a pointer.
    if (wrongKey !== undefined) faults.push({ path, detail: wrongKey });
    const detail = key === "__proto__" ? "Is not a key that can be stored." : explainValue(part);
    if (detail !== undefined) faults.push({ path: [...path, key], detail });
    else if (isContainer(part)) findUnstorable(part, [...path, key], faults);
  }
  return faults;
}

/** Finds the keys of objects at any depth that a schema has dropped: zod's `object()` does. */
export function findDroppedKeys(
  sent: object,
  kept: object,
  path: readonly string[] = [],
  faults: ValueFault[] = [],
): ValueFault[] {
  for (const [key, part] of Object.entries(sent)) {
    const other = (kept as Record<string, unknown>)[key];
    if (!Object.hasOwn(kept, key)) {
      if (!Array.isArray(sent))
        faults.push({ path: [...path, key], detail: "Is not a field of this object." });
    } else if (part !== other && isContainer(part) && isContainer(other))
      findDroppedKeys(part, other, [...path, key], faults);
  }
  return faults;
}

function explainValue(value: unknown): string | undefined {
  if (typeof value === "string") return explainText(value);
  if (typeof value === "number") return Number.isFinite(value) ? undefined : explainNumber(value);
  if (typeof value !== "object" || value === null) return undefined;
  if (value instanceof RepeatedKey) return "Is given more than once.";
  return JSON.isRawJSON(value) ? explainNumber(Number(value.rawJSON)) : undefined;
}

function explainNumber(value: number): string {
  return `Cannot be kept exactly: it would become ${value}.`;
}

/** MySQL's utf8mb4 cannot store lone surrogates, and its JSON no keys of 64 KiB. */
function explainKey(key: string): string | undefined {
  // At most three bytes for each UTF-16 code unit.
  if (3 * key.length > JSON_KEY_BYTES && Buffer.byteLength(key) > JSON_KEY_BYTES)
    return `Must have keys of at most ${JSON_KEY_BYTES} bytes.`;
  return explainText(key);
}

function explainText(text: string): string | undefined {
  if (text.isWellFormed() && !text.includes("\0")) return undefined;
  return "Must be well-formed Unicode without NUL characters.";
}

function isContainer(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}
