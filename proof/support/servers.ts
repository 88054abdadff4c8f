import { rmSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { startLocalPubsub } from "../../local/local-pubsub.ts";
import { startMysql } from "../../local/mysql.ts";
import { findAnyPort } from "../../local/ports.ts";
import { exitOnSignals, killAtExit, killProcessAtExit } from "./at-exit.ts";

const LOCAL = join(import.meta.dirname, "..", "..", ".local");

/** A MySQL and a local Pub/Sub for one command. */
export type Servers = { mysqlUrl: string; pubsubHost: string; stop(): Promise<void> };

/** Starts both. Whatever ends the command, the servers and their data are gone afterwards. */
export async function startServers(name: string): Promise<Servers> {
  const folder = await createWorkFolder(name);
  killAtExit(() => rmSync(folder, { recursive: true, force: true }));
  const common = { say: () => {}, onStart: killProcessAtExit };
  const mysql = await startMysql({
    folder: join(folder, "mysql"),
    port: await findAnyPort(),
    engine: "mysql",
    ...common,
  });
  const logFile = join(folder, "pubsub.log");
  const pubsub = await startLocalPubsub({ port: await findAnyPort(), logFile, ...common });
  return {
    mysqlUrl: mysql.url,
    pubsubHost: pubsub.host,
    async stop() {
      await pubsub.stop();
      await mysql.stop();
    },
  };
}

/** A folder of this process's own below `.local/`, which signals remove. */
export async function createWorkFolder(name: string): Promise<string> {
  const folder = join(LOCAL, `${name}-${process.pid}`);
  await mkdir(folder, { recursive: true });
  exitOnSignals(folder);
  return folder;
}
