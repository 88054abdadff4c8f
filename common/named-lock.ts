import { type Pool, type PoolConnection, query, withConnection } from "./database.ts";

/** In SQL. A lock belongs to the server, so its name contains that of the database; 64 characters at most. */
export function formatLockName(purpose: "retention" | "expiry"): string {
  return `LEFT(CONCAT(DATABASE(), ' ${purpose}'), 64)`;
}

/**
 * Runs `work` on a connection that has the lock; resolves to undefined at once where another has it.
 * If `work` fails, its connection is closed, which gives the lock back.
 */
export function withNamedLock<Result>(
  pool: Pool,
  purpose: Parameters<typeof formatLockName>[0],
  work: (connection: PoolConnection) => Promise<Result>,
): Promise<Result | undefined> {
  const name = formatLockName(purpose);
  return withConnection(pool, async (connection) => {
    const [lock] = await query(connection, `SELECT GET_LOCK(${name}, 0) AS held`);
    if (lock?.held !== 1) return undefined;
    const result = await work(connection);
    await query(connection, `SELECT RELEASE_LOCK(${name})`);
    return result;
  });
}
