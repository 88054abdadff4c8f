import { createHistogram, type RecordableHistogram } from "node:perf_hooks";
import { setTimeout as sleep } from "node:timers/promises";
import { createRandom } from "../../local/pubsub/faults.ts";
import type { ChaosCluster } from "../cluster/chaos-cluster.ts";
import { Clients } from "../cluster/clients.ts";
import { runEvents } from "../cluster/events.ts";
import { Ledger } from "../cluster/ledger.ts";
import { describeEvent, drawEvent, EVENT_CHOICES } from "../cluster/plan.ts";
import { startProgress } from "../support/progress.ts";
import { Pacer } from "./pacer.ts";
import { type Period, PeriodChecker } from "./period-checker.ts";
import { type ProcessFigures, ProcessSamples } from "./process-samples.ts";

export type SoakOptions = {
  minutes: number;
  seed: number;
  faultEveryMs: number;
  calibrateMs: number;
  delivery: "pull" | "push";
};

export type SoakFigures = {
  /** What the cluster can accept and settle. */
  capacity: { requestsPerSecond: number; writesPerSecond: number };
  load: { requestsPerSecond: number; seconds: number; answers: Record<string, number> };
  faults: string[];
  checker: PeriodChecker;
  /** Microseconds of the answers 202. */
  answers: RecordableHistogram;
  processes: ProcessFigures[];
};

/** Enough to find the capacity; half of it keeps fewer busy. */
const CLIENTS = 32;
/** With fewer, most requests would wait for the rows of a few items. */
const HOT_ITEMS = 100;
/**
 * A period is checked once it has been over for so long: a killed subscriber's messages are leased
 * for 15 s, nacked ones are redelivered within 10 s, and a version is waited for within 60 s.
 */
const CHECK_AFTER_MS = 120_000;
const SETTLE_DEADLINE_MS = 180_000;
/** Samples of the processes between two faults. */
const SAMPLES_EACH = 6;
/** A fault begins in this share of its period, so that it is undone well before the next one. */
const FAULT_BEGIN_SHARE = 0.3;
/** These are never ended, so that their memory can be judged. */
const SPARED = new Set<string>(["api-2", "subscriber-2"]);

/** The faults of chaos, except for the full disk, which needs a MySQL that is small from the start. */
const CHOICES = EVENT_CHOICES.filter(({ kind, target }) => {
  return kind !== "fill" && !((kind === "kill" || kind === "terminate") && SPARED.has(target));
});

/** Finds the capacity, then runs at half of it with a fault in every period. */
export async function soak(cluster: ChaosCluster, options: SoakOptions): Promise<SoakFigures> {
  const checker = new PeriodChecker(cluster);
  const status = { doing: "calibrating" };
  const progress = startProgress(() => {
    const { accepted, missing, doubled, stale, violations } = checker;
    return `${status.doing}; checked ${accepted}, missing ${missing}, doubled ${doubled}, stale ${stale}, other ${violations.length}`;
  });
  const capacity = await calibrate(cluster, checker, options);
  const requestsPerSecond = capacity.requestsPerSecond / 2;
  progress.say(`half load is ${Math.round(requestsPerSecond)} requests a second`);
  // The lags at full load are not reported.
  checker.lags.reset();
  const samples = new ProcessSamples(cluster);
  samples.take();
  const sampling = setInterval(() => samples.take(), options.faultEveryMs / SAMPLES_EACH);
  const startedAt = performance.now();
  const run = new SoakRun(cluster, options, checker, new Pacer(requestsPerSecond));
  await run.run((doing) => {
    status.doing = doing;
  });
  const seconds = (performance.now() - startedAt) / 1_000;
  samples.take();
  clearInterval(sampling);
  await waitUntilSettled(cluster, checker);
  await run.checkPeriods(true);
  await checker.finish();
  progress.end();
  const load = { requestsPerSecond, seconds, answers: Object.fromEntries(run.statuses) };
  const { faults, answers } = run;
  return { capacity, load, faults, checker, answers, processes: samples.figures() };
}

/** One period after another, each with a fault. */
class SoakRun {
  readonly answers = createHistogram();
  readonly statuses = new Map<number, number>();
  readonly faults: string[] = [];
  readonly #cluster: ChaosCluster;
  readonly #options: SoakOptions;
  readonly #checker: PeriodChecker;
  readonly #pacer: Pacer;
  /** Periods that are over and not checked yet. */
  readonly #unchecked: (Period & { overAtMs: number })[] = [];

  constructor(cluster: ChaosCluster, options: SoakOptions, checker: PeriodChecker, pacer: Pacer) {
    this.#cluster = cluster;
    this.#options = options;
    this.#checker = checker;
    this.#pacer = pacer;
  }

  async run(onPeriod: (description: string) => void): Promise<void> {
    const { minutes, faultEveryMs, seed } = this.#options;
    const random = createRandom(`soak ${seed}`);
    const lastMs = FAULT_BEGIN_SHARE * faultEveryMs;
    const count = Math.max(1, Math.round((minutes * 60_000) / faultEveryMs));
    const endings: Promise<void>[] = [];
    let checking = Promise.resolve();
    for (let number = 1; number <= count; number += 1) {
      const event = drawEvent(random, { choices: CHOICES, firstMs: 0, lastMs });
      const fault = describeEvent(event);
      this.faults.push(fault);
      onPeriod(`${number} of ${count}: ${fault}`);
      const { clients, ended } = this.#startClients(number);
      const events = runEvents(this.#cluster, [event]).catch((error: Error) => {
        this.#checker.violations.push(`the fault ${fault} failed: ${error.message}`);
      });
      await Promise.all([sleep(faultEveryMs), events]);
      // The next clients start at once; these finish their requests meanwhile.
      clients.stop();
      endings.push(ended);
      await this.#restore();
      checking = checking.then(() => this.checkPeriods(false));
      // An error fails the soak at its end, where this is awaited.
      checking.catch(() => {});
    }
    await Promise.all(endings);
    await checking;
  }

  /** Checks, in their order, the periods that were over long ago; with `isLast` all of them. */
  async checkPeriods(isLast: boolean): Promise<void> {
    const unchecked = this.#unchecked;
    unchecked.sort((one, other) => one.number - other.number);
    for (let first = unchecked[0]; first; first = unchecked[0]) {
      if (!isLast && performance.now() - first.overAtMs < CHECK_AFTER_MS) return;
      if (!(await this.#checker.check(first, isLast))) return;
      unchecked.splice(unchecked.indexOf(first), 1);
    }
  }

  #startClients(number: number): { clients: Clients; ended: Promise<void> } {
    const ledger = new Ledger();
    const clients = new Clients(this.#cluster, ledger, this.#options.seed + number, {
      clients: CLIENTS,
      hotItems: HOT_ITEMS,
      prefix: `${number}-`,
      pause: () => this.#pacer.take(),
      onAccepted: (ms) => this.answers.record(Math.max(1, Math.round(ms * 1_000))),
    });
    const ended = clients.run().then(() => {
      for (const [status, times] of ledger.answers)
        this.statuses.set(status, (this.statuses.get(status) ?? 0) + times);
      this.#unchecked.push({ number, ledger, clients, overAtMs: performance.now() });
    });
    return { clients, ended };
  }

  /** Undoes what a fault left behind, and restarts a process that exited by itself. */
  async #restore(): Promise<void> {
    const { processes, database, pubsub } = this.#cluster;
    for (const process of Object.values(processes)) {
      if (process.unexpectedExit) this.#checker.violations.push(process.unexpectedExit);
      process.unexpectedExit = undefined;
    }
    await database.server.restore();
    await pubsub.clearFaults();
    await Promise.all(Object.values(processes).map((process) => process.start()));
  }
}

/** Measures full load; writes that are not settled at its end do not count. */
async function calibrate(
  cluster: ChaosCluster,
  checker: PeriodChecker,
  { seed, calibrateMs }: SoakOptions,
) {
  const ledger = new Ledger();
  const clients = new Clients(cluster, ledger, seed, {
    clients: CLIENTS,
    hotItems: HOT_ITEMS,
    prefix: "0-",
    pause: async () => {},
  });
  const startedAt = performance.now();
  const running = clients.run();
  await sleep(calibrateMs);
  clients.stop();
  const backlog = await cluster.pubsub.countBacklog();
  const seconds = (performance.now() - startedAt) / 1_000;
  const requests = [...ledger.answers.values()].reduce((sum, times) => sum + times, 0);
  const writes = ledger.told.size;
  await running;
  await waitUntilSettled(cluster, checker);
  await checker.check({ number: 0, ledger, clients }, true);
  const settledShare = Math.max(0, writes - backlog) / writes;
  return {
    requestsPerSecond: (settledShare * requests) / seconds,
    writesPerSecond: (settledShare * writes) / seconds,
  };
}

async function waitUntilSettled({ pubsub }: ChaosCluster, checker: PeriodChecker): Promise<void> {
  await pubsub.waitUntilEmpty(SETTLE_DEADLINE_MS).catch((error: Error) => {
    checker.violations.push(error.message);
  });
}
