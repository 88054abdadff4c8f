/** Another transaction changed the same rows first, so this one should run again. */
export class RaceError extends Error {
  override name = "RaceError";
}

/** A table does not hold what its collection declares; nothing is written to it until it does. */
export class TableError extends Error {
  override name = "TableError";
  readonly code = "TABLE_UNFIT";

  constructor(faults: readonly string[]) {
    super(faults.join(" "));
  }
}

/** Another transaction holds the counter of a collection's feed for longer than this one waits. */
export class FeedLockedError extends Error {
  override name = "FeedLockedError";
  readonly code = "FEED_LOCKED";
  /** Its name. */
  readonly collection: string;

  constructor(collection: string) {
    super(`Another transaction holds the counter of the feed of ${collection}.`);
    this.collection = collection;
  }
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
]);
/**
 * The server answers, and does not let the process in: a wrong password, an account that is missing,
 * locked, expired or without a right to the database, a database that is missing, a host or a kind of
 * connection that it does not take. Nothing is wrong with any write, and only a person can mend it.
 */
const REFUSED_LOGIN_CODES = new Set([
  "ER_ACCESS_DENIED_ERROR",
  "ER_ACCESS_DENIED_NO_PASSWORD_ERROR",
  "ER_DBACCESS_DENIED_ERROR",
  "ER_BAD_DB_ERROR",
  "ER_ACCOUNT_HAS_BEEN_LOCKED",
  "ER_USER_ACCESS_DENIED_FOR_USER_ACCOUNT_BLOCKED_BY_PASSWORD_LOCK",
  "ER_MUST_CHANGE_PASSWORD",
  "ER_MUST_CHANGE_PASSWORD_LOGIN",
  "ER_HOST_IS_BLOCKED",
  "ER_HOST_NOT_PRIVILEGED",
  "ER_SECURE_TRANSPORT_REQUIRED",
  "ER_NOT_SUPPORTED_AUTH_MODE",
  "ER_SERVER_IS_IN_SECURE_AUTH_MODE",
  "ER_PLUGIN_IS_NOT_LOADED",
  "ER_HANDSHAKE_ERROR",
  // The driver's own, where it cannot do what the account requires.
  "AUTH_SWITCH_PLUGIN_ERROR",
  "MYSQL_CLEAR_PASSWORD_NOT_ENABLED",
  "HANDSHAKE_NO_SSL_SUPPORT",
]);
/** 4151 is MariaDB's for an account that is locked, which the driver has another name for. */
const REFUSED_LOGIN_NUMBERS = new Set([4151]);
/** Another transaction holds a row, or the whole table, for longer than this one waits. */
const LOCKED_CODES = new Set(["ER_LOCK_WAIT_TIMEOUT", "ER_LOCK_NOWAIT", "FEED_LOCKED"]);
/** What the pool says without a code: after the stop, and where too many wait for a connection. */
const POOL_MESSAGES = new Set(["Pool is closed.", "Queue limit reached."]);
/** 1927 is MariaDB's "connection was killed", which the driver has no name for. */
const TRANSIENT_NUMBERS = new Set([1927]);
/** The table, or a view or trigger in its place, refuses every write: until a migration or a grant. */
const TABLE_CODES = new Set([
  "ER_NO_SUCH_TABLE",
  "ER_BAD_FIELD_ERROR",
  "ER_NO_DEFAULT_FOR_FIELD",
  "ER_NON_DEFAULT_VALUE_FOR_GENERATED_COLUMN",
  "ER_TABLEACCESS_DENIED_ERROR",
  "ER_COLUMNACCESS_DENIED_ERROR",
  "ER_PROCACCESS_DENIED_ERROR",
  "ER_NO_SUCH_USER",
  "ER_TABLE_DEF_CHANGED",
  "ER_OPEN_AS_READONLY",
  "ER_NON_UPDATABLE_TABLE",
  "ER_NON_INSERTABLE_TABLE",
  "ER_NONUPDATEABLE_COLUMN",
  "ER_VIEW_INVALID",
  "ER_CANT_AGGREGATE_2COLLATIONS",
  "ER_CRASHED_ON_USAGE",
  "ER_CRASHED_ON_REPAIR",
  "ER_TABLE_CORRUPT",
  "ER_TABLESPACE_MISSING",
  "ER_TABLESPACE_DISCARDED",
]);
/** 1906 is MariaDB's for a value for a generated column. */
const TABLE_NUMBERS = new Set([1906]);
/**
 * A rule of the table that the declaration does not know refuses the item: a CHECK (4025 on MariaDB),
 * a unique index, a foreign key; or it is JSON that MySQL does not store.
 */
const DATA_CODES = new Set([
  "ER_CHECK_CONSTRAINT_VIOLATED",
  "ER_DUP_KEY",
  "ER_DUP_ENTRY",
  "ER_DUP_UNIQUE",
  "ER_DUP_ENTRY_WITH_KEY_NAME",
  "ER_FOREIGN_DUPLICATE_KEY",
  "ER_NO_REFERENCED_ROW",
  "ER_NO_REFERENCED_ROW_2",
  "ER_ROW_IS_REFERENCED",
  "ER_ROW_IS_REFERENCED_2",
  "ER_INVALID_JSON_TEXT",
  "ER_JSON_VALUE_TOO_BIG",
  "ER_JSON_KEY_TOO_BIG",
  "ER_JSON_DOCUMENT_TOO_DEEP",
]);
const DATA_NUMBERS = new Set([4025]);
/** The statement is too large for the server, which closes the connection; half of the batch may fit. */
const OVERSIZE_CODES = new Set(["ER_NET_PACKET_TOO_LARGE", "ER_SERVER_NET_PACKET_TOO_LARGE"]);

/**
 * Classifies an error by its code. `race`: a row that was absent now exists, so the transaction
 * should run again. `data`: the item is at fault, and can never be stored. `oversize`: all values
 * together are too large. `table` and `locked` concern one table at present, or rows of it: no other
 * table waits for them.
 *
 * A fault of the table is never one of the write. So `unknown`, which never makes a write dead, is
 * also what a column says of a value that the declaration allows: too long (1406), out of range
 * (1264), not to be converted (1265, 1292, 1366), NULL (1048).
 */
export function classifyDatabaseError(error: unknown): DatabaseFault {
  const { code = "", errno = 0, sqlMessage = "" } = error as DatabaseError;
  if (error instanceof RaceError) return "race";
  if (error instanceof TableError) return "table";
  if (POOL_MESSAGES.has((error as Error).message)) return "transient";
  if (TRANSIENT_CODES.has(code) || TRANSIENT_NUMBERS.has(errno)) return "transient";
  if (isRefusedLogin(error)) return "transient";
  if (TABLE_CODES.has(code) || TABLE_NUMBERS.has(errno)) return "table";
  if (LOCKED_CODES.has(code)) return "locked";
  if (code === "ER_DUP_ENTRY" && /for key '(\w+\.)?PRIMARY'/.test(sqlMessage)) return "race";
  if (OVERSIZE_CODES.has(code)) return "oversize";
  if (DATA_CODES.has(code) || DATA_NUMBERS.has(errno)) return "data";
  // Failures of the driver itself, such as a broken connection, have no code of the server.
  return (error as { fatal?: boolean }).fatal ? "transient" : "unknown";
}

/** Whether MySQL does not let the process in; such an error is also `transient`. */
export function isRefusedLogin(error: unknown): boolean {
  const { code = "", errno = 0 } = error as DatabaseError;
  return REFUSED_LOGIN_CODES.has(code) || REFUSED_LOGIN_NUMBERS.has(errno);
}

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

/** Describes a fault of a table for the log; such messages name tables and columns, never values. */
export function describeTableFault(error: unknown): string {
  const { sqlMessage, message } = error as DatabaseError & Error;
  return sqlMessage ?? message;
}

type DatabaseError = { code?: string; errno?: number; sqlMessage?: string };
