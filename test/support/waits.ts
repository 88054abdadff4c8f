import { type Connection, query } from "../../common/database.ts";

/** Lets a minute pass for every write that waits: its wait is over when it is looked at again. */
export async function endWaits(connection: Connection): Promise<void> {
  await query(connection, "UPDATE waiting SET first_judged = first_judged - INTERVAL 1 MINUTE");
}

/** Has these writes waited for long already, when they are first looked at. */
export async function addOldWaits(connection: Connection, ids: readonly string[]): Promise<void> {
  if (ids.length === 0) return;
  const values = ids.map((id) => [id, "2000-01-01"]);
  await query(connection, "INSERT IGNORE INTO waiting (write_id, first_judged) VALUES ?", [values]);
}
