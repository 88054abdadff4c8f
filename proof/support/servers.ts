import { rmSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { startLocalPubsub } from "../../local/local-pubsub.ts";
import { startMysql } from "../../local/mysql.ts";
import { findAnyPort } from "../../local/ports.ts";

const LOCAL = join(import.meta.dirname, "..", "..", ".local");

/** A MySQL and a local Pub/Sub for one command. */
export type Servers = { mysqlUrl: string; pubsubHost: string; stop(): Promise<void> };

/** Starts both. Whatever ends the command, the servers and their data are gone afterwards. */
export async function startServers(name: string): Promise<Servers> {
  const folder = await createWorkFolder(name);
  process.once("exit", () => rmSync(folder, { recursive: true, force: true }));
  const mysql = await startMysql({
    folder: join(folder, "mysql"),
    port: findAnyPort,
    engine: "mysql",
    say: () => {},
  });
  const logFile = join(folder, "pubsub.log");
  const pubsub = await startLocalPubsub({ port: await findAnyPort(), logFile, say: () => {} });
  return {
    mysqlUrl: mysql.url,
    pubsubHost: pubsub.host,
    async stop() {
      await pubsub.stop();
      await mysql.stop();
    },
  };
}

/** A folder of this process's own below `.local/`, which signals remove; they end the process. */
export async function createWorkFolder(name: string): Promise<string> {
  const folder = join(LOCAL, `${name}-${process.pid}`);
  await mkdir(folder, { recursive: true });
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const)
    process.on(signal, () => {
      rmSync(folder, { recursive: true, force: true });
      process.exit(130);
    });
  return folder;
}
