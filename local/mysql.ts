import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { createConnection } from "mysql2/promise";
import { keepPassword, prepareData } from "./mysql-data.ts";
import type { Engine } from "./mysql-packages.ts";
import { buildCommand, ENGINE_NAMES, type Server, type ServerSource } from "./mysql-server.ts";
import { type LocalProcess, type Say, startProcess, withProgress } from "./processes.ts";
import { describeFailure } from "./programs.ts";

export type MysqlOptions = {
  /** Holds the data, the password, the socket and the log, for the next start too. */
  folder: string;
  /** A function is asked for it once the server is there, because fetching one takes a while. */
  port: number | (() => Promise<number>);
  engine: Engine;
  say: Say;
  /** More of the server's options. */
  args?: string[];
  /** Where servers come from, and are kept; by default, from wherever this machine has one. */
  sources?: readonly ServerSource[];
  enginesFolder?: string;
  /** Called as soon as the process runs, before it is ready. */
  onStart?: (process: LocalProcess) => void;
};

export type Mysql = {
  url: string;
  port: number;
  pid: number;
  /** May be the other engine, where the requested one is not available. */
  engine: Engine;
  stop(): Promise<void>;
};

/** A unix socket's path may have 107 characters; the rest is for the lock file beside it. */
const LONGEST_SOCKET_PATH = 100;
const READY_DEADLINE_MS = 120_000;
const STOP_DEADLINE_MS = 60_000;

/** Starts a private server with its usual durability; it answers on 127.0.0.1 only. */
export async function startMysql(options: MysqlOptions): Promise<Mysql> {
  const { say, args = [], onStart } = options;
  const folder = resolve(options.folder);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const server = await prepareData({ ...options, folder });
  const port = typeof options.port === "number" ? options.port : await options.port();
  const name = ENGINE_NAMES[server.engine];
  const password = await keepPassword(folder);
  const logFile = join(folder, "error.log");
  const { socket, shortFolder } = placeSocket(folder, server);
  const running = await startProcess({
    name,
    command: [
      ...buildCommand(server, folder, port),
      `--datadir=${join(folder, "data")}`,
      `--init-file=${join(folder, "init.sql")}`,
      `--socket=${socket}`,
      `--pid-file=${join(folder, "mysqld.pid")}`,
      `--bind-address=${server.isContainer ? "0.0.0.0" : "127.0.0.1"}`,
      `--port=${server.isContainer ? 3306 : port}`,
      "--skip-name-resolve",
      ...(server.engine === "mysql" ? ["--mysqlx=OFF", "--secure-file-priv=NULL"] : []),
      ...args,
    ],
    mark: `--datadir=${join(folder, "data")}`,
    logFile,
    stopDeadlineMs: STOP_DEADLINE_MS,
  });
  onStart?.(running);
  running.exited.then(() => {
    if (shortFolder) rmSync(shortFolder, { recursive: true, force: true });
  });
  const url = `mysql://constancia:${password}@127.0.0.1:${port}/constancia`;
  const stop = () => withProgress(say, `stopping ${name}`, running.stop());
  try {
    await withProgress(say, `starting ${name}`, waitUntilReady(url, running, logFile));
  } catch (error) {
    await stop();
    throw error;
  }
  return { url, port, pid: running.pid, engine: server.engine, stop };
}

/** In the folder; where that path is too long, in a temporary folder, removed at the end. */
function placeSocket(folder: string, server: Server): { socket: string; shortFolder?: string } {
  if (server.isContainer) return { socket: "/tmp/mysql.sock" };
  const socket = join(folder, "mysql.sock");
  if (socket.length <= LONGEST_SOCKET_PATH) return { socket };
  const shortFolder = mkdtempSync(join(tmpdir(), "constancia-"));
  return { socket: join(shortFolder, "mysql.sock"), shortFolder };
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
      await connection.query({ sql: "SELECT 1", timeout: 1_000 });
      connection.destroy();
      return;
    } catch (error) {
      if (end === undefined && Date.now() < deadline) {
        await sleep(100);
        continue;
      }
      const log = readFileSync(logFile, "utf8").trim().split("\n").slice(-8).join("\n");
      const what = end ?? `does not answer: ${describeFailure(error)}`;
      throw new Error(`${server.name} ${what}; its log ${logFile} ends with\n${log}`);
    }
  }
}
