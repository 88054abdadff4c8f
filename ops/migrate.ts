import { readdir, readFile } from "node:fs/promises";
import {
  Kysely,
  MysqlDialect,
  type MysqlPool,
  type MysqlPoolConnection,
  type MysqlQueryResult,
  sql,
} from "kysely";
import { type Migration, Migrator } from "kysely/migration";
import { createPool, type Pool, type PoolConnection } from "mysql2";
import { loadVariables } from "../common/config.ts";
import { closeConnection, parseMysqlUrl } from "../common/database.ts";
import { DeadlineExceededError, withDeadline } from "../common/deadline.ts";
import { CONNECT_TIMEOUT_MS, LOCK_WAIT_SECONDS, STATEMENT_TIMEOUT_MS } from "../common/limits.ts";
import { logIn } from "../common/mysql-login.ts";
import { parseOptions } from "./command-line.ts";
import { explainDatabaseError } from "./database-error.ts";
import { type Program, runMain, type Terminal } from "./terminal.ts";

const FOLDER = new URL("../migrations/", import.meta.url);

/**
 * A connection whose statement has not ended by then is closed. A migration may rebuild a large table,
 * and another process's migration is waited for; all other statements end within milliseconds.
 */
const DEADLINES_MS = { migration: 60 * 60_000, other: STATEMENT_TIMEOUT_MS };

const HELP = `Runs the migrations in migrations/ that have not run yet, in order.

Usage: npm run migrate

Several at once are safe: one migrates, the others wait. MYSQL_URL names the database.

Exit status: 0 done, 1 a migration failed, 2 wrong usage.
`;

/** `npm run migrate`. */
export const MIGRATE: Program = { main, help: HELP };

if (import.meta.main) await runMain(MIGRATE);

/**
 * Runs the numbered `.sql` files that have not run yet, in order, under a lock that the server
 * holds: of several that start at once, one migrates and the others wait. Fails where somebody holds
 * a table for longer than {@link LOCK_WAIT_SECONDS}, and where MySQL does not answer within the
 * deadlines. Returns their names.
 * `folders` are URLs that end with a slash; the project's own comes first.
 */
export async function migrate(
  mysqlUrl: URL,
  folders: readonly URL[] = [FOLDER],
  deadlinesMs = DEADLINES_MS,
): Promise<string[]> {
  const files = await readMigrations(folders);
  const pool = createPool({
    ...parseMysqlUrl(mysqlUrl),
    multipleStatements: true,
    connectionLimit: 2,
    connectTimeout: CONNECT_TIMEOUT_MS,
  });
  const connections: PoolConnection[] = [];
  pool.on("connection", (connection) => {
    connections.push(connection);
    // Its statements have the error already; one that nobody listens to would end the process.
    connection.on("error", () => {});
    // A change of a table waits for every transaction that uses it, and all others wait behind it.
    connection.query(`SET SESSION lock_wait_timeout = ${LOCK_WAIT_SECONDS}`);
  });
  const isLong = (statement: string) =>
    [...files.values()].includes(statement) || statement.startsWith("select get_lock(");
  const db = new Kysely<unknown>({
    dialect: new MysqlDialect({
      pool: closeLate(pool, (statement) => deadlinesMs[isLong(statement) ? "migration" : "other"]),
    }),
  });
  try {
    const migrator = new Migrator({
      db,
      provider: { getMigrations: async () => toMigrations(files) },
      migrationTableName: "migrations",
      migrationLockTableName: "migrations_lock",
    });
    const { error, results } = await migrator.migrateToLatest();
    if (error) {
      const failed = results?.find(({ status }) => status === "Error")?.migrationName;
      if (failed === undefined) throw error;
      throw new Error(
        `The migration ${failed} failed: ${(error as Error).message.replace(/\.$/, "")}. MySQL keeps` +
          " what its earlier statements have changed: undo that before you run it again" +
          " (docs/operations.md, Migrations).",
      );
    }
    return (results ?? []).map(({ migrationName }) => migrationName);
  } finally {
    await withDeadline(db.destroy(), CONNECT_TIMEOUT_MS).catch(() => {});
    // The socket of a silent connection would keep the process from ending.
    for (const connection of connections) closeConnection(connection, new DeadlineExceededError());
  }
}

/**
 * A pool whose connections are closed where a statement takes longer than its deadline: Kysely's next
 * statements, which would wait behind it, then fail, too.
 */
function closeLate(pool: Pool, getDeadlineMs: (statement: string) => number): MysqlPool {
  return {
    getConnection: (callback) =>
      logIn(() => pool.promise().getConnection()).then(
        ({ connection }) => callback(undefined, watch(connection as unknown as PoolConnection)),
        (error) => callback(error, undefined as unknown as MysqlPoolConnection),
      ),
    end: (callback) => pool.end(callback),
  };

  function watch(connection: PoolConnection): MysqlPoolConnection {
    return {
      config: connection.config,
      threadId: connection.threadId ?? 0,
      connect: (callback) => connection.connect(callback),
      destroy: () => connection.destroy(),
      release: () => connection.release(),
      query(statement, parameters, callback) {
        const end = () => closeConnection(connection, new DeadlineExceededError());
        const timer = setTimeout(end, getDeadlineMs(statement));
        return connection.query(statement, parameters, (error, result) => {
          clearTimeout(timer);
          callback?.(error, result as MysqlQueryResult);
        });
      },
    };
  }
}

/** The statements of each file, by the migration's name. */
async function readMigrations(folders: readonly URL[]): Promise<Map<string, string>> {
  const files = new Map<string, string>();
  for (const folder of folders)
    for (const file of (await readdir(folder)).filter((name) => name.endsWith(".sql")))
      files.set(file.replace(/\.sql$/, ""), await readFile(new URL(file, folder), "utf8"));
  return files;
}

function toMigrations(files: ReadonlyMap<string, string>): Record<string, Migration> {
  return Object.fromEntries(
    [...files].map(([name, text]) => [
      name,
      { up: async (db) => void (await sql.raw(text).execute(db)) } satisfies Migration,
    ]),
  );
}

async function main(args: string[], { print }: Terminal): Promise<number> {
  parseOptions({ args });
  const { MYSQL_URL } = await loadVariables(["MYSQL_URL", "MYSQL_PASSWORD"]);
  const names = await migrate(MYSQL_URL).catch((error) => {
    throw explainDatabaseError(error, MYSQL_URL);
  });
  print(names.length > 0 ? `migrated: ${names.join(", ")}\n` : "nothing to migrate\n");
  return 0;
}
