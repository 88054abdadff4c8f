import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type ChaosCluster, startChaosCluster } from "../cluster/chaos-cluster.ts";
import { checkCluster } from "../cluster/check.ts";
import { Clients } from "../cluster/clients.ts";
import type { DatabaseServer } from "../cluster/database-server.ts";
import { runEvents } from "../cluster/events.ts";
import { HoldClients } from "../cluster/hold-clients.ts";
import { Ledger } from "../cluster/ledger.ts";
import { LOAD_MS, type Plan } from "../cluster/plan.ts";
import { Readers } from "../cluster/readers.ts";

/** The result of one run. */
export type Result = {
  seed: number;
  seconds: number;
  /** Writes that the API confirmed to clients. */
  confirmed: number;
  published: number;
  answers: Record<string, number>;
  peakMb: number;
  violations: string[];
  /** The run did not end, and what it started may still run. */
  isStuck: boolean;
};

/** A run takes 20 s, and several times that on a machine whose cores are busy. */
const RUN_DEADLINE_MS = 10 * 60_000;
/** A killed subscriber's messages are redelivered after 15 s; the rest is for a busy machine. */
const SETTLE_DEADLINE_MS = 5 * 60_000;
const SAMPLE_EVERY_MS = 500;
/** A run with fewer answers proves little: the clients go on for a while on a busy machine. */
const ENOUGH_ANSWERS = 500;
const LONGEST_LOAD_MS = 10 * LOAD_MS;

/** Whose an item is, is decided once, so that there are new ones all the time. */
const CONTESTED_ITEMS = 120;

type Options = {
  plan: Plan;
  server: DatabaseServer;
  folder: string;
  code: string;
  /** The code declares that items have owners, and berths to hold; the clients are of several subjects. */
  isOwned: boolean;
  /** The code declares a feed of the collection. */
  hasFeed: boolean;
};

/** The progress of a run. */
type Progress = { doing: string; ledger: Ledger; cluster?: ChaosCluster };

/** One run: a cluster, its load, the events of the plan, and then every promise is checked. */
export async function run(options: Options): Promise<Result> {
  const { seed } = options.plan;
  const folder = join(options.folder, `seed-${seed}`);
  const startedAt = performance.now();
  const progress: Progress = { doing: "starting", ledger: new Ledger() };
  const over = new AbortController();
  const late = sleep(RUN_DEADLINE_MS, "late" as const, { signal: over.signal });
  const ended = runToEnd({ ...options, folder }, progress).catch((error) =>
    describeFailure(progress, error),
  );
  const end = await Promise.race([ended, late]);
  over.abort();
  const isStuck = end === "late";
  const { ledger, cluster, doing } = progress;
  const violations = isStuck
    ? [...ledger.violations, `${doing} does not end in ${RUN_DEADLINE_MS} ms`]
    : end;
  const processes = Object.values(cluster?.processes ?? {});
  if (violations.length === 0) await rm(folder, { recursive: true, force: true });
  else {
    await writeFile(join(folder, "violations.txt"), `${violations.join("\n")}\n`);
    for (const { name, output } of processes) await writeFile(join(folder, `${name}.log`), output);
  }
  return {
    seed,
    seconds: (performance.now() - startedAt) / 1_000,
    confirmed: ledger.confirmed.size,
    published: cluster?.witness.writes.size ?? 0,
    answers: Object.fromEntries(ledger.answers),
    peakMb: Math.max(0, ...processes.map(({ peakMb }) => peakMb)),
    violations,
    isStuck,
  };
}

/** Returns the violations, in sentences. */
async function runToEnd(options: Options, progress: Progress): Promise<string[]> {
  const { plan, server, folder } = options;
  const { ledger } = progress;
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  await server.restore();
  const cluster = await startChaosCluster(options);
  progress.cluster = cluster;
  const samplePeaks = () => {
    for (const process of Object.values(cluster.processes)) process.samplePeak();
  };
  const sampling = setInterval(samplePeaks, SAMPLE_EVERY_MS);
  const readers = options.hasFeed ? new Readers(cluster) : undefined;
  try {
    progress.doing = "writing";
    const clients = new Clients(cluster, ledger, plan.seed, {
      ...(options.isOwned && { hotItems: CONTESTED_ITEMS }),
    });
    const holders = options.isOwned ? new HoldClients(cluster, ledger, plan.seed) : undefined;
    const running = Promise.all([clients.run(), holders?.run()]);
    const reading = readers?.run();
    const events = runEvents(cluster, plan.events);
    const load = Promise.all([events, sleep(LOAD_MS), waitForAnswers(ledger)]);
    await load.finally(() => {
      clients.stop();
      holders?.stop();
    });
    await running;
    progress.doing = "settling";
    await server.restore();
    await cluster.pubsub.clearFaults();
    await Promise.all(Object.values(cluster.processes).map((process) => process.start()));
    await cluster.pubsub.waitUntilEmpty(SETTLE_DEADLINE_MS);
    readers?.stop();
    await reading;
    progress.doing = "checking";
    await clients.checkReceipts();
    ledger.violations.push(...((await readers?.judge()) ?? []));
    return (await checkCluster(cluster, ledger)).violations;
  } catch (error) {
    return describeFailure(progress, error as Error);
  } finally {
    clearInterval(sampling);
    readers?.stop();
    samplePeaks();
    progress.doing = "stopping";
    await cluster.close();
  }
}

async function waitForAnswers({ answers }: Ledger): Promise<void> {
  const deadline = performance.now() + LONGEST_LOAD_MS;
  const countAnswers = () => answers.values().reduce((sum, times) => sum + times, 0);
  while (countAnswers() - (answers.get(0) ?? 0) < ENOUGH_ANSWERS && performance.now() < deadline)
    await sleep(100);
}

function describeFailure({ doing, ledger }: Progress, { message }: Error): string[] {
  return [...ledger.violations, `while ${doing}: ${message}`];
}
