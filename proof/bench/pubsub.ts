import { randomUUID } from "node:crypto";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { PubSub, v1 } from "@google-cloud/pubsub";
import { startLocalPubsub } from "../../local/local-pubsub.ts";
import { startEmulator } from "../../local/official-emulator.ts";
import { findAnyPort } from "../../local/ports.ts";
import { parseOptions, readInteger } from "../../ops/command-line.ts";
import { killProcessAtExit } from "../support/at-exit.ts";
import { runProof } from "../support/command.ts";
import { startAccounting } from "../support/process-usage.ts";
import { createWorkFolder } from "../support/servers.ts";

const HELP = `npm run proof -- pubsub [options]

Publishes messages through Google's client and pulls them: on the local Pub/Sub in memory, on the
same with its journal, and on Google's emulator, where that is installed.

  --messages N  messages (default: 100000)
  --help        show this text
`;

const BATCH = 500;
const CONCURRENT = 4;
const PROJECT = "bench";
const ATTRIBUTES = Object.fromEntries(
  Array.from({ length: 9 }, (_, index) => [`ce-attribute-${index}`, randomUUID()]),
);

await runProof("pubsub", async () => {
  const { values } = parseOptions({
    options: {
      messages: { type: "string", default: "100000" },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) return console.log(HELP) ?? 0;
  const messages = readInteger("messages", values.messages);
  const folder = await createWorkFolder("pubsub");
  const common = {
    logFile: join(folder, "log"),
    say: () => {},
    onStart: killProcessAtExit,
  };
  const servers = {
    "local Pub/Sub, in memory": async () =>
      startLocalPubsub({ ...common, port: await findAnyPort() }),
    "local Pub/Sub, with its journal": async () =>
      startLocalPubsub({ ...common, port: await findAnyPort(), folder: join(folder, "data") }),
    "Google's emulator": async () => startEmulator({ ...common, port: await findAnyPort() }),
  };
  const rows = [];
  for (const [name, start] of Object.entries(servers)) {
    const server = await start().catch((error: Error) => error);
    if (server instanceof Error) {
      console.log(`${name}: ${server.message}`);
      continue;
    }
    rows.push({ name, ...(await measure(server, messages)) });
    await server.stop();
  }
  await rm(folder, { recursive: true });
  console.table(rows);
  return 0;
});

async function measure({ host, pid }: { host: string; pid: number }, messages: number) {
  const pubsub = new PubSub({ projectId: PROJECT, apiEndpoint: host, emulatorMode: true });
  const [topic] = await pubsub.createTopic("bench-topic");
  const [subscription] = await topic.createSubscription("bench-subscription", {
    flowControl: { maxMessages: 3_000 },
  });
  const account = startAccounting({ server: pid });
  const publishMs = await time(() => publish(pubsub, topic.name, messages));
  const pullMs = await time(
    () =>
      new Promise<void>((resolve, reject) => {
        const ids = new Set<string>();
        subscription.on("error", reject);
        subscription.on("message", (message) => {
          message.ack();
          ids.add(message.id);
          if (ids.size === messages) resolve();
        });
      }),
  );
  const { serverMicros = Number.NaN, serverMb = Number.NaN } = account(() => messages);
  await subscription.close();
  await pubsub.close();
  return {
    "published a second": Math.round((messages / publishMs) * 1_000),
    "pulled a second": Math.round((messages / pullMs) * 1_000),
    "server's µs a message": Math.round(serverMicros),
    "peak memory, MB": Math.round(serverMb),
  };
}

async function publish(pubsub: PubSub, topic: string, count: number): Promise<void> {
  const config = await pubsub.getClientConfig();
  const client = new v1.PublisherClient(config as v1.PublisherClient["_opts"]);
  const message = { data: Buffer.from(`{"nombre":"${"x".repeat(50)}"}`), attributes: ATTRIBUTES };
  let left = count;
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
