import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { chmod, mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Engine } from "./mysql-packages.ts";
import {
  buildCommand,
  ENGINE_NAMES,
  type FindOptions,
  SERVER_SOURCES,
  type Server,
  type ServerSource,
} from "./mysql-server.ts";
import { type Say, withProgress } from "./processes.ts";
import { describeFailure } from "./programs.ts";

const ENGINES_FOLDER = join(import.meta.dirname, "..", ".local", "engines");
const NOTHING_FOUND =
  'no MySQL server could be found or fetched. Install the package mysql-server ("brew install mysql" on macOS, "sudo dnf install mysql-server" on Fedora), start Docker, or set MYSQL_URL to a server that runs (mysql://user:password@host:3306/database).';

/** Existing data keep the engine that made them; new data take the first server that works. */
export async function prepareData(options: {
  folder: string;
  engine: Engine;
  say: Say;
  /** Where servers come from; by default, from wherever this machine has one. */
  sources?: readonly ServerSource[];
  enginesFolder?: string;
}): Promise<Server> {
  const { folder, say, sources = SERVER_SOURCES } = options;
  const engineFile = join(folder, "engine");
  const engine = existsSync(engineFile)
    ? (readFileSync(engineFile, "utf8").trim() as Engine)
    : undefined;
  const servers = findServers(sources, {
    engine: engine ?? options.engine,
    enginesFolder: options.enginesFolder ?? ENGINES_FOLDER,
    say,
  });
  for await (const server of servers) {
    if (engine === server.engine) return server;
    if (engine) continue;
    const name = ENGINE_NAMES[server.engine];
    try {
      await withProgress(say, `setting up ${name}'s data`, initialiseData(server, folder));
    } catch (error) {
      say(
        `${name} (${server.command.at(-1)}) cannot set up its data here: ${describeFailure(error)}`,
      );
      continue;
    }
    if (server.engine !== options.engine) say(`using ${name} instead`);
    await writeFile(engineFile, server.engine);
    return server;
  }
  throw new Error(NOTHING_FOUND);
}

/** Every server that this machine can run, best first; the next is looked for on demand. */
async function* findServers(
  sources: readonly ServerSource[],
  options: FindOptions,
): AsyncGenerator<Server> {
  for (const source of sources) yield* source(options);
}

/** Writes the password and the SQL that creates the user and its database at each start. */
export async function keepPassword(folder: string): Promise<string> {
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

/** The data folder is renamed last, so that an interrupted set-up is started again. */
async function initialiseData(server: Server, folder: string): Promise<void> {
  for (const name of await readdir(folder)) {
    if (name.startsWith("data")) await rm(join(folder, name), { recursive: true, force: true });
  }
  const unfinished = join(folder, "data.unfinished");
  const command = [...buildCommand(server, folder), `--datadir=${unfinished}`];
  if (server.engine === "mysql") {
    await runWithInput([...command, "--initialize-insecure"], "");
  } else {
    await mkdir(unfinished);
    await runWithInput([...command, "--bootstrap"], await readBootstrapSql(server.share));
  }
  await rename(unfinished, join(folder, "data"));
}

/** The SQL that mariadb-install-db passes to the server. */
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
