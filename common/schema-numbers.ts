import type { Collection } from "./collection.ts";
import { computeFingerprint } from "./fingerprint.ts";

/**
 * `collections/schemas.json`: for each collection the number of its declaration, and the
 * declaration's hash, so that a change without a new number is noticed.
 */
export type SchemaNumbers = Record<string, { schema: number; hash: string }>;

/** Gives collections their numbers; one that has none yet is at its first declaration. */
export function numberSchemas(
  collections: readonly Collection[],
  numbers: SchemaNumbers,
): Collection[] {
  return collections.map((collection) => ({
    ...collection,
    schemaNumber: numbers[collection.name]?.schema ?? collection.schemaNumber,
  }));
}

/**
 * Raises the number of each collection whose declaration has changed. A collection that is not
 * declared any more keeps its entry: should it come back, its number must not have been used.
 */
export function updateSchemaNumbers(
  collections: readonly Collection[],
  numbers: SchemaNumbers,
): SchemaNumbers {
  const updated = { ...numbers };
  for (const collection of collections) {
    const hash = hashDeclaration(collection);
    const known = numbers[collection.name];
    if (known?.hash !== hash) updated[collection.name] = { schema: (known?.schema ?? 0) + 1, hash };
  }
  return updated;
}

/** The names of the collections whose declarations have changed since they were numbered. */
export function listChanged(collections: readonly Collection[], numbers: SchemaNumbers): string[] {
  const updated = updateSchemaNumbers(collections, numbers);
  return Object.keys(updated).filter((name) => updated[name] !== numbers[name]);
}

/** The SHA-256 of what a message of the collection may contain; the order of fields does not count. */
function hashDeclaration({ name, fields, expires }: Collection): string {
  const declared = fields.map(({ name: field, jsonSchema, required }) => [
    field,
    { jsonSchema, required },
  ]);
  // A subscriber that does not know that items expire would keep them.
  const expiry = expires && { expires: expires.field.name };
  return computeFingerprint({ name, fields: Object.fromEntries(declared), ...expiry });
}
