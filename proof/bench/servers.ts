import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { openPool, query } from "../../common/database.ts";
import { startMysql } from "../../local/mysql.ts";
import { startEmulator } from "../../local/official-emulator.ts";
import { findAnyPort } from "../../local/ports.ts";
import { type Say, startProcess } from "../../local/processes.ts";
import type { Supervisor } from "../../local/supervisor.ts";
import type { Emulator, Options } from "./options.ts";

/** What everything here runs on. Pids are unknown where the servers were given to us. */
export type Servers = {
  mysqlUrl: URL;
  mysqlPid: number | undefined;
  mysqlVersion: string;
  emulatorHost: string;
  emulatorPid: number | undefined;
  emulatorName: string;
};

const OWN_PUBSUB = join(import.meta.dirname, "..", "..", "local", "pubsub", "main.ts");
const READY_DEADLINE_MS = 30_000;
/** A commit is on the disk, and in the binary log, before it is answered. */
const DURABLE = { "@@innodb_flush_log_at_trx_commit": "1", "@@sync_binlog": "1", "@@log_bin": "1" };

/** Starts MySQL and Pub/Sub, or takes those that MYSQL_URL and PUBSUB_EMULATOR_HOST name. */
export async function startServers(options: {
  folder: string;
  supervisor: Supervisor;
  emulator: Emulator;
  size: Options["size"];
  say: Say;
}): Promise<Servers> {
  const { folder, supervisor, say } = options;
  const onStart = supervisor.add.bind(supervisor);
  const { MYSQL_URL, PUBSUB_EMULATOR_HOST } = process.env;
  const startOwnMysql = async () => {
    const place = { folder: join(folder, "mysql"), port: await findAnyPort() };
    return startMysql({ ...place, engine: "mysql", say, onStart });
  };
  const startOwnEmulator = async () => {
    const place = { port: await findAnyPort(), logFile: join(folder, "emulator.log") };
    if (options.emulator === "own") return startOwnPubsub({ ...place, supervisor });
    return startEmulator({ ...place, say, onStart });
  };
  const [mysql, emulator] = await Promise.all([
    MYSQL_URL ? { url: MYSQL_URL, pid: undefined } : startOwnMysql(),
    PUBSUB_EMULATOR_HOST ? { host: PUBSUB_EMULATOR_HOST, pid: undefined } : startOwnEmulator(),
  ]);
  const mysqlUrl = new URL(mysql.url);
  return {
    mysqlUrl,
    mysqlPid: mysql.pid,
    mysqlVersion: await checkMysql(mysqlUrl, options.size),
    emulatorHost: emulator.host,
    emulatorPid: emulator.pid,
    emulatorName: PUBSUB_EMULATOR_HOST ? "given" : nameEmulator(options.emulator),
  };
}

/** MySQL's version. Throws where it is less durable than in production. */
async function checkMysql(mysqlUrl: URL, size: Options["size"]): Promise<string> {
  const pool = openPool({ mysqlUrl, poolSize: 1 });
  try {
    const names = Object.keys(DURABLE);
    const [found = {}] = await query(pool, `SELECT VERSION() AS version, ${names.join(", ")}`);
    const weak = Object.entries(DURABLE).filter(([name, value]) => String(found[name]) !== value);
    if (weak.length > 0 && size !== "smoke")
      throw new Error(`MySQL is not durable: ${weak.map(([name]) => name).join(", ")} must be 1`);
    return String(found.version);
  } finally {
    await pool.end();
  }
}

async function startOwnPubsub(place: { port: number; logFile: string; supervisor: Supervisor }) {
  if (!existsSync(OWN_PUBSUB)) throw new Error("--emulator own needs local/pubsub");
  const running = await startProcess({
    name: "the local Pub/Sub",
    command: [process.execPath, OWN_PUBSUB, "--port", String(place.port)],
    mark: `--port ${place.port}`,
    logFile: place.logFile,
    stopDeadlineMs: 5_000,
  });
  place.supervisor.add(running);
  const host = `127.0.0.1:${place.port}`;
  await untilListening(place.port, READY_DEADLINE_MS).catch(() => {
    throw new Error(`the local Pub/Sub is not ready: ${place.logFile}`);
  });
  return { host, pid: running.pid };
}

/** Waits until somebody listens on the port of this machine. */
export async function untilListening(port: number, deadlineMs: number): Promise<void> {
  const deadline = Date.now() + deadlineMs;
  while (!(await isListening(port))) {
    if (Date.now() > deadline) throw new Error(`nobody listens on port ${port}`);
    await sleep(50);
  }
}

function isListening(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1", () => resolve(true));
    socket.on("connect", () => socket.destroy()).on("error", () => resolve(false));
  });
}

function nameEmulator(emulator: Emulator): string {
  if (emulator === "own") return "local/pubsub";
  try {
    const versions = execFileSync("gcloud", ["version", "--format=value(pubsub-emulator)"], {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
    });
    return `Google's emulator ${versions.trim()}`;
  } catch {
    return "Google's emulator";
  }
}
