import type { Collection } from "../common/collection.ts";
import { type Connection, type Pool, query, withConnection } from "../common/database.ts";
import { classifyDatabaseError } from "../common/database-faults.ts";
import type { Entry } from "./message.ts";

/**
 * The search for locked rows ends by then; the rows that it has not come to count as locked. Its first
 * statement takes as long only where the whole table is locked.
 */
const SEARCH_MS = 1_000;

/**
 * Separates what can be settled, in parts, from what a faulty table or locked rows concern. Of the
 * `unusable` collections nothing can be.
 */
export async function separate(
  entries: readonly Entry[],
  fault: "table" | "locked",
  pool: Pool,
): Promise<{ parts: Entry[][]; unusable: Collection[] }> {
  const groups = Map.groupBy(entries, ({ write }) => write?.collection);
  if (fault === "table") {
    if (groups.size > 1) return { parts: [...groups.values()], unusable: [] };
    return { parts: [], unusable: [...groups.keys()].filter((it) => it !== undefined) };
  }
  const locked = new Set<Entry>();
  const unusable: Collection[] = [];
  for (const [collection, own] of groups) {
    if (!collection) continue;
    const ids = new Set(own.flatMap(({ write }) => write?.itemId ?? []));
    const lockedIds = await findLockedIds(pool, collection, [...ids]).catch(() => {
      unusable.push(collection);
      return ids;
    });
    for (const entry of own) if (lockedIds.has(entry.write?.itemId ?? "")) locked.add(entry);
  }
  // Where none is, the lock is gone, or is one on a receipt: all are given back.
  const free = locked.size === 0 ? [] : entries.filter((entry) => !locked.has(entry));
  return { parts: [free], unusable };
}

/**
 * Finds which of these ids another transaction has locked, also where it has inserted them and not
 * committed yet; the ids that it has not come to in its time are among them. Rejects where the
 * whole table is locked.
 */
function findLockedIds(
  pool: Pool,
  collection: Collection,
  ids: readonly string[],
): Promise<Set<string>> {
  const endMs = performance.now() + SEARCH_MS;
  return withConnection(pool, async (connection) => new Set(await search(connection, ids)), {
    // Statements other than the first begin before `endMs`, and wait for nothing.
    deadlineMs: 2 * SEARCH_MS,
  });

  /** By halves. Outside a transaction, each statement gives back its own locks at once. */
  async function search(connection: Connection, among: readonly string[]): Promise<string[]> {
    try {
      const table = `\`${collection.name}\` FORCE INDEX (PRIMARY)`;
      const sql = `SELECT version FROM ${table} WHERE id IN (?) FOR UPDATE NOWAIT`;
      await query(connection, sql, [among]);
      return [];
    } catch (error) {
      if (classifyDatabaseError(error) !== "locked") throw error;
      if (among.length === 1 || performance.now() >= endMs) return [...among];
      const half = Math.ceil(among.length / 2);
      const locked = await search(connection, among.slice(0, half));
      return [...locked, ...(await search(connection, among.slice(half)))];
    }
  }
}
