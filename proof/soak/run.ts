import { createHistogram, type RecordableHistogram } from "node:perf_hooks";
import { setTimeout as sleep } from "node:timers/promises";
import { query } from "../../common/database.ts";
import { createRandom } from "../../local/pubsub/faults.ts";
import type { ChaosCluster } from "../cluster/chaos-cluster.ts";
import { checkCluster } from "../cluster/check.ts";
import { Clients } from "../cluster/clients.ts";
import { runEvents } from "../cluster/events.ts";
import { Ledger } from "../cluster/ledger.ts";
import { describeEvent, drawEvent, EVENT_CHOICES, type Event } from "../cluster/plan.ts";
import { startProgress } from "../support/progress.ts";
import { type ProcessFigures, ProcessSamples } from "./process-samples.ts";

export type SoakOptions = {
  minutes: number;
  seed: number;
  faultEveryMs: number;
  calibrateMs: number;
  delivery: "pull" | "push";
};

export type SoakFigures = {
  /** Half of what the cluster accepts and settles. */
  requestsPerSecond: number;
  faults: string[];
  accepted: number;
  published: number;
  outcomes: Record<string, number>;
  statuses: Record<string, number>;
  violations: string[];
  /** Microseconds of the answers 202. */
  answers: RecordableHistogram;
  processes: ProcessFigures[];
};

/** Enough to find the capacity; half of it keeps fewer busy. */
const CLIENTS = 32;
/** With fewer, most requests would wait for the rows of a few items. */
const HOT_ITEMS = 100;
/** A killed subscriber's messages are leased for 15 s; the rest is for a busy machine. */
const SETTLE_DEADLINE_MS = 5 * 60_000;
const SAMPLES_PER_PERIOD = 6;
/** Receipts of each period that are read at the API. */
const RECEIPTS = 200;
/** A fault begins in this share of its period, so that load follows it. */
const FAULT_BEGIN_SHARE = 0.3;
/** These are never ended, so that their memory can be judged. */
const SPARED = new Set<string>(["api-2", "subscriber-2"]);
/** The faults of chaos, except for the full disk, which needs a MySQL with a small tablespace. */
const CHOICES = EVENT_CHOICES.filter(({ kind, target }) => {
  return kind !== "fill" && !((kind === "kill" || kind === "terminate") && SPARED.has(target));
});

/** Finds the capacity, then runs at half of it, period after period, each with a fault. */
export async function soak(cluster: ChaosCluster, options: SoakOptions): Promise<SoakFigures> {
  const { minutes, seed, faultEveryMs, calibrateMs } = options;
  const soak = new Soak(cluster, seed);
  let doing = "calibrating";
  const progress = startProgress(() => `${doing}; ${soak.describe()}`);
  const capacity = await soak.runPeriod({ number: 0, forMs: calibrateMs });
  const requestsPerSecond = capacity / 2;
  progress.say(`half of the capacity is ${Math.round(requestsPerSecond)} requests a second`);
  const samples = new ProcessSamples(cluster);
  samples.take();
  const sampling = setInterval(() => samples.take(), faultEveryMs / SAMPLES_PER_PERIOD);
  const random = createRandom(`soak ${seed}`);
  const lastMs = FAULT_BEGIN_SHARE * faultEveryMs;
  const endAt = performance.now() + minutes * 60_000;
  for (let number = 1; performance.now() < endAt; number += 1) {
    const event = drawEvent(random, { choices: CHOICES, firstMs: 0, lastMs });
    doing = `period ${number}: ${describeEvent(event)}`;
    await soak.runPeriod({ number, forMs: faultEveryMs, event, requestsPerSecond });
  }
  samples.take();
  clearInterval(sampling);
  progress.end();
  return { ...soak.figures(), requestsPerSecond, processes: samples.figures() };
}

/** How long, at which rate and with which fault; without a rate, as much as possible. */
type Period = { number: number; forMs: number; event?: Event; requestsPerSecond?: number };

/** Counts over all periods. The tables are emptied after each, once everything was checked. */
class Soak {
  readonly #cluster: ChaosCluster;
  readonly #seed: number;
  readonly #answers = createHistogram();
  readonly #statuses: Record<string, number> = {};
  readonly #outcomes: Record<string, number> = {};
  readonly #faults: string[] = [];
  readonly #violations: string[] = [];
  #accepted = 0;
  #published = 0;

  constructor(cluster: ChaosCluster, seed: number) {
    this.#cluster = cluster;
    this.#seed = seed;
  }

  describe(): string {
    return `${this.#accepted} writes accepted and checked, ${this.#violations.length} violations`;
  }

  figures(): Omit<SoakFigures, "requestsPerSecond" | "processes"> {
    return {
      faults: this.#faults,
      accepted: this.#accepted,
      published: this.#published,
      outcomes: this.#outcomes,
      statuses: this.#statuses,
      violations: this.#violations,
      answers: this.#answers,
    };
  }

  /** Returns the requests a second, as far as their writes were settled meanwhile. */
  async runPeriod({ number, forMs, event, requestsPerSecond }: Period): Promise<number> {
    const { pubsub } = this.#cluster;
    const ledger = new Ledger();
    const clients = new Clients(this.#cluster, ledger, this.#seed + number, {
      clients: CLIENTS,
      hotItems: HOT_ITEMS,
      prefix: `${number}-`,
      pause: requestsPerSecond ? createPacer(requestsPerSecond) : async () => {},
      onAccepted: (ms) => this.#answers.record(Math.max(1, Math.round(ms * 1_000))),
    });
    if (event) this.#faults.push(describeEvent(event));
    const startedAt = performance.now();
    const running = clients.run();
    const events = runEvents(this.#cluster, event ? [event] : []).catch((error: Error) => {
      this.#violations.push(`a fault failed: ${error.message}`);
    });
    await Promise.all([sleep(forMs), events]);
    clients.stop();
    await this.#undoFaults();
    const backlog = await pubsub.countBacklog();
    const seconds = (performance.now() - startedAt) / 1_000;
    await running;
    await pubsub.waitUntilEmpty(SETTLE_DEADLINE_MS).catch((error: Error) => {
      this.#violations.push(error.message);
    });
    await clients.checkReceipts(Math.ceil(ledger.confirmed.size / RECEIPTS));
    await this.#check(ledger);
    const requests = [...ledger.answers.values()].reduce((sum, times) => sum + times, 0);
    const settledShare = Math.max(0, 1 - backlog / ledger.confirmed.size);
    return (settledShare * requests) / seconds;
  }

  /** Undoes what a fault left behind, and restarts a process that exited by itself. */
  async #undoFaults(): Promise<void> {
    const { processes, database, pubsub } = this.#cluster;
    await database.server.restore();
    await pubsub.clearFaults();
    await Promise.all(Object.values(processes).map((process) => process.start()));
  }

  /** Checks everything, and empties the tables for the next period. */
  async #check(ledger: Ledger): Promise<void> {
    const { witness, processes, database } = this.#cluster;
    const { outcomes, violations } = await checkCluster(this.#cluster, ledger);
    this.#violations.push(...violations);
    for (const outcome of outcomes.values())
      this.#outcomes[outcome] = (this.#outcomes[outcome] ?? 0) + 1;
    for (const [status, times] of ledger.answers)
      this.#statuses[status] = (this.#statuses[status] ?? 0) + times;
    this.#accepted += ledger.confirmed.size;
    this.#published += witness.writes.size;
    witness.writes.clear();
    witness.garbage.clear();
    for (const process of Object.values(processes)) process.unexpectedExit = undefined;
    for (const table of ["data", "writes", "dead_letters"])
      await query(database.pool, `TRUNCATE TABLE ${table}`);
  }
}

/** Admits a number of requests a second, evenly; a turn that is not taken is lost. */
function createPacer(perSecond: number): () => Promise<void> {
  let nextMs = 0;
  return async () => {
    const now = performance.now();
    const dueMs = Math.max(now, nextMs);
    nextMs = dueMs + 1_000 / perSecond;
    await sleep(dueMs - now);
  };
}
