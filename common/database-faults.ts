/** Another transaction changed the same rows first, so this one should run again. */
export class RaceError extends Error {
  override name = "RaceError";
}

/** What an error of MySQL means for the work that caused it. */
export type DatabaseFault =
  | "transient"
  | "table"
  | "locked"
  | "data"
  | "oversize"
  | "race"
  | "unknown";

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
  "ER_BAD_DB_ERROR",
  "ER_ACCESS_DENIED_ERROR",
  "ER_DBACCESS_DENIED_ERROR",
]);
/** One table lacks something, until a migration or a grant adds it. */
const TABLE_CODES = new Set([
  "ER_NO_SUCH_TABLE",
  "ER_BAD_FIELD_ERROR",
  "ER_TABLEACCESS_DENIED_ERROR",
  "ER_TABLE_DEF_CHANGED",
]);
/** Another transaction holds a row, or the whole table, for longer than this one waits. */
const LOCKED_CODES = new Set(["ER_LOCK_WAIT_TIMEOUT", "ER_LOCK_NOWAIT"]);
/** What the pool says without a code: after the stop, and where too many wait for a connection. */
const POOL_MESSAGES = new Set(["Pool is closed.", "Queue limit reached."]);
/** 1927 is MariaDB's "connection was killed", which the driver has no name for. */
const TRANSIENT_NUMBERS = new Set([1927]);
/** The statement is too large for the server, which closes the connection; half of the batch may fit. */
const OVERSIZE_CODES = new Set(["ER_NET_PACKET_TOO_LARGE", "ER_SERVER_NET_PACKET_TOO_LARGE"]);

/**
 * Classifies an error by its code. `race`: a row that was absent now exists, so the transaction
 * should run again. `data`: a value is refused (SQLSTATE class 22 or 23). `oversize`: all values
 * together are too large. `table` and `locked` concern one table, or rows of it: no write may become
 * dead because of them, and no other table waits for them.
 */
export function classifyDatabaseError(error: unknown): DatabaseFault {
  const { code = "", errno = 0, sqlState = "", sqlMessage = "" } = error as DatabaseError;
  if (error instanceof RaceError) return "race";
  if (POOL_MESSAGES.has((error as Error).message)) return "transient";
  if (TRANSIENT_CODES.has(code) || TRANSIENT_NUMBERS.has(errno)) return "transient";
  if (TABLE_CODES.has(code)) return "table";
  if (LOCKED_CODES.has(code)) return "locked";
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
