import type { Collection } from "../common/collection.ts";
import { type Connection, type Pool, query, withConnection } from "../common/database.ts";
import { classifyDatabaseError, FeedLockedError } from "../common/database-faults.ts";
import { listWriteIds } from "../common/write.ts";
import type { Entry } from "./message.ts";

/**
 * The search stops after this time; rows that it has not reached are treated as locked. Its first
 * statement takes as long only where the whole table is locked.
 */
const SEARCH_MS = 1_000;

/**
 * Separates what can be settled, in parts, from what a faulty table, locked rows or the locked counter
 * of a feed concern, by the error. Of the `unusable` collections nothing can be.
 */
export async function separate(
  entries: readonly Entry[],
  { fault, error }: { fault: "table" | "locked"; error: unknown },
  pool: Pool,
): Promise<{ parts: Entry[][]; unusable: Collection[] }> {
  if (error instanceof FeedLockedError) {
    const isIts = ({ write }: Entry) => write?.collection.name === error.collection;
    const unusable = entries.filter(isIts).flatMap(({ write }) => write?.collection ?? []);
    return { parts: [entries.filter((entry) => !isIts(entry))], unusable };
  }
  const groups = Map.groupBy(entries, ({ write }) => write?.collection);
  const { locked, unusable } =
    fault === "locked"
      ? await findLocked(entries, groups, pool)
      : { locked: new Set<Entry>(), unusable: [] };
  if (locked.size > 0) return { parts: [entries.filter((it) => !locked.has(it))], unusable };
  // Each collection is settled alone: the error does not say whose table is at fault, and a lock on
  // `writes` that keeps receipts from being inserted concerns only those that insert one.
  if (groups.size > 1) return { parts: [...groups.values()], unusable: [] };
  if (fault === "locked") return { parts: [], unusable: [] };
  return { parts: [], unusable: [...groups.keys()].filter((it) => it !== undefined) };
}

/** Finds the entries whose items' rows, or whose dead letters, somebody else has locked. */
async function findLocked(
  entries: readonly Entry[],
  groups: ReadonlyMap<Collection | undefined, Entry[]>,
  pool: Pool,
): Promise<{ locked: Set<Entry>; unusable: Collection[] }> {
  const locked = new Set<Entry>();
  const unusable: Collection[] = [];
  for (const [collection, own] of groups) {
    if (!collection) continue;
    const table = { name: collection.name, index: "PRIMARY", column: "id" };
    const ids = new Set(own.flatMap(({ write }) => write?.itemId ?? []));
    const lockedIds = await findLockedIds(pool, table, [...ids]).catch(() => {
      unusable.push(collection);
      return ids;
    });
    for (const entry of own) if (lockedIds.has(entry.write?.itemId ?? "")) locked.add(entry);
  }
  const ids = entries.flatMap(({ write }) => (write ? listWriteIds(write) : []));
  const lockedIds = await findLockedIds(pool, DEAD_LETTERS, [...new Set(ids)]).catch(() => NONE);
  for (const entry of entries)
    if (entry.write && listWriteIds(entry.write).some((id) => lockedIds.has(id))) locked.add(entry);
  return { locked, unusable };
}

const DEAD_LETTERS = { name: "dead_letters", index: "write_id", column: "write_id" };
const NONE: ReadonlySet<string> = new Set();

/**
 * Finds which of these ids another transaction has locked, also where it has inserted them and not
 * committed yet; those that the search has not reached are among them. Rejects where the whole table is
 * locked.
 */
async function findLockedIds(
  pool: Pool,
  { name, index, column }: { name: string; index: string; column: string },
  ids: readonly string[],
): Promise<ReadonlySet<string>> {
  if (ids.length === 0) return NONE;
  const endMs = performance.now() + SEARCH_MS;
  return withConnection(pool, async (connection) => new Set(await search(connection, ids)), {
    // Statements other than the first begin before `endMs`, and wait for nothing.
    deadlineMs: 2 * SEARCH_MS,
  });

  /** By halves. Outside a transaction, each statement gives back its own locks at once. */
  async function search(connection: Connection, among: readonly string[]): Promise<string[]> {
    try {
      const table = `\`${name}\` FORCE INDEX (${index})`;
      const sql = `SELECT 1 FROM ${table} WHERE ${column} IN (?) FOR UPDATE NOWAIT`;
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
