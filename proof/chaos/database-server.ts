import { mkdir } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { openPool, type Pool, query, withConnection } from "../../common/database.ts";
import { type Mysql, startMysql } from "../../local/mysql.ts";
import { findAnyPort } from "../../local/ports.ts";
import type { LocalProcess } from "../../local/processes.ts";
import { migrate } from "../../ops/migrate.ts";
import { killProcessAtExit } from "./at-exit.ts";

/** All tables are in one file of this size at most, so that it can be filled without root. */
const TABLESPACE_MB = 32;
const SMALL = [
  "--innodb-file-per-table=OFF",
  `--innodb-data-file-path=ibdata1:12M:autoextend:max:${TABLESPACE_MB}M`,
];
/**
 * It waits for statements that wait for the rows of transactions that wait for it: one lock wait
 * after the other has to run out.
 */
const READ_ONLY_MS = 60_000;
/** From a connection that it ends to its own end, with the backtrace that it writes. */
const ENDING_MS = 2_000;
/** Rows of the table that fills it: big ones, then as small as a page can hold. */
const FILLER_BYTES = [4 * 1024 * 1024, 256 * 1024, 16 * 1024, 1_000];
const FILLER = "chaos.filler";
/** What MySQL refuses by a rule of the table, that the API does not know. */
const POISON_RULE =
  "ALTER TABLE data ADD CONSTRAINT poison CHECK (nombre IS NULL OR nombre NOT LIKE 'poison%')";

/** The one MySQL of all runs, with a database for each; it can be killed, stopped and filled. */
export class DatabaseServer {
  readonly port: number;
  /** Outlives restarts; of no database. */
  readonly admin: Pool;
  readonly #folder: string;
  readonly #args: string[];
  #mysql: Mysql;
  #process: LocalProcess;
  #hasEnded = false;

  /** `isSmall`: it can be filled. */
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

  /** A database with the project's tables, and a rule that refuses what is named poison. */
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
   * Starts it again if it has ended by itself, as whoever runs a MySQL does, and tells whether it
   * had. Without room for a page, InnoDB may meet an assertion of its own.
   */
  async revive(): Promise<boolean> {
    await Promise.race([this.#process.exited, sleep(ENDING_MS)]);
    if (!this.#hasEnded) return false;
    await this.restart();
    return true;
  }

  async freeze(forMs: number): Promise<void> {
    const { pid } = this;
    process.kill(pid, "SIGSTOP");
    await sleep(forMs);
    process.kill(pid, "SIGCONT");
  }

  /** Ends every connection to the database, whatever it is doing. */
  async cutConnections(database: string): Promise<void> {
    const sql = "SELECT id FROM information_schema.processlist WHERE db = ?";
    for (const { id } of await query(this.admin, sql, [database]))
      await query(this.admin, `KILL CONNECTION ${id}`).catch(() => {});
  }

  /** Leaves no room for another page. */
  async fill(): Promise<void> {
    await withConnection(this.admin, async (connection) => {
      // What fills the disk here are the tables, not the logs.
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

  /** Makes room again. */
  async empty(): Promise<void> {
    await query(this.admin, `DROP TABLE IF EXISTS ${FILLER}`);
  }

  async setReadOnly(isReadOnly: boolean): Promise<void> {
    const sql = `SET GLOBAL super_read_only = ${isReadOnly ? "ON" : "OFF"}`;
    await this.admin.query({ sql, timeout: READ_ONLY_MS });
    if (!isReadOnly) await query(this.admin, "SET GLOBAL read_only = OFF");
  }

  /** As at the start of a run, whatever went wrong with an event. */
  async restore(): Promise<void> {
    if (this.#hasEnded) await this.restart();
    await this.setReadOnly(false);
    await this.empty();
  }

  async close(): Promise<void> {
    await this.admin.end();
    await this.#mysql.stop();
  }

  #watch(): void {
    const { exited } = this.#process;
    this.#hasEnded = false;
    exited.then(() => {
      this.#hasEnded = exited === this.#process.exited;
    });
  }
}

type Started = { mysql: Mysql; process: LocalProcess };

async function startServer(folder: string, port: number, args: string[]): Promise<Started> {
  let started: LocalProcess | undefined;
  const mysql = await startMysql({
    ...{ folder, port, engine: "mysql", say: () => {}, args },
    onStart: (one) => {
      started = one;
      killProcessAtExit(one);
    },
  });
  return { mysql, process: started as LocalProcess };
}
