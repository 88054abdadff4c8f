import { createPool, type Pool, type PoolConnection } from "mysql2/promise";
import { CONNECT_TIMEOUT_MS, LOCK_WAIT_SECONDS, STATEMENT_TIMEOUT_MS } from "./limits.ts";

export type { Pool, PoolConnection } from "mysql2/promise";

/** What runs SQL: the pool, or one connection of it inside a transaction. */
export type Connection = Pool | PoolConnection;
/** A row as the driver gives it: dates and JSON as text. */
export type Columns = Record<string, string | number | Buffer | null>;

/**
 * The session that all SQL here relies on: no gap locks (READ COMMITTED), values refused rather
 * than bent (strict mode), and a lock wait well inside the acknowledgement deadline.
 */
const SESSION = [
  "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
  "SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_ZERO_DATE,NO_ZERO_IN_DATE,NO_ENGINE_SUBSTITUTION'," +
    ` SESSION innodb_lock_wait_timeout = ${LOCK_WAIT_SECONDS}, SESSION time_zone = '+00:00'`,
];

/** Where and as whom to connect; `?socketPath=` in the URL stands for host and port. */
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

/** Opens a pool of at most `poolSize` connections; none is made before the first query. */
export function openPool({ mysqlUrl, poolSize }: { mysqlUrl: URL; poolSize: number }): Pool {
  const pool = createPool({
    ...parseMysqlUrl(mysqlUrl),
    connectionLimit: poolSize,
    connectTimeout: CONNECT_TIMEOUT_MS,
    charset: "utf8mb4",
    timezone: "Z",
    dateStrings: true,
    jsonStrings: true,
    // The driver would note where each statement was asked for, in case that it fails.
    trace: false,
  });
  // Queued before the borrower's first statement, so every statement runs in this session.
  pool.pool.on("connection", (connection) => {
    for (const statement of SESSION)
      connection.query(statement, (error) => {
        if (error) connection.destroy();
      });
  });
  return pool;
}

/**
 * Runs `work` in one transaction and commits. On any error everything is rolled back; a
 * connection that failed in the driver (lost, or out of time) is closed, because what it still
 * carries is not known, and the server rolls back then. `onStatement` is told of each statement.
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

/** Told of a statement before it is sent; what it returns is told when it has ended. */
export type OnStatement = (sql: string) => (error?: unknown) => void;

/** Who is told of the statements of a transaction that is traced. */
const observers = new WeakMap<Connection, OnStatement>();

/** Runs statements outside a transaction on one connection, closed if it fails in the driver. */
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

/** Runs one statement, with `?` filled in, within the time that a statement may take. */
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

/** Another transaction did meanwhile what this one meant to do: it should run again. */
export class RaceError extends Error {
  override name = "Race";
}

/** What an error of MySQL means for the work at hand. */
export type DatabaseFault = "transient" | "data" | "oversize" | "race" | "unknown";

/** The server is away, switching over, full or contended: the same work may succeed later. */
const TRANSIENT_CODES = new Set([
  ...["ECONNREFUSED", "ECONNRESET", "ENOENT", "EPIPE", "ETIMEDOUT", "EHOSTUNREACH", "ENOTFOUND"],
  ...["EAI_AGAIN", "PROTOCOL_CONNECTION_LOST", "PROTOCOL_SEQUENCE_TIMEOUT", "POOL_CLOSED"],
  ...["ER_LOCK_DEADLOCK", "ER_LOCK_WAIT_TIMEOUT", "ER_CON_COUNT_ERROR"],
  ...["ER_TOO_MANY_USER_CONNECTIONS", "ER_USER_LIMIT_REACHED", "ER_SERVER_SHUTDOWN"],
  ...["ER_NORMAL_SHUTDOWN", "ER_QUERY_INTERRUPTED", "ER_QUERY_TIMEOUT", "ER_CONNECTION_KILLED"],
  ...["ER_OPTION_PREVENTS_STATEMENT", "ER_READ_ONLY_MODE", "ER_DISK_FULL", "ER_RECORD_FILE_FULL"],
  ...[
    "ER_CANT_EXECUTE_IN_READ_ONLY_TRANSACTION",
    "ER_CLIENT_INTERACTION_TIMEOUT",
    "ER_OUT_OF_RESOURCES",
  ],
  ...["ER_NO_SUCH_TABLE", "ER_BAD_FIELD_ERROR", "ER_BAD_DB_ERROR", "ER_ACCESS_DENIED_ERROR"],
  ...["ER_DBACCESS_DENIED_ERROR", "ER_TABLEACCESS_DENIED_ERROR", "ER_TABLE_DEF_CHANGED"],
]);
/** 1927 is MariaDB's "connection was killed", unknown to the driver by name. */
const TRANSIENT_NUMBERS = new Set([1927]);
/** The statement is too large for the server, which ends the connection: halving the batch helps. */
const OVERSIZE_CODES = new Set(["ER_NET_PACKET_TOO_LARGE", "ER_SERVER_NET_PACKET_TOO_LARGE"]);

/**
 * Sorts an error by its code. `race`: a row that did not exist a moment ago now does, so the
 * transaction should run again. `data`: the values themselves are refused (SQLSTATE class 22 or
 * 23), so the offender should be found; `oversize`: all of them together are too large. Missing
 * tables, columns and rights count as transient: a migration mends them, and no write may die for
 * them.
 */
export function classifyDatabaseError(error: unknown): DatabaseFault {
  const { code = "", errno = 0, sqlState = "", sqlMessage = "" } = error as DatabaseError;
  if (error instanceof RaceError) return "race";
  if (TRANSIENT_CODES.has(code) || TRANSIENT_NUMBERS.has(errno)) return "transient";
  if (code === "ER_DUP_ENTRY" && /for key '(\w+\.)?PRIMARY'/.test(sqlMessage)) return "race";
  if (OVERSIZE_CODES.has(code)) return "oversize";
  if (/^2[23]/.test(sqlState) || DATA_NUMBERS.has(errno)) return "data";
  // The driver's own failures carry no server state; a connection that broke half-way is one.
  return (error as { fatal?: boolean }).fatal ? "transient" : "unknown";
}

/** Value errors that the servers report under the catch-all state HY000. */
const DATA_NUMBERS = new Set([1265, 1366, 1364, 3140, 3819, 4025, 1367, 1292]);

/** The sentence of a data error, for a dead letter's reason; without the statement. */
export function describeDataError(error: unknown): string {
  const { code, sqlMessage, message } = error as DatabaseError & Error;
  return `MySQL refused the item: ${sqlMessage ?? message} (${code})`;
}

type DatabaseError = { code?: string; errno?: number; sqlState?: string; sqlMessage?: string };
