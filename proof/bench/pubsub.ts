import { execFileSync } from "node:child_process";
import { randomUUID } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PubSub, v1 } from "@google-cloud/pubsub";
import { startLocalPubsub } from "../../local/local-pubsub.ts";
import { startEmulator } from "../../local/official-emulator.ts";
import { findAnyPort } from "../../local/ports.ts";

/*
 * Publishes and drains so many messages (`npm run proof -- pubsub 100000`) through Google's own
 * client: by the local Pub/Sub in memory, by the same with its journal, and by Google's emulator
 * where it is installed.
 */
process.env.METADATA_SERVER_DETECTION = "none";
const COUNT = Number(process.argv[2] ?? 100_000);
const BATCH = 500;
const CONCURRENT = 4;
const PROJECT = "bench";
const ATTRIBUTES = Object.fromEntries(
  Array.from({ length: 9 }, (_, index) => [`ce-attribute-${index}`, randomUUID()]),
);
const folder = mkdtempSync(join(tmpdir(), "constancia-bench-"));
const say = () => {};
const logFile = join(folder, "log");
const rows = [];
for (const [name, start] of [
  ["ours, in memory", async () => startLocalPubsub({ port: await findAnyPort(), logFile, say })],
  [
    "ours, with its journal",
    async () => startLocalPubsub({ port: await findAnyPort(), logFile, say, folder }),
  ],
  ["the emulator", async () => startEmulator({ port: await findAnyPort(), logFile, say })],
] as const) {
  const server = await start().catch((error: Error) => error);
  if (server instanceof Error) console.log(`${name}: ${server.message}`);
  else {
    rows.push({ name, ...(await measure(server)) });
    await server.stop();
  }
}
rmSync(folder, { recursive: true });
console.table(rows);

async function measure({ host, pid }: { host: string; pid: number }) {
  const pubsub = new PubSub({ projectId: PROJECT, apiEndpoint: host, emulatorMode: true });
  const [topic] = await pubsub.createTopic("bench-topic");
  const [subscription] = await topic.createSubscription("bench-subscription", {
    flowControl: { maxMessages: 3_000 },
  });
  const publishMs = await time(() => publish(pubsub, topic.name));
  const drainMs = await time(
    () =>
      new Promise<void>((resolve, reject) => {
        const ids = new Set<string>();
        subscription.on("error", reject);
        subscription.on("message", (message) => {
          message.ack();
          ids.add(message.id);
          if (ids.size === COUNT) resolve();
        });
      }),
  );
  await subscription.close();
  await pubsub.close();
  return {
    "published a second": Math.round((COUNT / publishMs) * 1_000),
    "drained a second": Math.round((COUNT / drainMs) * 1_000),
    ...getUsage(pid),
  };
}

async function publish(pubsub: PubSub, topic: string): Promise<void> {
  const config = await pubsub.getClientConfig();
  const client = new v1.PublisherClient(config as v1.PublisherClient["_opts"]);
  const message = { data: Buffer.from(`{"nombre":"${"x".repeat(50)}"}`), attributes: ATTRIBUTES };
  let left = COUNT;
  const publishers = Array.from({ length: CONCURRENT }, async () => {
    while (left > 0) {
      const messages = Array(Math.min(BATCH, left)).fill(message);
      left -= messages.length;
      await client.publish({ topic, messages }, { isBundling: false });
    }
  });
  await Promise.all(publishers);
  await client.close();
}

async function time(work: () => Promise<void>): Promise<number> {
  const startedAt = performance.now();
  await work();
  return performance.now() - startedAt;
}

/** The server's processor time and its memory, at the end. */
function getUsage(pid: number) {
  const output = execFileSync("ps", ["-o", "cputimes=,rss=", "-p", String(pid)], {
    encoding: "utf8",
  });
  const [seconds = 0, kilobytes = 0] = output.trim().split(/\s+/).map(Number);
  return { "processor seconds": seconds, "memory MB": Math.round(kilobytes / 1_024) };
}
