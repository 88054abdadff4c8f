import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { bundle } from "../../deploy/bundle.ts";
import { endAtSignals } from "./at-exit.ts";
import { DatabaseServer } from "./database-server.ts";
import { Load } from "./load-clients.ts";
import { countWrites, percentile } from "./load-count.ts";
import { send } from "./requests.ts";
import { buildStage, type Stage } from "./stage.ts";

const HELP = `npm run proof -- load [options]

Single POSTs, and one PUT in five, from many clients at two APIs; on the way every process is killed
once, and MySQL restarted once and killed once. Then all is counted. Exit status 1 where a write
is missing, doubled, or stale.

  --writes N    so many accepted writes (default: 100000)
  --clients N   from so many clients (default: 32)
  --help        this text
`;

/** A fault is not waited for longer than this to be recovered from. */
const RECOVERY_DEADLINE_MS = 60_000;
const SETTLE_DEADLINE_MS = 120_000;
const PROGRESS_EVERY_MS = 200;
const BAR_CHARACTERS = 30;

/** What happens once so much of the load is accepted. */
const FAULTS: { at: number; name: string; happen: (stage: Stage) => Promise<void> }[] = [
  { at: 0.1, name: "SIGKILL of api-1", happen: ({ children }) => bounce(children["api-1"]) },
  {
    ...{ at: 0.2, name: "SIGKILL of subscriber-1" },
    happen: ({ children }) => bounce(children["subscriber-1"]),
  },
  {
    ...{ at: 0.35, name: "restart of MySQL" },
    async happen({ database: { server } }) {
      await server.stop();
      await server.restart();
    },
  },
  { at: 0.5, name: "SIGKILL of api-2", happen: ({ children }) => bounce(children["api-2"]) },
  {
    ...{ at: 0.6, name: "SIGKILL of subscriber-2" },
    happen: ({ children }) => bounce(children["subscriber-2"]),
  },
  { at: 0.7, name: "SIGKILL of Pub/Sub", happen: ({ pubsub }) => bounceServer(pubsub) },
  {
    at: 0.85,
    name: "SIGKILL of MySQL",
    happen: ({ database: { server } }) => bounceServer(server),
  },
];

process.env.METADATA_SERVER_DETECTION = "none";
try {
  // Told to end, as chaos is (main.ts).
  process.exit(await main());
} catch (error) {
  console.error(`load: ${(error as Error).message} (--help tells the options)`);
  process.exit(2);
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      writes: { type: "string", default: "100000" },
      clients: { type: "string", default: "32" },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) return console.log(HELP) ?? 0;
  const [writes, clients] = [Number(values.writes), Number(values.clients)];
  if (!(writes > 0 && clients > 0)) throw new Error("--writes and --clients must be numbers");
  const folder = join(import.meta.dirname, "..", "..", ".local", `load-${process.pid}`);
  await mkdir(folder, { recursive: true });
  const code = join(folder, "code");
  await bundle(code);
  const server = await DatabaseServer.start(join(folder, "mysql"), { isSmall: false });
  const plan = { seed: 0, delivery: "pull", skewMs: 0 } as const;
  const stage = await buildStage({ server, folder, code, plan, isDirect: true });
  const end = async () => {
    await stage.close();
    await server.close();
    await rm(folder, { recursive: true, force: true });
  };
  endAtSignals(folder);
  try {
    return await measure(stage, { writes, clients });
  } finally {
    await end();
  }
}

async function measure(stage: Stage, { writes, clients }: { writes: number; clients: number }) {
  const load = new Load(stage, writes);
  const startedAt = performance.now();
  const progress = showProgress(load, writes);
  const all = Promise.all(Array.from({ length: clients }, () => load.client()));
  const written = all.then(() => (performance.now() - startedAt) / 1_000);
  const [seconds, recovered] = await Promise.all([written, breakThings(stage, load, writes)]);
  await settle(stage);
  progress();
  const counted = await countWrites(stage, load.accepted);
  console.log(`${load.accepted.length} accepted in ${seconds.toFixed(0)} s, by ${clients} clients`);
  console.log(`not accepted: ${JSON.stringify(Object.fromEntries(load.refused))} by status`);
  console.log(`settled: ${JSON.stringify(counted.outcomes)}`);
  const { missing, doubled, stale } = counted;
  console.log(`missing ${missing}, doubled ${doubled}, stale ${stale}`);
  const { answers } = load;
  console.log(`answer: p50 ${percentile(answers, 0.5)} ms, p99 ${percentile(answers, 0.99)} ms`);
  const { lags } = counted;
  console.log(
    `lag: p50 ${percentile(lags, 0.5)} ms, p99 ${percentile(lags, 0.99)} ms, most ${percentile(lags, 1)} ms`,
  );
  for (const { name, ms } of recovered)
    console.log(`after the ${name}, both APIs' writes are settled again in ${Math.round(ms)} ms`);
  return missing + doubled + stale === 0 ? 0 : 1;
}

/** Each fault at its time; how long each took to be recovered from. */
async function breakThings(stage: Stage, load: Load, writes: number) {
  const recovered: { name: string; ms: number }[] = [];
  for (const [place, { at, name, happen }] of FAULTS.entries()) {
    load.limit = (FAULTS[place + 1]?.at ?? 1) * writes;
    while (load.accepted.length < at * writes) await sleep(10);
    load.fault = name;
    const startedAt = performance.now();
    await happen(stage);
    await Promise.all(stage.apiUrls.map((url) => probe(url, startedAt)));
    recovered.push({ name, ms: performance.now() - startedAt });
    load.fault = "";
  }
  return recovered;
}

/** Resolves once a write is accepted and settled, answered in one request. */
async function probe(url: string, startedAt: number): Promise<void> {
  while (performance.now() - startedAt < RECOVERY_DEADLINE_MS) {
    const headers = { prefer: "wait=5" };
    const body = { nombre: "probe" };
    const { status } = await send({ method: "POST", url: `${url}/api/data`, body, headers });
    if (status === 201) return;
    await sleep(20);
  }
}

async function bounce(child: Stage["children"]["api-1"]): Promise<void> {
  await child.end("SIGKILL");
  await child.start();
}

async function bounceServer(server: { kill(): Promise<void>; restart(): Promise<void> }) {
  await server.kill();
  await server.restart();
}

async function settle({ pubsub }: Stage): Promise<void> {
  const deadline = performance.now() + SETTLE_DEADLINE_MS;
  while ((await pubsub.countBacklog()) > 0 && performance.now() < deadline) await sleep(100);
}

/** On a terminal a bar; elsewhere a line for each tenth. */
function showProgress(load: Load, writes: number): () => void {
  const startedAt = performance.now();
  let tenth = 0;
  const show = () => {
    const done = Math.min(1, load.accepted.length / writes);
    const rate = Math.round(load.accepted.length / ((performance.now() - startedAt) / 1_000));
    const bar = "#".repeat(Math.round(done * BAR_CHARACTERS)).padEnd(BAR_CHARACTERS, ".");
    const line = `[${bar}] ${load.accepted.length} of ${writes}, ${rate} a second ${load.fault}`;
    if (process.stdout.isTTY) process.stdout.write(`\r${line.padEnd(100)}`);
    else if (Math.floor(done * 10) > tenth) {
      tenth = Math.floor(done * 10);
      console.log(line.trimEnd());
    }
  };
  const timer = setInterval(show, PROGRESS_EVERY_MS);
  return () => {
    clearInterval(timer);
    show();
    if (process.stdout.isTTY) console.log();
  };
}
