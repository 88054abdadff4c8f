import { readdir, readFile } from "node:fs/promises";
import { Kysely, MysqlDialect, sql } from "kysely";
import { type Migration, Migrator } from "kysely/migration";
import { createPool } from "mysql2";
import { loadVariables } from "../common/config.ts";
import { parseMysqlUrl } from "../common/database.ts";
import { LOCK_WAIT_SECONDS } from "../common/limits.ts";
import { parseOptions } from "./command-line.ts";
import { explainDatabaseError } from "./database-error.ts";
import { runMain, type Terminal } from "./terminal.ts";

const FOLDER = new URL("../migrations/", import.meta.url);

const HELP = `Runs the migrations in migrations/ that have not run yet, in order.

Usage: npm run migrate

Several at once are safe: one migrates, the others wait. MYSQL_URL names the database.

Exit status: 0 done, 1 a migration failed, 2 wrong usage.
`;

if (import.meta.main) await runMain({ main, help: HELP });

/**
 * Runs the numbered `.sql` files that have not run yet, in order, under a lock that the server
 * holds: of several that start at once, one migrates and the others wait. Fails where somebody holds
 * a table for longer than {@link LOCK_WAIT_SECONDS}. Returns their names.
 * `folders` are URLs that end with a slash; the project's own comes first.
 */
export async function migrate(
  mysqlUrl: URL,
  folders: readonly URL[] = [FOLDER],
): Promise<string[]> {
  const pool = createPool({
    ...parseMysqlUrl(mysqlUrl),
    multipleStatements: true,
    connectionLimit: 2,
  });
  // A change of a table waits for every transaction that uses it, and all others wait behind it.
  pool.on("connection", (connection) =>
    connection.query(`SET SESSION lock_wait_timeout = ${LOCK_WAIT_SECONDS}`),
  );
  const db = new Kysely<unknown>({ dialect: new MysqlDialect({ pool }) });
  try {
    const migrator = new Migrator({
      db,
      provider: { getMigrations: () => readMigrations(folders) },
      migrationTableName: "migrations",
      migrationLockTableName: "migrations_lock",
    });
    const { error, results } = await migrator.migrateToLatest();
    if (error) {
      const failed = results?.find(({ status }) => status === "Error")?.migrationName;
      if (failed === undefined) throw error;
      throw new Error(`The migration ${failed} failed: ${(error as Error).message}`);
    }
    return (results ?? []).map(({ migrationName }) => migrationName);
  } finally {
    await db.destroy();
  }
}

async function readMigrations(folders: readonly URL[]): Promise<Record<string, Migration>> {
  const migrations: Record<string, Migration> = {};
  for (const folder of folders)
    for (const file of (await readdir(folder)).filter((name) => name.endsWith(".sql"))) {
      const text = await readFile(new URL(file, folder), "utf8");
      migrations[file.replace(/\.sql$/, "")] = {
        up: async (db) => void (await sql.raw(text).execute(db)),
      };
    }
  return migrations;
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
