import { rm } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { bundle } from "../../deploy/bundle.ts";
import { parseOptions, readInteger } from "../../ops/command-line.ts";
import { type ChaosCluster, startChaosCluster } from "../cluster/chaos-cluster.ts";
import { DatabaseServer } from "../cluster/database-server.ts";
import { send } from "../cluster/requests.ts";
import { runProof } from "../support/command.ts";
import { startProgress } from "../support/progress.ts";
import { createWorkFolder } from "../support/servers.ts";
import { percentile, toTenth } from "../support/statistics.ts";
import { LoadClients } from "./clients.ts";
import { countWrites } from "./count.ts";

const HELP = `npm run proof -- load [options]

Clients send single POSTs, and one PUT in five, to two APIs; meanwhile every process is killed once,
and MySQL is restarted once and killed once. Then every write is counted. Exit status 1 where one is
missing, doubled or stale.

  --writes N    accepted writes (default: 100000)
  --clients N   clients (default: 32)
  --help        show this text
`;

/** A recovery is not waited for longer than this. */
const RECOVERY_DEADLINE_MS = 120_000;
const SETTLE_DEADLINE_MS = 5 * 60_000;

type Fault = { at: number; name: string; run: (cluster: ChaosCluster) => Promise<void> };

/** What happens once this share of the load is accepted. */
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
    return await measure(cluster, { writes, clients });
  } finally {
    await cluster.close();
    await server.close();
    await rm(folder, { recursive: true, force: true });
  }
});

async function measure(
  cluster: ChaosCluster,
  { writes, clients }: { writes: number; clients: number },
): Promise<number> {
  const load = new LoadClients(cluster.apiUrls, writes);
  const startedAt = performance.now();
  const progress = startProgress(() => `${load.accepted.length} of ${writes} writes accepted`);
  const written = load.run(clients).then(() => (performance.now() - startedAt) / 1_000);
  const [seconds, recoveries] = await Promise.all([written, runFaults(cluster, load, writes)]);
  // Where it is never empty, the writes that are left count as missing.
  await cluster.pubsub.waitUntilEmpty(SETTLE_DEADLINE_MS).catch(() => {});
  progress.end();
  const counted = await countWrites(cluster, load.accepted);
  const { missing, doubled, stale, lags } = counted;
  const describe = (values: number[], share: number) => `${toTenth(percentile(values, share))} ms`;
  console.log(`${load.accepted.length} accepted in ${seconds.toFixed(0)} s, by ${clients} clients`);
  console.log(`not accepted: ${JSON.stringify(Object.fromEntries(load.refused))} by status`);
  console.log(`settled: ${JSON.stringify(counted.outcomes)}`);
  console.log(`missing ${missing}, doubled ${doubled}, stale ${stale}`);
  console.log(`answer: p50 ${describe(load.answers, 0.5)}, p99 ${describe(load.answers, 0.99)}`);
  console.log(
    `lag: p50 ${describe(lags, 0.5)}, p99 ${describe(lags, 0.99)}, longest ${describe(lags, 1)}`,
  );
  for (const { name, ms } of recoveries)
    console.log(`after the ${name}, writes to both APIs are settled again in ${Math.round(ms)} ms`);
  return missing + doubled + stale === 0 ? 0 : 1;
}

/** Runs each fault at its time; returns how long each took to recover from. */
async function runFaults(cluster: ChaosCluster, load: LoadClients, writes: number) {
  const recoveries: { name: string; ms: number }[] = [];
  for (const [place, { at, name, run }] of FAULTS.entries()) {
    load.limit = (FAULTS[place + 1]?.at ?? 1) * writes;
    while (load.accepted.length < at * writes) await sleep(10);
    const startedAt = performance.now();
    await run(cluster);
    await Promise.all(cluster.apiUrls.map((url) => waitUntilSettling(url, startedAt)));
    recoveries.push({ name, ms: performance.now() - startedAt });
  }
  return recoveries;
}

/** Resolves once a write is accepted and settled. */
async function waitUntilSettling(url: string, startedAt: number): Promise<void> {
  while (performance.now() - startedAt < RECOVERY_DEADLINE_MS) {
    const headers = { prefer: "wait=5" };
    const body = { nombre: "probe" };
    const { status } = await send({ method: "POST", url: `${url}/api/data`, body, headers });
    if (status === 201) return;
    await sleep(20);
  }
}

async function kill(process: ChaosCluster["processes"]["api-1"]): Promise<void> {
  await process.end("SIGKILL");
  await process.start();
}

async function killServer(server: { kill(): Promise<void>; restart(): Promise<void> }) {
  await server.kill();
  await server.restart();
}
