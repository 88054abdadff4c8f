import { rmSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { startLocalPubsub } from "../../local/local-pubsub.ts";
import { startMysql } from "../../local/mysql.ts";
import { findAnyPort } from "../../local/ports.ts";
import { endAtSignals, killAtExit, killProcessAtExit } from "../chaos/at-exit.ts";

/** A MySQL and a Pub/Sub of a command's own; nothing of them is left when it ends. */
export type Servers = { mysqlUrl: string; pubsubHost: string; stop(): Promise<void> };

export async function startServers(name: string): Promise<Servers> {
  process.env.METADATA_SERVER_DETECTION = "none";
  const folder = join(import.meta.dirname, "..", "..", ".local", `${name}-${process.pid}`);
  await mkdir(folder, { recursive: true });
  killAtExit(() => rmSync(folder, { recursive: true, force: true }));
  endAtSignals(folder);
  const common = { say: () => {}, onStart: killProcessAtExit };
  const mysqlFolder = join(folder, "mysql");
  const mysql = await startMysql({
    ...{ folder: mysqlFolder, port: await findAnyPort(), engine: "mysql", ...common },
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
