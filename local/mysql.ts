import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { chmod, mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { createConnection } from "mysql2/promise";
import type { Engine } from "./mysql-packages.ts";
import { describe, ENGINE_NAMES, findServers, type Server } from "./mysql-server.ts";
import { type LocalProcess, type Say, sayWhile, startProcess } from "./processes.ts";

export type MysqlOptions = {
  /** Holds the data, the password, the socket and the log; the next start finds them again. */
  folder: string;
  port: number;
  engine: Engine;
  say: Say;
  /** Told of the process as soon as it runs, before it is ready. */
  onStart?: (process: LocalProcess) => void;
};

export type Mysql = { url: string; port: number; pid: number; stop(): Promise<void> };

/** A unix socket's path may have 107 characters; the rest is for the lock file beside it. */
const LONGEST_SOCKET_PATH = 100;
const READY_DEADLINE_MS = 120_000;
const STOP_DEADLINE_MS = 60_000;
const ENGINES_FOLDER = join(import.meta.dirname, "..", ".local", "engines");
const NOTHING_FOUND = `no MySQL server could be found or fetched. Install one ("sudo apt install mysql-server", or "brew install mysql"), start Docker, or set MYSQL_URL to a server that runs (mysql://user:password@host:3306/database).`;

/** Starts a private server with its usual durability; it answers on 127.0.0.1 only. */
export async function startMysql(options: MysqlOptions): Promise<Mysql> {
  const { port, say, onStart } = options;
  const folder = resolve(options.folder);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const server = await prepareData({ ...options, folder });
  const name = ENGINE_NAMES[server.engine];
  const password = await keepPassword(folder);
  const logFile = join(folder, "error.log");
  const socketFolder = chooseSocketFolder(folder, server);
  const running = await startProcess({
    name,
    command: [
      ...commandOf(server, folder, port),
      `--datadir=${join(folder, "data")}`,
      `--init-file=${join(folder, "init.sql")}`,
      `--socket=${join(socketFolder, "mysql.sock")}`,
      `--pid-file=${join(folder, "mysqld.pid")}`,
      `--bind-address=${server.origin === "docker" ? "0.0.0.0" : "127.0.0.1"}`,
      `--port=${server.origin === "docker" ? 3306 : port}`,
      "--skip-name-resolve",
      ...(server.engine === "mysql" ? ["--mysqlx=OFF", "--secure-file-priv=NULL"] : []),
    ],
    mark: `--datadir=${join(folder, "data")}`,
    logFile,
    stopDeadlineMs: STOP_DEADLINE_MS,
  });
  onStart?.(running);
  running.exited.then(() => {
    if (socketFolder.startsWith(tmpdir())) rmSync(socketFolder, { recursive: true, force: true });
  });
  const url = `mysql://constancia:${password}@127.0.0.1:${port}/constancia`;
  const stop = () => sayWhile(say, `stopping ${name}`, running.stop());
  try {
    await sayWhile(say, `starting ${name}`, waitUntilReady(url, running, logFile));
  } catch (error) {
    await stop();
    throw error;
  }
  return { url, port, pid: running.pid, stop };
}

/** Data stay with the engine that made them; new data come from the first server that works. */
async function prepareData(options: MysqlOptions): Promise<Server> {
  const { folder, say } = options;
  const engineFile = join(folder, "engine");
  const engine = existsSync(engineFile)
    ? (readFileSync(engineFile, "utf8").trim() as Engine)
    : undefined;
  const servers = findServers({
    engine: engine ?? options.engine,
    enginesFolder: ENGINES_FOLDER,
    say,
  });
  for await (const server of servers) {
    if (engine === server.engine) return server;
    if (engine) continue;
    const name = ENGINE_NAMES[server.engine];
    try {
      await sayWhile(say, `setting up ${name}'s data`, initialiseData(server, folder));
    } catch (error) {
      say(`${name} (${server.command.at(-1)}) cannot set up its data here: ${describe(error)}`);
      continue;
    }
    if (server.engine !== options.engine) say(`using ${name} instead`);
    await writeFile(engineFile, server.engine);
    return server;
  }
  throw new Error(NOTHING_FOUND);
}

/** The data folder gets its name last, so that an interrupted set-up starts afresh. */
async function initialiseData(server: Server, folder: string): Promise<void> {
  for (const name of await readdir(folder)) {
    if (name.startsWith("data")) await rm(join(folder, name), { recursive: true, force: true });
  }
  const unfinished = join(folder, "data.unfinished");
  const command = [...commandOf(server, folder), `--datadir=${unfinished}`];
  if (server.engine === "mysql") {
    await runWithInput([...command, "--initialize-insecure"], "");
  } else {
    await mkdir(unfinished);
    await runWithInput([...command, "--bootstrap"], await readBootstrapSql(server.share));
  }
  await rename(unfinished, join(folder, "data"));
}

/** What mariadb-install-db feeds to the server, without its shell script. */
async function readBootstrapSql(share: string): Promise<string> {
  const names = await readdir(share);
  const parts = [
    /^(mariadb|mysql)_system_tables\.sql$/,
    /^(mariadb|mysql)_performance_tables\.sql$/,
    /^(mariadb|mysql)_system_tables_data\.sql$/,
    /^fill_help_tables\.sql$/,
    /^maria_add_gis_sp_bootstrap\.sql$/,
    /^(mariadb|mysql)_sys_schema\.sql$/,
  ].flatMap((pattern) => names.find((name) => pattern.test(name)) ?? []);
  const texts = await Promise.all(parts.map((name) => readFile(join(share, name), "utf8")));
  const start = "CREATE DATABASE mysql;\nUSE mysql;\nSET @auth_root_socket = NULL;\n";
  return [start, ...texts].join("\n");
}

function runWithInput([file = "", ...args]: string[], input: string): Promise<void> {
  return new Promise((done, fail) => {
    const child = execFile(file, args, { maxBuffer: 2 ** 26 }, (error, _stdout, stderr) => {
      if (error) fail(Object.assign(error, { stderr }));
      else done();
    });
    child.stdin?.on("error", () => {});
    child.stdin?.end(input);
  });
}

function commandOf(server: Server, folder: string, port?: number): string[] {
  const asRoot = process.getuid?.() === 0 ? ["--user=root"] : [];
  if (server.origin !== "docker") {
    return [...server.command, "--no-defaults", ...server.options, ...asRoot];
  }
  const container = `constancia-${basename(folder)}-${port ?? "setup"}-${process.pid}`;
  const publish = port === undefined ? [] : ["--publish", `127.0.0.1:${port}:3306`];
  const user = `${process.getuid?.() ?? 0}:${process.getgid?.() ?? 0}`;
  return [
    ...["docker", "run", "--rm", "--name", container, "--user", user, ...publish],
    ...["--volume", `${folder}:${folder}`, "--entrypoint", "mysqld"],
    ...[...server.command, "--no-defaults", ...asRoot],
  ];
}

/** Makes the user and its database at each start, so that the password always fits. */
async function keepPassword(folder: string): Promise<string> {
  const file = join(folder, "password");
  if (!existsSync(file)) await writeFile(file, randomBytes(18).toString("hex"), { mode: 0o600 });
  const password = readFileSync(file, "utf8");
  const statements = [
    "CREATE DATABASE IF NOT EXISTS constancia CHARACTER SET utf8mb4;",
    `CREATE USER IF NOT EXISTS 'constancia'@'%' IDENTIFIED BY '${password}';`,
    `ALTER USER 'constancia'@'%' IDENTIFIED BY '${password}';`,
    "GRANT ALL PRIVILEGES ON *.* TO 'constancia'@'%' WITH GRANT OPTION;",
    // MariaDB's set-up lets root in over TCP without a password.
    "DROP USER IF EXISTS 'root'@'127.0.0.1', 'root'@'::1', ''@'localhost';",
  ];
  const initFile = join(folder, "init.sql");
  await writeFile(initFile, `${statements.join("\n")}\n`, { mode: 0o600 });
  await chmod(initFile, 0o600);
  return password;
}

function chooseSocketFolder(folder: string, server: Server): string {
  if (server.origin === "docker") return "/tmp";
  if (join(folder, "mysql.sock").length <= LONGEST_SOCKET_PATH) return folder;
  return mkdtempSync(join(tmpdir(), "constancia-"));
}

async function waitUntilReady(url: string, server: LocalProcess, logFile: string): Promise<void> {
  const deadline = Date.now() + READY_DEADLINE_MS;
  let end: string | undefined;
  server.exited.then((how) => {
    end = how;
  });
  for (;;) {
    try {
      const connection = await createConnection({ uri: url, connectTimeout: 1_000 });
      await connection.query("SELECT 1");
      connection.destroy();
      return;
    } catch (error) {
      if (end === undefined && Date.now() < deadline) {
        await sleep(100);
        continue;
      }
      const log = readFileSync(logFile, "utf8").trim().split("\n").slice(-8).join("\n");
      const what = end ?? `does not answer: ${describe(error)}`;
      throw new Error(`${server.name} ${what}; its log ${logFile} ends with\n${log}`);
    }
  }
}
