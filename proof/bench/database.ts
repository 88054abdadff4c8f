import { openPool, type Pool, query } from "../../common/database.ts";
import { migrate } from "../../ops/migrate.ts";

/** Whose tables a database has. */
export type Shape = "constancia" | "seed";

export type Database = {
  url: string;
  name: string;
  /** The table of the items. */
  table: string;
  pool: Pool;
  drop(): Promise<void>;
};

const SEED_TABLE =
  "CREATE TABLE temas (id BIGINT AUTO_INCREMENT PRIMARY KEY, nombre VARCHAR(255) NOT NULL," +
  " created_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP)";

/** Creates an empty database. */
export async function createDatabase(mysqlUrl: URL, name: string, shape: Shape): Promise<Database> {
  const admin = openPool({ mysqlUrl, poolSize: 1 });
  await query(admin, `CREATE DATABASE ${name} CHARACTER SET utf8mb4`);
  const url = new URL(mysqlUrl);
  url.pathname = `/${name}`;
  if (shape === "constancia") await migrate(url, [new URL("../../migrations/", import.meta.url)]);
  const pool = openPool({ mysqlUrl: url, poolSize: 3 });
  if (shape === "seed") await query(pool, SEED_TABLE);
  return {
    url: url.href,
    name,
    table: shape === "constancia" ? "data" : "temas",
    pool,
    async drop() {
      await pool.end();
      await query(admin, `DROP DATABASE ${name}`);
      await admin.end();
    },
  };
}
