import { createPool, type Pool, type PoolConnection } from "mysql2/promise";
import { CONNECT_TIMEOUT_MS, LOCK_WAIT_SECONDS, STATEMENT_TIMEOUT_MS } from "./limits.ts";

export type { Pool, PoolConnection } from "mysql2/promise";

/** Runs SQL: the pool, or one of its connections inside a transaction. */
export type Connection = Pool | PoolConnection;
/** A row as the driver returns it: dates and JSON as text. */
export type Columns = Record<string, string | number | Buffer | null>;

/**
 * Session settings that all SQL relies on: no gap locks (READ COMMITTED), invalid values refused
 * instead of adjusted (strict mode), and a lock wait shorter than the acknowledgement deadline.
 */
const SESSION = [
  "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
  "SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_ZERO_DATE,NO_ZERO_IN_DATE,NO_ENGINE_SUBSTITUTION'," +
    ` SESSION innodb_lock_wait_timeout = ${LOCK_WAIT_SECONDS}, SESSION time_zone = '+00:00'`,
];

/** The driver's options for a URL; `?socketPath=` replaces host and port. */
export function parseMysqlUrl(mysqlUrl: URL) {
  const socketPath = mysqlUrl.searchParams.get("socketPath");
  return {
    ...(socketPath
      ? { socketPath }
      : { host: mysqlUrl.hostname, port: Number(mysqlUrl.port || 3306) }),
    user: decodeURIComponent(mysqlUrl.username),
    password: decodeURIComponent(mysqlUrl.password),
    database: decodeURIComponent(mysqlUrl.pathname.slice(1)),
  };
}

/** Opens a pool of at most `poolSize` connections; the first query opens the first. */
export function openPool({ mysqlUrl, poolSize }: { mysqlUrl: URL; poolSize: number }): Pool {
  const pool = createPool({
    ...parseMysqlUrl(mysqlUrl),
    connectionLimit: poolSize,
    connectTimeout: CONNECT_TIMEOUT_MS,
    charset: "utf8mb4",
    timezone: "Z",
    dateStrings: true,
    jsonStrings: true,
    // Otherwise the driver would capture a stack trace for each statement.
    trace: false,
  });
  // Queued before the first statement of the caller that asked for the connection.
  pool.pool.on("connection", (connection) => {
    for (const statement of SESSION)
      connection.query(statement, (error) => {
        if (error) connection.destroy();
      });
  });
  return pool;
}

/** Closes the pool; a connection that is lost meanwhile, or was never made, counts as closed. */
export async function closePool(pool: Pool): Promise<void> {
  await pool.end().catch(() => {});
}

/**
 * Runs `work` in one transaction and commits. On any error everything is rolled back. A connection
 * that failed (lost, or timed out) is closed, because its state is unknown; the server then rolls
 * back. `onStatement` is called for each statement.
 */
export async function inTransaction<Result>(
  pool: Pool,
  work: (connection: PoolConnection) => Promise<Result>,
  onStatement?: OnStatement,
): Promise<Result> {
  const connection = await pool.getConnection();
  if (onStatement) observers.set(connection, onStatement);
  try {
    await query(connection, "START TRANSACTION");
    const result = await work(connection);
    await query(connection, "COMMIT");
    connection.release();
    return result;
  } catch (error) {
    const isUsable = await query(connection, "ROLLBACK").then(
      () => classifyDatabaseError(error) !== "transient",
      () => false,
    );
    if (isUsable) connection.release();
    else connection.destroy();
    throw error;
  } finally {
    if (onStatement) observers.delete(connection);
  }
}

/** Called before a statement is sent; the function that it returns is called when it has ended. */
export type OnStatement = (sql: string) => (error?: unknown) => void;

/** The observers of transactions that are traced. */
const observers = new WeakMap<Connection, OnStatement>();

/** Runs statements outside a transaction on one connection, which is closed if one fails. */
export async function withConnection<Result>(
  pool: Pool,
  work: (connection: PoolConnection) => Promise<Result>,
): Promise<Result> {
  const connection = await pool.getConnection();
  try {
    const result = await work(connection);
    connection.release();
    return result;
  } catch (error) {
    connection.destroy();
    throw error;
  }
}

/** Runs one statement with its `?` filled in; one that takes too long fails. */
export async function query(
  connection: Connection,
  sql: string,
  values: readonly unknown[] = [],
): Promise<Columns[]> {
  const onEnd = observers.get(connection)?.(sql);
  try {
    const [rows] = await connection.query({
      sql,
      values: [...values],
      timeout: STATEMENT_TIMEOUT_MS,
    });
    onEnd?.();
    return rows as Columns[];
  } catch (error) {
    onEnd?.(error);
    if (error instanceof Error) Error.captureStackTrace(error);
    throw error;
  }
}

/** Another transaction changed the same rows first, so this one should run again. */
export class RaceError extends Error {
  override name = "RaceError";
}

/** What an error of MySQL means for the work that caused it. */
export type DatabaseFault = "transient" | "data" | "oversize" | "race" | "unknown";

/** The server is unreachable, failing over, full or contended: the same work may succeed later. */
const TRANSIENT_CODES = new Set([
  "ECONNREFUSED",
  "ECONNRESET",
  "ENOENT",
  "EPIPE",
  "ETIMEDOUT",
  "EHOSTUNREACH",
  "ENOTFOUND",
  "EAI_AGAIN",
  "PROTOCOL_CONNECTION_LOST",
  "PROTOCOL_SEQUENCE_TIMEOUT",
  "ER_LOCK_DEADLOCK",
  "ER_LOCK_WAIT_TIMEOUT",
  "ER_CON_COUNT_ERROR",
  "ER_TOO_MANY_USER_CONNECTIONS",
  "ER_USER_LIMIT_REACHED",
  "ER_SERVER_SHUTDOWN",
  "ER_NORMAL_SHUTDOWN",
  "ER_QUERY_INTERRUPTED",
  "ER_QUERY_TIMEOUT",
  "ER_CONNECTION_KILLED",
  "ER_OPTION_PREVENTS_STATEMENT",
  "ER_READ_ONLY_MODE",
  "ER_DISK_FULL",
  "ER_RECORD_FILE_FULL",
  "ER_CANT_EXECUTE_IN_READ_ONLY_TRANSACTION",
  "ER_CLIENT_INTERACTION_TIMEOUT",
  "ER_OUT_OF_RESOURCES",
  "ER_NO_SUCH_TABLE",
  "ER_BAD_FIELD_ERROR",
  "ER_BAD_DB_ERROR",
  "ER_ACCESS_DENIED_ERROR",
  "ER_DBACCESS_DENIED_ERROR",
  "ER_TABLEACCESS_DENIED_ERROR",
  "ER_TABLE_DEF_CHANGED",
]);
/** 1927 is MariaDB's "connection was killed", which the driver has no name for. */
const TRANSIENT_NUMBERS = new Set([1927]);
/** The statement is too large for the server, which closes the connection; half of the batch may fit. */
const OVERSIZE_CODES = new Set(["ER_NET_PACKET_TOO_LARGE", "ER_SERVER_NET_PACKET_TOO_LARGE"]);

/**
 * Classifies an error by its code. `race`: a row that was absent now exists, so the transaction
 * should run again. `data`: a value is refused (SQLSTATE class 22 or 23). `oversize`: all values
 * together are too large. Missing tables, columns and rights count as transient: a migration adds
 * them, and no write may become dead because of them.
 */
export function classifyDatabaseError(error: unknown): DatabaseFault {
  const { code = "", errno = 0, sqlState = "", sqlMessage = "" } = error as DatabaseError;
  if (error instanceof RaceError) return "race";
  // The driver gives no code to this one, which a query after the stop gets.
  if ((error as Error).message === "Pool is closed.") return "transient";
  if (TRANSIENT_CODES.has(code) || TRANSIENT_NUMBERS.has(errno)) return "transient";
  if (code === "ER_DUP_ENTRY" && /for key '(\w+\.)?PRIMARY'/.test(sqlMessage)) return "race";
  if (OVERSIZE_CODES.has(code)) return "oversize";
  if (/^2[23]/.test(sqlState) || DATA_NUMBERS.has(errno)) return "data";
  // Failures of the driver itself, such as a broken connection, have no code of the server.
  return (error as { fatal?: boolean }).fatal ? "transient" : "unknown";
}

/** Errors in values that the servers report under the general state HY000. */
const DATA_NUMBERS = new Set([1265, 1366, 1364, 3140, 3819, 4025, 1367, 1292]);

const DATA_ERROR = "MySQL refused the item: ";

/** Describes a data error for a dead letter's reason, without the statement. */
export function describeDataError(error: unknown): string {
  const { code, sqlMessage, message } = error as DatabaseError & Error;
  return `${DATA_ERROR}${sqlMessage ?? message} (${code})`;
}

/**
 * A dead letter's reason for clients. MySQL's own sentence, which has names of tables and values, is
 * for operators; of it, clients get the name of the constraint or key, or else the code.
 */
export function hideDataError(reason: string): string {
  if (!reason.startsWith(DATA_ERROR)) return reason;
  const rule = /\b(?:constraint|key) ['`](?:\w+\.)?(\w+)['`]/i.exec(reason)?.[1];
  if (rule) return `The database refused the item: it breaks the table's rule ${rule}.`;
  const [code = ""] = / \(\w+\)$/.exec(reason) ?? [];
  return `The database refused the item${code}.`;
}

type DatabaseError = { code?: string; errno?: number; sqlState?: string; sqlMessage?: string };
