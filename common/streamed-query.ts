import type { Socket } from "node:net";
import type { Connection as Driver } from "mysql2";
import type { PoolConnection } from "mysql2/promise";
import type { Columns } from "./database.ts";

/**
 * Runs one SELECT with its `?` filled in, and hands over each row as it arrives, so that the caller
 * can stop at a number of bytes. Where `take` returns false, or throws, the connection is closed: more
 * rows may be on their way on it. Resolves to whether all rows were taken. The caller bounds the time,
 * with `withConnection`.
 */
export async function queryEach(
  connection: PoolConnection,
  sql: string,
  values: readonly unknown[],
  take: (columns: Columns) => boolean,
): Promise<boolean> {
  const driver = connection.connection as unknown as Driver & { stream: Socket };
  const { promise, resolve, reject } = Promise.withResolvers<boolean>();
  const stop = () => {
    rows.removeAllListeners("result");
    connection.destroy();
    // The driver's own `destroy()` goes on reading until the server closes the connection.
    driver.stream.destroy();
  };
  const rows = driver.query({ sql, values: [...values] });
  rows.on("result", (columns) => {
    try {
      if (take(columns as unknown as Columns)) return;
      resolve(false);
    } catch (error) {
      reject(error);
    }
    stop();
  });
  rows.on("error", reject).on("end", () => resolve(true));
  // The loss of a connection is not reported to a statement that is read row by row.
  const onLost = (error: Error) => reject(error);
  driver.on("error", onLost);
  try {
    return await promise;
  } finally {
    driver.off("error", onLost);
  }
}
