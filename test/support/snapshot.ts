import type { Collection } from "../../common/collection.ts";
import { type Connection, type Pool, query, withConnection } from "../../common/database.ts";
import { selectDead } from "../../common/dead-letters.ts";
import { selectSettled } from "../../common/receipts.ts";
import { getSql, toRow } from "../../common/tables.ts";
import type { Write } from "../../common/write.ts";
import { selectRows } from "./rows.ts";
import type { Stored } from "./settled-invariants.ts";

/**
 * Runs several reads in one consistent snapshot. Outside of one, a row that is replaced between two
 * reads is found twice, once as a row and once by the receipt that it left, or its newest version
 * is not found at all.
 */
export function readSnapshot<Result>(
  pool: Pool,
  read: (connection: Connection) => Promise<Result>,
): Promise<Result> {
  return withConnection(pool, async (connection) => {
    // Of the next transaction only: the session's is READ COMMITTED, which has no snapshot.
    await query(connection, "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ");
    await query(connection, "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY");
    const result = await read(connection);
    await query(connection, "COMMIT");
    return result;
  });
}

/** All rows of a collection and all receipts of its writes, in one snapshot. */
export function selectAllStored(pool: Pool, collection: Collection): Promise<Stored> {
  const { table, reads } = getSql(collection);
  return readSnapshot(pool, async (connection) => {
    const rows = await query(connection, `SELECT ${reads} FROM ${table}`);
    const sql = "SELECT id FROM writes WHERE collection = ?";
    const ids = (await query(connection, sql, [collection.name])).map(({ id }) => id as string);
    const receipts = await selectSettled(connection, ids);
    return { rows: rows.map((columns) => toRow(collection, columns)), receipts, dead: [] };
  });
}

/** The rows of these writes' items and their receipts, in one snapshot. */
export function selectStored(
  pool: Pool,
  collection: Collection,
  writes: readonly Write[],
): Promise<Stored> {
  const ids = writes.map(({ id }) => id);
  const itemIds = [...new Set(writes.map(({ itemId }) => itemId))];
  return readSnapshot(pool, async (connection) => ({
    rows: await selectRows(connection, collection, itemIds),
    receipts: await selectSettled(connection, ids),
    dead: await selectDead(connection, ids),
  }));
}
