import type { Collection } from "../common/collection.ts";
import type { Pool } from "../common/database.ts";
import { TableError } from "../common/database-faults.ts";
import { findSchemaFaults } from "../common/schema-check.ts";
import type { Entry } from "./message.ts";

/**
 * Throws a {@link TableError} where a table that this batch writes to does not hold what its
 * collection declares: an item could be refused, or come back changed. A collection whose table
 * matches is added to `checked`, and its table is not read again: like readiness, this stays so.
 */
export async function assertTablesMatch(
  pool: Pool,
  entries: readonly Entry[],
  checked: Set<Collection>,
): Promise<void> {
  const unchecked = new Set<Collection>();
  for (const { write } of entries)
    if (write && !checked.has(write.collection)) unchecked.add(write.collection);
  if (unchecked.size === 0) return;
  const faults = await findSchemaFaults(pool, [...unchecked]);
  if (faults.length > 0) throw new TableError(faults);
  for (const collection of unchecked) checked.add(collection);
}
