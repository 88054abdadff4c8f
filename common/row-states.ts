import type { Collection } from "./collection.ts";
import { type Connection, query } from "./database.ts";
import { getSql, type RowState, toState } from "./tables.ts";

/** Selects the states of the rows with these ids, in no particular order. */
export async function selectStates(
  connection: Connection,
  collection: Collection,
  ids: readonly string[],
): Promise<RowState[]> {
  if (ids.length === 0) return [];
  const { table, states, expired } = getSql(collection);
  const sql = `SELECT ${states}${expired} FROM ${table} WHERE id IN (?)`;
  return (await query(connection, sql, [ids])).map((row) => toState(collection, row));
}

/**
 * Selects states, and locks the rows until the transaction ends. Sort `ids`, so that two never
 * deadlock. Wherever rows are locked the index is forced, and more than it is read: MySQL may scan it
 * all for many ids.
 */
export async function selectStatesForUpdate(
  connection: Connection,
  collection: Collection,
  ids: readonly string[],
): Promise<RowState[]> {
  const { table, states } = getSql(collection);
  const sql = `SELECT ${states} FROM ${table} FORCE INDEX (PRIMARY) WHERE id IN (?) ORDER BY id FOR UPDATE`;
  return (await query(connection, sql, [ids])).map((row) => toState(collection, row));
}

/**
 * Stores what an overtaken write changes of rows that are locked by this transaction: the
 * fingerprint. Their items stay as they are, and are not read.
 */
export async function updateStates(
  connection: Connection,
  collection: Collection,
  states: readonly RowState[],
): Promise<void> {
  if (states.length === 0) return;
  const fingerprints = `CASE id${" WHEN ? THEN ?".repeat(states.length)} END`;
  await query(
    connection,
    `UPDATE ${getSql(collection).table} SET fingerprint = ${fingerprints} WHERE id IN (?)`,
    [...states.flatMap(({ id, fingerprint }) => [id, fingerprint]), states.map(({ id }) => id)],
  );
}
