import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { openPool, query } from "../../common/database.ts";
import { startLocalPubsub } from "../../local/local-pubsub.ts";
import { startMysql } from "../../local/mysql.ts";
import { findOfficialEmulator, startEmulator } from "../../local/official-emulator.ts";
import { findAnyPort } from "../../local/ports.ts";
import type { Say } from "../../local/processes.ts";
import type { Supervisor } from "../../local/supervisor.ts";
import type { Options } from "./options.ts";

/** A running Pub/Sub; the pid is unknown where it was given. */
export type PubsubServer = { name: string; version: string; host: string; pid: number | undefined };

/** The servers that everything runs on. */
export type Servers = {
  mysqlUrl: URL;
  /** Unknown where the server was given. */
  mysqlPid: number | undefined;
  mysqlVersion: string;
  /** The local Pub/Sub, and Google's emulator where POSTs are measured and it is installed. */
  pubsubs: [PubsubServer, ...PubsubServer[]];
};

export const LOCAL_PUBSUB = "local Pub/Sub";
export const EMULATOR = "official emulator";
export const GIVEN_PUBSUB = "given Pub/Sub";
/** Every commit is on disk, and in the binary log, before it is answered. */
const DURABLE = { "@@innodb_flush_log_at_trx_commit": "1", "@@sync_binlog": "1", "@@log_bin": "1" };

type StartOptions = {
  folder: string;
  supervisor: Supervisor;
  benches: Options["benches"];
  size: Options["size"];
  say: Say;
};

/** Starts the servers, or takes those that MYSQL_URL and PUBSUB_EMULATOR_HOST name. */
export async function startServers(options: StartOptions): Promise<Servers> {
  const { folder, supervisor, say, size } = options;
  const { MYSQL_URL } = process.env;
  const onStart = supervisor.add.bind(supervisor);
  const startOwnMysql = async () => {
    const place = { folder: join(folder, "mysql"), port: findAnyPort };
    return startMysql({ ...place, engine: "mysql", say, onStart });
  };
  const [mysql, pubsubs] = await Promise.all([
    MYSQL_URL ? { url: MYSQL_URL, pid: undefined } : startOwnMysql(),
    startPubsubs(options),
  ]);
  const mysqlUrl = new URL(mysql.url);
  const mysqlVersion = await readMysqlVersion(mysqlUrl, size);
  return { mysqlUrl, mysqlPid: mysql.pid, mysqlVersion, pubsubs };
}

async function startPubsubs(options: StartOptions): Promise<Servers["pubsubs"]> {
  const { folder, supervisor, benches, say } = options;
  const { PUBSUB_EMULATOR_HOST } = process.env;
  if (PUBSUB_EMULATOR_HOST) {
    const given = { name: GIVEN_PUBSUB, version: "", host: PUBSUB_EMULATOR_HOST, pid: undefined };
    return [given];
  }
  const onStart = supervisor.add.bind(supervisor);
  const place = async (name: string) => {
    return { port: await findAnyPort(), logFile: join(folder, `${name}.log`), say, onStart };
  };
  const local = await startLocalPubsub(await place("pubsub"));
  const localPubsub = { name: LOCAL_PUBSUB, version: "", host: local.host, pid: local.pid };
  if (!benches.includes("post")) return [localPubsub];
  if (!findOfficialEmulator()) {
    say("Google's emulator is not installed: POSTs are measured on the local Pub/Sub only");
    return [localPubsub];
  }
  const { host, pid } = await startEmulator(await place("emulator"));
  return [localPubsub, { name: EMULATOR, version: readEmulatorVersion(), host, pid }];
}

/** MySQL's version. Throws where it is less durable than in production. */
async function readMysqlVersion(mysqlUrl: URL, size: Options["size"]): Promise<string> {
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

function readEmulatorVersion(): string {
  try {
    const args = ["version", "--format=value(pubsub-emulator)"];
    return execFileSync("gcloud", args, {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
    }).trim();
  } catch {
    return "";
  }
}
