import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { check } from "./check.ts";
import { peakMemoryMb } from "./child.ts";
import { Clients } from "./clients.ts";
import type { DatabaseServer } from "./database-server.ts";
import { perform } from "./events.ts";
import { Ledger } from "./ledger.ts";
import { LOAD_MS, type Plan } from "./plan.ts";
import { buildStage, type Stage } from "./stage.ts";

/** What came of one run. */
export type Result = {
  seed: number;
  seconds: number;
  told: number;
  published: number;
  answers: Record<string, number>;
  peakMb: number;
  violations: string[];
  /** It did not come to its end, and what it started may still run. */
  isStuck: boolean;
};

/** Ten times what a run takes on a busy machine; what lasts longer waits for what never comes. */
const RUN_DEADLINE_MS = 5 * 60_000;

/** What a killed subscriber held comes again after 15 s, and what was nacked within 10 s. */
const SETTLE_DEADLINE_MS = 90_000;
/** The backlog must be empty so often in a row: something may have been on its way to it. */
const LOOKS_AT_BACKLOG = 3;
const LOOK_EVERY_MS = 150;
const MEASURE_EVERY_MS = 500;
const LOOKS_AT_ONCE = 16;

type Options = { plan: Plan; server: DatabaseServer; folder: string; code: string };

/** One run: a house, its load, the events of the plan, quiet, and then everything is looked at. */
export async function run(options: Options): Promise<Result> {
  const { seed } = options.plan;
  const folder = join(options.folder, `seed-${seed}`);
  const startedAt = performance.now();
  const progress: Progress = { doing: "making the house", ledger: new Ledger() };
  const over = new AbortController();
  const late = sleep(RUN_DEADLINE_MS, "late" as const, { signal: over.signal });
  const ended = judge({ ...options, folder }, progress).catch((error) => failed(progress, error));
  const end = await Promise.race([ended, late]);
  over.abort();
  const isStuck = end === "late";
  const { ledger, stage, doing } = progress;
  const violations = isStuck
    ? [...ledger.violations, `${doing} does not end in ${RUN_DEADLINE_MS} ms`]
    : end;
  if (stage && violations.length > 0) await keepLogs(stage, folder, violations);
  else if (violations.length === 0) await rm(folder, { recursive: true, force: true });
  return {
    seed,
    seconds: (performance.now() - startedAt) / 1_000,
    told: ledger.told.size,
    published: stage?.witness.writes.size ?? 0,
    answers: Object.fromEntries(ledger.answers),
    peakMb: Math.max(0, ...Object.values(stage?.children ?? {}).map(({ peakMb }) => peakMb)),
    violations,
    isStuck,
  };
}

/** How far a run has come. */
type Progress = { doing: string; ledger: Ledger; stage?: Stage };

/** What was broken, in sentences. */
async function judge(options: Options, progress: Progress): Promise<string[]> {
  const { plan, server, folder } = options;
  const { ledger } = progress;
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  await server.restore();
  const stage = await buildStage(options);
  progress.stage = stage;
  const measuring = setInterval(() => measure(stage), MEASURE_EVERY_MS);
  try {
    progress.doing = "writing";
    const clients = new Clients(stage, ledger, plan.seed);
    const running = clients.run();
    await Promise.all([perform(stage, plan.events), sleep(LOAD_MS)]).finally(() => clients.stop());
    await running;
    progress.doing = "settling";
    await settle(stage);
    progress.doing = "looking at everything";
    await lookAtAll(clients, ledger);
    return await check(stage, ledger);
  } catch (error) {
    return failed(progress, error as Error);
  } finally {
    clearInterval(measuring);
    measure(stage);
    progress.doing = "closing the house";
    await stage.close();
  }
}

function failed({ doing, ledger }: Progress, { message }: Error): string[] {
  return [...ledger.violations, `while ${doing}: ${message}`];
}

/** Everything is up and behaves; waits until nothing is left to be settled. */
async function settle({ pubsub, children, database }: Stage): Promise<void> {
  await database.server.restore();
  await pubsub.behave();
  await Promise.all(Object.values(children).map((child) => child.start()));
  const deadline = performance.now() + SETTLE_DEADLINE_MS;
  for (let empty = 0; empty < LOOKS_AT_BACKLOG; ) {
    const backlog = await pubsub.countBacklog();
    empty = backlog === 0 ? empty + 1 : 0;
    if (performance.now() > deadline)
      throw new Error(`${backlog} messages are still unsettled after ${SETTLE_DEADLINE_MS} ms`);
    await sleep(LOOK_EVERY_MS);
  }
}

/** Asks for every receipt that anybody was promised. */
async function lookAtAll(clients: Clients, { told }: Ledger): Promise<void> {
  const writes = told.keys();
  const looker = async (number: number) => {
    for (const write of writes) await clients.look(write, number / LOOKS_AT_ONCE);
  };
  await Promise.all(Array.from({ length: LOOKS_AT_ONCE }, (_, number) => looker(number)));
}

function measure({ children }: Stage): void {
  for (const child of Object.values(children)) {
    if (child.pid !== undefined) child.peakMb = Math.max(child.peakMb, peakMemoryMb(child.pid));
  }
}

async function keepLogs(stage: Stage, folder: string, violations: string[]): Promise<void> {
  await writeFile(join(folder, "violations.txt"), `${violations.join("\n")}\n`);
  for (const { name, output } of Object.values(stage.children))
    await writeFile(join(folder, `${name}.log`), output);
}
