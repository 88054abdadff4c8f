import { type Connection, query } from "./database.ts";

/**
 * Looks up writes in one statement: which of `ids` have a receipt in `writes`, and for how long those
 * of `waitIds` have been waiting, in milliseconds by MySQL's clock, by the id of the write.
 */
export async function selectSettledAndWaiting(
  connection: Connection,
  { ids, waitIds }: { ids: readonly string[]; waitIds: readonly string[] },
): Promise<{ settled: string[]; waitedMs: Map<string, number> }> {
  const settled: string[] = [];
  const waitedMs = new Map<string, number>();
  if (ids.length === 0) return { settled, waitedMs };
  const isWaitRead = waitIds.length > 0;
  const rows = await query(
    connection,
    `SELECT id, NULL AS waited FROM writes WHERE id IN (?)${isWaitRead ? SELECT_WAITING : ""}`,
    isWaitRead ? [ids, waitIds] : [ids],
  );
  for (const { id, waited } of rows)
    if (waited === null) settled.push(id as string);
    else waitedMs.set(id as string, Number(waited));
  return { settled, waitedMs };
}

const SELECT_WAITING =
  " UNION ALL SELECT write_id, TIMESTAMPDIFF(MICROSECOND, first_judged, UTC_TIMESTAMP(3)) DIV 1000" +
  " FROM waiting WHERE write_id IN (?)";

/** Notes that these writes wait, from now; two subscribers may find the same one at once. Sort `ids`. */
export async function insertWaiting(connection: Connection, ids: readonly string[]): Promise<void> {
  if (ids.length === 0) return;
  const rows = ids.map(() => "(?, UTC_TIMESTAMP(3))").join(", ");
  await query(
    connection,
    `INSERT IGNORE INTO waiting (write_id, first_judged) VALUES ${rows}`,
    ids,
  );
}

/** Forgets writes that wait no longer. Sort `ids`. */
export async function deleteWaiting(connection: Connection, ids: readonly string[]): Promise<void> {
  if (ids.length === 0) return;
  await query(connection, "DELETE FROM waiting WHERE write_id IN (?)", [ids]);
}
