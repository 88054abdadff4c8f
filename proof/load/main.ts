import { rm } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { bundle } from "../../deploy/bundle.ts";
import { parseOptions, readInteger } from "../../ops/command-line.ts";
import { type ChaosCluster, startChaosCluster } from "../cluster/chaos-cluster.ts";
import { checkCluster } from "../cluster/check.ts";
import { Clients } from "../cluster/clients.ts";
import { DatabaseServer } from "../cluster/database-server.ts";
import { Ledger } from "../cluster/ledger.ts";
import { send } from "../cluster/requests.ts";
import { runProof } from "../support/command.ts";
import { startProgress } from "../support/progress.ts";
import { createWorkFolder } from "../support/servers.ts";
import { percentile, toTenth } from "../support/statistics.ts";

const HELP = `npm run proof -- load [options]

The clients of chaos write to two APIs without a pause; meanwhile every process is killed once, and
MySQL is restarted once and killed once. Prints how long each took to recover from, and checks every
promise as chaos does. Exit status 1 where one was broken.

  --writes N    accepted writes, at least (default: 100000)
  --clients N   clients (default: 32)
  --help        show this text
`;

const HOT_ITEMS = 100;
/** A recovery is not waited for longer than this. */
const RECOVERY_DEADLINE_MS = 120_000;
const SETTLE_DEADLINE_MS = 5 * 60_000;

type Fault = { at: number; name: string; run: (cluster: ChaosCluster) => Promise<void> };

/** What happens once this share of the writes is accepted. */
const FAULTS: Fault[] = [
  { at: 0.1, name: "SIGKILL of api-1", run: ({ processes }) => kill(processes["api-1"]) },
  {
    at: 0.2,
    name: "SIGKILL of subscriber-1",
    run: ({ processes }) => kill(processes["subscriber-1"]),
  },
  {
    at: 0.35,
    name: "restart of MySQL",
    async run({ database: { server } }) {
      await server.stop();
      await server.restart();
    },
  },
  { at: 0.5, name: "SIGKILL of api-2", run: ({ processes }) => kill(processes["api-2"]) },
  {
    at: 0.6,
    name: "SIGKILL of subscriber-2",
    run: ({ processes }) => kill(processes["subscriber-2"]),
  },
  { at: 0.7, name: "SIGKILL of Pub/Sub", run: ({ pubsub }) => killServer(pubsub) },
  { at: 0.85, name: "SIGKILL of MySQL", run: ({ database }) => killServer(database.server) },
];

await runProof("load", async () => {
  const { values } = parseOptions({
    options: {
      writes: { type: "string", default: "100000" },
      clients: { type: "string", default: "32" },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) return console.log(HELP) ?? 0;
  const writes = readInteger("writes", values.writes);
  const clients = readInteger("clients", values.clients, { max: 1_000 });
  const folder = await createWorkFolder("load");
  const code = join(folder, "code");
  await bundle(code);
  const server = await DatabaseServer.start(join(folder, "mysql"), { isSmall: false });
  const plan = { seed: 0, delivery: "pull", skewMs: 0 } as const;
  const cluster = await startChaosCluster({ server, folder, code, plan, isDirect: true });
  try {
    return await run(cluster, { writes, clients });
  } finally {
    await cluster.close();
    await server.close();
    await rm(folder, { recursive: true, force: true });
  }
});

async function run(
  cluster: ChaosCluster,
  options: { writes: number; clients: number },
): Promise<number> {
  const ledger = new Ledger();
  const answers: number[] = [];
  const clients = new Clients(cluster, ledger, 0, {
    clients: options.clients,
    hotItems: HOT_ITEMS,
    pause: async () => {},
    onAccepted: (ms) => answers.push(ms),
  });
  const progress = startProgress(
    () => `${ledger.confirmed.size} of ${options.writes} writes accepted`,
  );
  const startedAt = performance.now();
  const running = clients.run();
  try {
    for (const { at, name, run } of FAULTS) {
      await waitForWrites(ledger, at * options.writes);
      const ms = await recover(cluster, run);
      progress.say(`after the ${name}, writes to both APIs are settled again in ${ms} ms`);
    }
    await waitForWrites(ledger, options.writes);
  } finally {
    clients.stop();
  }
  await running;
  const seconds = Math.round((performance.now() - startedAt) / 1_000);
  await cluster.pubsub.waitUntilEmpty(SETTLE_DEADLINE_MS);
  await clients.checkReceipts();
  const { outcomes, violations } = await checkCluster(cluster, ledger);
  progress.end();
  const settled = Map.groupBy(outcomes.values(), (outcome) => outcome);
  const counts = [...settled].map(([outcome, { length }]) => `${length} ${outcome}`);
  const [p50, p99] = [0.5, 0.99].map((share) => toTenth(percentile(answers, share)));
  console.log(
    `${ledger.confirmed.size} writes accepted in ${seconds} s, by ${options.clients} clients`,
  );
  console.log(`answers by status: ${JSON.stringify(Object.fromEntries(ledger.answers))}`);
  console.log(`answers 202: p50 ${p50} ms, p99 ${p99} ms`);
  console.log(`settled: ${counts.join(", ")}`);
  console.log(violations.length === 0 ? "every promise held" : `${violations.length} VIOLATIONS`);
  for (const violation of violations.slice(0, 20)) console.log(violation);
  return violations.length === 0 ? 0 : 1;
}

async function waitForWrites({ confirmed }: Ledger, count: number): Promise<void> {
  while (confirmed.size < count) await sleep(10);
}

/** Runs a fault; returns the milliseconds until a write to each API is accepted and settled. */
async function recover(cluster: ChaosCluster, fault: Fault["run"]): Promise<number> {
  const startedAt = performance.now();
  await fault(cluster);
  const headers = { prefer: "wait=5" };
  const body = { nombre: "recovered" };
  const waitUntilSettled = async (url: string) => {
    while (performance.now() - startedAt < RECOVERY_DEADLINE_MS) {
      const { status } = await send({ method: "POST", url: `${url}/api/data`, body, headers });
      if (status === 201) return;
      await sleep(20);
    }
  };
  await Promise.all(cluster.apiUrls.map(waitUntilSettled));
  return Math.round(performance.now() - startedAt);
}

async function kill(process: ChaosCluster["processes"]["api-1"]): Promise<void> {
  await process.end("SIGKILL");
  await process.start();
}

async function killServer(server: { kill(): Promise<void>; restart(): Promise<void> }) {
  await server.kill();
  await server.restart();
}
