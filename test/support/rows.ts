import type { Collection } from "../../common/collection.ts";
import { type Connection, query } from "../../common/database.ts";
import { getSql, type Row, toRow } from "../../common/tables.ts";

/** Selects the rows with these ids, in no particular order. */
export async function selectRows(
  connection: Connection,
  collection: Collection,
  ids: readonly string[],
): Promise<Row[]> {
  if (ids.length === 0) return [];
  const { table, reads } = getSql(collection);
  const sql = `SELECT ${reads} FROM ${table} WHERE id IN (?)`;
  return (await query(connection, sql, [ids])).map((columns) => toRow(collection, columns));
}
