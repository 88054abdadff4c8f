import type { Socket } from "node:net";
import { createPool, type Pool, type PoolConnection } from "mysql2/promise";
import { classifyDatabaseError } from "./database-faults.ts";
import { DeadlineExceededError, withDeadline } from "./deadline.ts";
import {
  CONNECT_TIMEOUT_MS,
  IDLE_SECONDS,
  LOCK_WAIT_SECONDS,
  POOL_QUEUE,
  STATEMENT_TIMEOUT_MS,
} from "./limits.ts";
import { createSocketPlugins, logIn, watchLogins } from "./mysql-login.ts";
import type { Logger } from "./telemetry/logger.ts";

export type { Pool, PoolConnection } from "mysql2/promise";

/** Runs SQL: the pool, or one of its connections inside a transaction. */
export type Connection = Pool | PoolConnection;
/** A row as the driver returns it: dates and JSON as text. */
export type Columns = Record<string, string | number | Buffer | null>;

/**
 * Session settings that all SQL relies on: no gap locks (READ COMMITTED), invalid values refused
 * instead of adjusted (strict mode), and waits for the locks of rows and of tables (a migration's)
 * that are shorter than the acknowledgement deadline. The server ends a session that it hears nothing
 * of, because one whose client is gone without a word would keep its locks for MySQL's eight hours.
 */
const listSession = (idleSeconds: number) => [
  "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
  "SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_ZERO_DATE,NO_ZERO_IN_DATE,NO_ENGINE_SUBSTITUTION'," +
    ` SESSION innodb_lock_wait_timeout = ${LOCK_WAIT_SECONDS},` +
    ` SESSION lock_wait_timeout = ${LOCK_WAIT_SECONDS}, SESSION wait_timeout = ${idleSeconds},` +
    " SESSION time_zone = '+00:00'",
];

/**
 * The driver's options for a URL; `?socketPath=` replaces host and port. Connections are made through
 * {@link logIn}, which over a socket may take a second attempt.
 */
export function parseMysqlUrl(mysqlUrl: URL) {
  const socketPath = mysqlUrl.searchParams.get("socketPath");
  return {
    ...(socketPath
      ? { socketPath, authPlugins: createSocketPlugins() }
      : { host: mysqlUrl.hostname, port: Number(mysqlUrl.port || 3306) }),
    user: decodeURIComponent(mysqlUrl.username),
    password: decodeURIComponent(mysqlUrl.password),
    database: decodeURIComponent(mysqlUrl.pathname.slice(1)),
  };
}

/**
 * Opens a pool of at most `poolSize` connections; the first query opens the first. The logger is told of
 * log-ins that MySQL refuses.
 */
export function openPool({
  mysqlUrl,
  poolSize,
  idleSeconds = IDLE_SECONDS,
  logger,
}: {
  mysqlUrl: URL;
  poolSize: number;
  idleSeconds?: number;
  logger?: Logger;
}): Pool {
  const pool = createPool({
    ...parseMysqlUrl(mysqlUrl),
    connectionLimit: poolSize,
    queueLimit: POOL_QUEUE,
    connectTimeout: CONNECT_TIMEOUT_MS,
    charset: "utf8mb4",
    timezone: "Z",
    dateStrings: true,
    jsonStrings: true,
    // Otherwise the driver would capture a stack trace for each statement.
    trace: false,
  });
  watchLogins(pool, logger);
  const sockets = new Set<Socket>();
  openSockets.set(pool, sockets);
  // Queued before the first statement of the caller that asked for the connection.
  pool.pool.on("connection", (connection) => {
    const { stream } = connection as unknown as DriverConnection;
    sockets.add(stream.once("close", () => sockets.delete(stream)));
    // Its statements have the error already; one that nobody listens to would end the process.
    connection.on("error", () => {});
    for (const sql of listSession(idleSeconds))
      connection.query({ sql, timeout: CONNECT_TIMEOUT_MS }, (error) => {
        if (error) closeConnection(connection, error);
      });
  });
  return pool;
}

const openSockets = new WeakMap<Pool, Set<Socket>>();

/** Closes the pool, also where a connection is lost, not made or silent meanwhile. */
export async function closePool(pool: Pool): Promise<void> {
  await withDeadline(pool.end(), CONNECT_TIMEOUT_MS).catch(() => {});
  // The socket of a silent connection would keep the process from ending.
  for (const socket of openSockets.get(pool) ?? []) socket.destroy();
}

/**
 * Runs `work` in one transaction and commits. On any error everything is rolled back. A connection
 * that failed (lost, or timed out) is closed, because its state is unknown and a ROLLBACK would wait
 * behind the statement that hangs; the server then rolls back. `onStatement` is called for each
 * statement.
 */
export async function inTransaction<Result>(
  pool: Pool,
  work: (connection: PoolConnection) => Promise<Result>,
  onStatement?: OnStatement,
): Promise<Result> {
  const connection = await acquire(pool, STATEMENT_TIMEOUT_MS);
  if (onStatement) observers.set(connection, onStatement);
  try {
    await query(connection, "START TRANSACTION");
    const result = await work(connection);
    await query(connection, "COMMIT");
    connection.release();
    return result;
  } catch (error) {
    const isRolledBack =
      classifyDatabaseError(error) !== "transient" &&
      (await query(connection, "ROLLBACK").then(
        () => true,
        () => false,
      ));
    if (isRolledBack) connection.release();
    else discard(pool, connection, error as Error);
    throw error;
  } finally {
    if (onStatement) observers.delete(connection);
  }
}

/** Called before a statement is sent; the function that it returns is called when it has ended. */
export type OnStatement = (sql: string) => (error?: unknown) => void;

/** The observers of transactions that are traced. */
const observers = new WeakMap<Connection, OnStatement>();

/**
 * Runs statements outside a transaction on one connection, which is closed if one fails, or if they
 * have not ended within `deadlineMs`, the wait for a connection included.
 */
export async function withConnection<Result>(
  pool: Pool,
  work: (connection: PoolConnection) => Promise<Result>,
  { deadlineMs }: { deadlineMs?: number } = {},
): Promise<Result> {
  const startedAt = performance.now();
  const connection = await acquire(pool, deadlineMs ?? STATEMENT_TIMEOUT_MS);
  const end = () => closeConnection(connection.connection, new DeadlineExceededError());
  const leftMs = deadlineMs && deadlineMs - (performance.now() - startedAt);
  const timer = leftMs === undefined ? undefined : setTimeout(end, Math.max(0, leftMs));
  try {
    const result = await work(connection);
    connection.release();
    return result;
  } catch (error) {
    discard(pool, connection, error as Error);
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

/**
 * Runs one statement with its `?` filled in. One that takes too long fails, and its connection is
 * closed. The time is counted from here and not, as the driver does, from when the connection has
 * finished the statements before.
 */
export async function query(
  connection: Connection,
  sql: string,
  values: readonly unknown[] = [],
): Promise<Columns[]> {
  if (isPool(connection)) return withConnection(connection, (own) => query(own, sql, values));
  const onEnd = observers.get(connection)?.(sql);
  const timer = setTimeout(
    () => closeConnection(connection.connection, new DeadlineExceededError()),
    STATEMENT_TIMEOUT_MS,
  );
  try {
    const [rows] = await connection.query({ sql, values: [...values] });
    onEnd?.();
    return rows as Columns[];
  } catch (error) {
    onEnd?.(error);
    if (error instanceof Error) Error.captureStackTrace(error);
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

function isPool(connection: Connection): connection is Pool {
  return "getConnection" in connection;
}

/** Takes a connection from the pool; one that comes after the deadline goes back to it. */
async function acquire(pool: Pool, deadlineMs: number): Promise<PoolConnection> {
  const requested = getFreshConnection(pool);
  try {
    return await withDeadline(requested, deadlineMs);
  } catch (error) {
    requested.then(
      (connection) => connection.release(),
      () => {},
    );
    throw error;
  }
}

/** When a connection of the pool last went silent, in milliseconds since 1970. */
const silentAt = new WeakMap<Pool, number>();

/** Those that have been idle since before another went silent are silent as well, or may be. */
async function getFreshConnection(pool: Pool): Promise<PoolConnection> {
  for (;;) {
    const connection = await logIn(() => pool.getConnection(), pool);
    const { lastActiveTime } = connection.connection as DriverConnection;
    if (lastActiveTime >= (silentAt.get(pool) ?? 0)) return connection;
    closeConnection(connection.connection, new DeadlineExceededError());
  }
}

function discard(pool: Pool, { connection }: PoolConnection, error: Error): void {
  if (error instanceof DeadlineExceededError) silentAt.set(pool, Date.now());
  closeConnection(connection, error);
}

/**
 * Closes a connection, also one whose server is silent: its statements fail with `error`, and its
 * place in the pool is free. After the driver's `destroy()` alone they would wait for ever, and the
 * socket would stay open until the other end closes it.
 */
export function closeConnection(connection: { destroy(): void }, error: Error): void {
  connection.destroy();
  (connection as DriverConnection).stream.destroy(error);
}

/** What the driver's type leaves out: `lastActiveTime` is when it was made, or given back to the pool. */
type DriverConnection = PoolConnection["connection"] & { stream: Socket; lastActiveTime: number };
