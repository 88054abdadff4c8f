import type { Collection } from "../common/collection.ts";
import type { Pool } from "../common/database.ts";
import { TableError } from "../common/database-faults.ts";
import { findSchemaFaults } from "../common/schema-check.ts";
import type { Entry } from "./message.ts";

/** Collections whose tables were found to hold what they declare; like readiness, this stays so. */
const fitting = new WeakMap<Pool, Set<Collection>>();

/**
 * Throws a {@link TableError} where a table that this batch writes to does not hold what its
 * collection declares: an item could be refused, or come back changed. Looks at a table until it
 * fits, and never again.
 */
export async function requireFittingTables(pool: Pool, entries: readonly Entry[]): Promise<void> {
  const known = fitting.get(pool) ?? new Set();
  fitting.set(pool, known);
  const unknown = new Set<Collection>();
  for (const { write } of entries)
    if (write && !known.has(write.collection)) unknown.add(write.collection);
  if (unknown.size === 0) return;
  const faults = await findSchemaFaults(pool, [...unknown]);
  if (faults.length > 0) throw new TableError(faults);
  for (const collection of unknown) known.add(collection);
}
