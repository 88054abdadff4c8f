import { createHistogram, type RecordableHistogram } from "node:perf_hooks";
import { setTimeout as sleep } from "node:timers/promises";
import { createRandom } from "../../local/pubsub/faults.ts";
import { Clients } from "../chaos/clients.ts";
import { perform } from "../chaos/events.ts";
import { Ledger } from "../chaos/ledger.ts";
import { describeEvent, drawEvent, HAPPENINGS, type Happening } from "../chaos/plan.ts";
import type { Stage } from "../chaos/stage.ts";
import { Fold, type Stretch } from "../fuzz/fold.ts";
import { Pacer } from "./pacer.ts";
import { Census, type ProcessFigures } from "./processes.ts";
import { SoakProgress } from "./soak-progress.ts";

export type SoakOptions = {
  minutes: number;
  seed: number;
  faultEveryMs: number;
  calibrateMs: number;
  delivery: "pull" | "push";
};

export type SoakFigures = {
  /** What the fleet takes, accepted and settled, and what it was given: half. */
  calibration: { requestsPerSecond: number; writesPerSecond: number };
  load: { requestsPerSecond: number; seconds: number; answers: Record<string, number> };
  faults: string[];
  fold: Fold;
  /** Microseconds of the answers 202. */
  answers: RecordableHistogram;
  processes: ProcessFigures[];
};

/** Enough to find out what the fleet takes; half of it keeps fewer busy. */
const CLIENTS = 32;
/** Fewer, and most of the load would wait for the rows of a few items. */
const HOT_ITEMS = 100;
/**
 * A stretch is looked at once it is over for so long: what a killed subscriber held is leased for
 * 15 s, what was given back comes within 10 s, and a version that is waited for, within 60 s.
 */
const FOLD_AFTER_MS = 120_000;
const SETTLE_DEADLINE_MS = 180_000;
/** Looks at the processes between two faults. */
const LOOKS_EACH = 6;
/** Enough that a fault is begun and undone well before the next one. */
const FAULT_BEGIN_SHARE = 0.3;
/** These live through everything; the others of their kind do not. */
const SPARED = new Set<string>(["api-2", "subscriber-2"]);

/** Of chaos's list all but the full disk, which needs a MySQL that is small from its start. */
const SOAK_HAPPENINGS: readonly Happening[] = HAPPENINGS.filter(({ what, target }) => {
  return what !== "fill" && !((what === "kill" || what === "terminate") && SPARED.has(target));
});

/** The whole: the calibration, and then a fault in each stretch, at half load. */
export async function soak(stage: Stage, options: SoakOptions): Promise<SoakFigures> {
  const fold = new Fold(stage);
  const progress = new SoakProgress(fold);
  const calibration = await calibrate(stage, fold, options);
  const requestsPerSecond = calibration.requestsPerSecond / 2;
  progress.say(
    `the fleet takes ${Math.round(calibration.requestsPerSecond)} requests and ` +
      `${Math.round(calibration.writesPerSecond)} writes a second; half of it from here on`,
  );
  // Those of half load are told.
  fold.lags.reset();
  const census = new Census(stage);
  census.look();
  const looking = setInterval(() => census.look(), options.faultEveryMs / LOOKS_EACH);
  const startedAt = performance.now();
  const run = { stage, options, fold, progress, pacer: new Pacer(requestsPerSecond) };
  const { open, ...told } = await runStretches(run);
  const seconds = (performance.now() - startedAt) / 1_000;
  census.look();
  clearInterval(looking);
  await settle(stage, fold);
  await foldSettled(fold, open, true);
  await fold.finish();
  progress.end();
  const { faults, answers, statuses } = told;
  const load = { requestsPerSecond, seconds, answers: Object.fromEntries(statuses) };
  return { calibration, load, faults, fold, answers, processes: census.figures() };
}

type Open = Stretch & { overAtMs: number };

/** One stretch after the other, each with a fault; what is not folded at the end is `open`. */
async function runStretches(run: {
  stage: Stage;
  options: SoakOptions;
  fold: Fold;
  progress: SoakProgress;
  pacer: Pacer;
}) {
  const { stage, fold, progress, pacer } = run;
  const { minutes, faultEveryMs, seed } = run.options;
  const random = createRandom(`soak ${seed}`);
  const answers = createHistogram();
  const statuses = new Map<number, number>();
  const faults: string[] = [];
  const open: Open[] = [];
  const endings: Promise<void>[] = [];
  let folding = Promise.resolve();
  const count = Math.max(1, Math.round((minutes * 60_000) / faultEveryMs));
  for (let number = 1; number <= count; number += 1) {
    const event = drawEvent(random, {
      happenings: SOAK_HAPPENINGS,
      ...{ firstMs: 0, lastMs: FAULT_BEGIN_SHARE * faultEveryMs },
    });
    const fault = describeEvent(event);
    faults.push(fault);
    progress.begin(number, count, fault);
    const ledger = new Ledger();
    const clients = new Clients(stage, ledger, seed + number, {
      ...{ clients: CLIENTS, hotItems: HOT_ITEMS, prefix: `${number}-` },
      pause: () => pacer.take(),
      onAccepted: (ms) => answers.record(Math.max(1, Math.round(ms * 1_000))),
    });
    const running = clients.run();
    const happening = perform(stage, [event]).catch((error: Error) => {
      fold.violations.push(`the fault ${fault} failed: ${error.message}`);
    });
    await Promise.all([sleep(faultEveryMs), happening]);
    clients.stop();
    // The next clients begin at once; these finish what they have under way.
    const ending = running.then(() => {
      for (const [status, times] of ledger.answers)
        statuses.set(status, (statuses.get(status) ?? 0) + times);
      open.push({ number, ledger, clients, overAtMs: performance.now() });
    });
    endings.push(ending);
    await mend(stage, fold);
    folding = folding.then(() => foldSettled(fold, open, false));
    // An error in it ends the soak at its end, and not in between as one that nobody handles.
    folding.catch(() => {});
  }
  await Promise.all(endings);
  await folding;
  return { open, faults, answers, statuses };
}

/** As much as the clients can ask for; what is not settled at its end was too much. */
async function calibrate(stage: Stage, fold: Fold, { seed, calibrateMs }: SoakOptions) {
  const ledger = new Ledger();
  const clients = new Clients(stage, ledger, seed, {
    ...{ clients: CLIENTS, hotItems: HOT_ITEMS, prefix: "0-", pause: async () => {} },
  });
  const startedAt = performance.now();
  const running = clients.run();
  await sleep(calibrateMs);
  clients.stop();
  const backlog = await stage.pubsub.countBacklog();
  const seconds = (performance.now() - startedAt) / 1_000;
  const requests = [...ledger.answers.values()].reduce((sum, times) => sum + times, 0);
  const writes = ledger.told.size;
  await running;
  await settle(stage, fold);
  await fold.fold({ number: 0, ledger, clients }, true);
  const settledShare = Math.max(0, writes - backlog) / writes;
  return {
    requestsPerSecond: (settledShare * requests) / seconds,
    writesPerSecond: (settledShare * writes) / seconds,
  };
}

/** In their order, those that are over for long enough; with `isLast` all of them. */
async function foldSettled(fold: Fold, open: Open[], isLast: boolean): Promise<void> {
  open.sort((one, other) => one.number - other.number);
  for (let first = open[0]; first; first = open[0]) {
    if (!isLast && performance.now() - first.overAtMs < FOLD_AFTER_MS) return;
    if (!(await fold.fold(first, isLast))) return;
    open.splice(open.indexOf(first), 1);
  }
}

/** Whatever a fault has left is undone, and who ended by himself is named and started again. */
async function mend({ children, database, pubsub }: Stage, fold: Fold): Promise<void> {
  for (const child of Object.values(children)) {
    if (child.surprise) fold.violations.push(child.surprise);
    child.surprise = undefined;
  }
  await database.server.restore();
  await pubsub.behave();
  await Promise.all(Object.values(children).map((child) => child.start()));
}

/** Waits until nothing is left to be settled. */
async function settle({ pubsub }: Stage, fold: Fold): Promise<void> {
  const deadline = performance.now() + SETTLE_DEADLINE_MS;
  for (let backlog = await pubsub.countBacklog(); backlog > 0; ) {
    if (performance.now() > deadline)
      return void fold.violations.push(`${backlog} messages are still unsettled`);
    await sleep(100);
    backlog = await pubsub.countBacklog();
  }
}
