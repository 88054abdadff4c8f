import { mkdir } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { openPool, type Pool, query, withConnection } from "../../common/database.ts";
import { type Mysql, startMysql } from "../../local/mysql.ts";
import { findAnyPort } from "../../local/ports.ts";
import type { LocalProcess } from "../../local/processes.ts";
import { migrate } from "../../ops/migrate.ts";

/** All tables are in one file of at most this size, so that it can be filled without root. */
const TABLESPACE_MB = 32;
const SMALL = [
  "--innodb-file-per-table=OFF",
  `--innodb-data-file-path=ibdata1:12M:autoextend:max:${TABLESPACE_MB}M`,
];
/** SET GLOBAL waits for running transactions, whose lock waits time out one after another. */
const READ_ONLY_MS = 60_000;
/** Longer than mysqld takes to write its backtrace and exit after a connection was lost. */
const ENDING_MS = 2_000;
/** Sizes of the rows that fill the tablespace: large ones first, at last less than a page. */
const FILLER_BYTES = [4 * 1024 * 1024, 256 * 1024, 16 * 1024, 1_000];
const FILLER = "chaos.filler";
/** A constraint that the API does not know: MySQL refuses these items. */
const POISON_RULE =
  "ALTER TABLE data ADD CONSTRAINT poison CHECK (nombre IS NULL OR nombre NOT LIKE 'poison%')";

/** A MySQL with a database for each run; it can be killed, stopped and filled. */
export class DatabaseServer {
  readonly port: number;
  /** Selects no database; usable again after a restart. */
  readonly admin: Pool;
  readonly #folder: string;
  readonly #args: string[];
  #mysql: Mysql;
  #process: LocalProcess;
  #hasExited = false;

  /** With `isSmall` its tablespace is limited, so that `fill` works. */
  static async start(folder: string, { isSmall }: { isSmall: boolean }): Promise<DatabaseServer> {
    await mkdir(folder, { recursive: true });
    const args = isSmall ? SMALL : [];
    const started = await startServer(folder, await findAnyPort(), args);
    const server = new DatabaseServer(folder, args, started);
    await query(server.admin, "CREATE DATABASE IF NOT EXISTS chaos");
    return server;
  }

  private constructor(folder: string, args: string[], { mysql, process }: Started) {
    this.#folder = folder;
    this.#args = args;
    this.#mysql = mysql;
    this.#process = process;
    this.#watch();
    this.port = mysql.port;
    this.admin = openPool({ mysqlUrl: new URL(mysql.url), poolSize: 2 });
  }

  get pid(): number {
    return this.#mysql.pid;
  }

  /** A database with the project's tables, which refuses items named poison. */
  async createDatabase(name: string): Promise<{ url: URL; pool: Pool }> {
    await query(this.admin, `DROP DATABASE IF EXISTS ${name}`);
    await query(this.admin, `CREATE DATABASE ${name}`);
    const url = new URL(this.#mysql.url);
    url.pathname = `/${name}`;
    await migrate(url, [new URL("../../migrations/", import.meta.url)]);
    const pool = openPool({ mysqlUrl: url, poolSize: 4 });
    await query(pool, POISON_RULE);
    return { url, pool };
  }

  async kill(): Promise<void> {
    this.#process.kill();
    await this.#process.exited;
  }

  async stop(): Promise<void> {
    await this.#mysql.stop();
  }

  async restart(): Promise<void> {
    const { mysql, process } = await startServer(this.#folder, this.port, this.#args);
    this.#mysql = mysql;
    this.#process = process;
    this.#watch();
  }

  /**
   * Restarts mysqld if it has exited by itself, and returns whether it had. InnoDB may fail an
   * assertion of its own where it cannot allocate a page.
   */
  async restartIfExited(): Promise<boolean> {
    await Promise.race([this.#process.exited, sleep(ENDING_MS)]);
    if (!this.#hasExited) return false;
    await this.restart();
    return true;
  }

  async freeze(forMs: number): Promise<void> {
    const { pid } = this;
    process.kill(pid, "SIGSTOP");
    await sleep(forMs);
    process.kill(pid, "SIGCONT");
  }

  /** Kills every connection to the database. */
  async cutConnections(database: string): Promise<void> {
    const sql = "SELECT id FROM information_schema.processlist WHERE db = ?";
    for (const { id } of await query(this.admin, sql, [database]))
      await query(this.admin, `KILL CONNECTION ${id}`).catch(() => {});
  }

  /** Fills the tablespace to the last page. */
  async fill(): Promise<void> {
    await withConnection(this.admin, async (connection) => {
      // The tables are to fill the disk, not the binary log.
      await query(connection, "SET SESSION sql_log_bin = 0");
      await query(connection, `CREATE TABLE IF NOT EXISTS ${FILLER} (bytes LONGBLOB)`);
      const sql = `INSERT INTO ${FILLER} VALUES (REPEAT('x', ?))`;
      for (const bytes of FILLER_BYTES)
        for (let hasRoom = true; hasRoom; )
          hasRoom = await query(connection, sql, [bytes]).then(
            () => true,
            () => false,
          );
      await query(connection, "SET SESSION sql_log_bin = 1");
    });
  }

  /** Frees the tablespace. */
  async empty(): Promise<void> {
    await query(this.admin, `DROP TABLE IF EXISTS ${FILLER}`);
  }

  async setReadOnly(isReadOnly: boolean): Promise<void> {
    const sql = `SET GLOBAL super_read_only = ${isReadOnly ? "ON" : "OFF"}`;
    await this.admin.query({ sql, timeout: READ_ONLY_MS });
    if (!isReadOnly) await query(this.admin, "SET GLOBAL read_only = OFF");
  }

  /** Undoes what an event may have left behind. */
  async restore(): Promise<void> {
    if (this.#hasExited) await this.restart();
    await this.setReadOnly(false);
    await this.empty();
  }

  async close(): Promise<void> {
    await this.admin.end();
    await this.#mysql.stop();
  }

  #watch(): void {
    const { exited } = this.#process;
    this.#hasExited = false;
    exited.then(() => {
      this.#hasExited = exited === this.#process.exited;
    });
  }
}

type Started = { mysql: Mysql; process: LocalProcess };

async function startServer(folder: string, port: number, args: string[]): Promise<Started> {
  let started: LocalProcess | undefined;
  const mysql = await startMysql({
    folder,
    port,
    engine: "mysql",
    say: () => {},
    args,
    onStart(one) {
      started = one;
    },
  });
  return { mysql, process: started as LocalProcess };
}
