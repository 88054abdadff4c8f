import { Fleet, type Instance, type Part, type Scaling } from "./simulate-fleet.ts";

/** How both services scale, and the processor time of MySQL. */
export type Setup = {
  api: Scaling;
  subscriber: Scaling;
  mysql: {
    /** Microseconds of processor time in a second: a million for each core. */
    micros: number;
    settleMicros: number;
    /** For the reads that come with one write. */
    readMicros: number;
  };
};

/** The state at the end of one second. */
export type Second = {
  at: number;
  offered: number;
  refused: number;
  accepted: number;
  settled: number;
  /** Requests that wait for an instance. */
  pending: number;
  /** Accepted writes that are not settled. */
  backlog: number;
  /** The age of the oldest unsettled write. */
  lagSeconds: number;
  api: Part;
  subscriber: Part;
  /** The share of MySQL's processor time that is used. */
  mysqlBusy: number;
  /** What limits the rate, if anything does. */
  bottleneck: Bottleneck | undefined;
};
export type Bottleneck = "API" | "API starting" | "subscriber" | "subscriber starting" | "MySQL";

export type Simulation = {
  seconds: Second[];
  instances: (Instance & { service: "api" | "subscriber" })[];
};

/** How long App Engine lets a request wait for an instance. */
const PENDING_SECONDS = 10;
/** The subscriber is scaled to settle the backlog within this time. */
const CLEAR_SECONDS = 10;

/**
 * Simulates a load in steps of one second. Requests wait for an instance of the API, which accepts
 * them into a backlog. The subscriber settles the backlog as fast as its instances and MySQL allow,
 * where reads come first. Nothing is random and no write is lost: each is refused, pending, in the
 * backlog or settled. Failures, redelivery, Pub/Sub's slow start and the disk are not simulated.
 */
export function simulate(setup: Setup, offeredBySecond: readonly number[]): Simulation {
  const api = new Fleet(setup.api);
  const subscriber = new Fleet(setup.subscriber);
  const pending = new WriteQueue();
  const backlog = new WriteQueue();
  const seconds = offeredBySecond.map((offered, at): Second => {
    pending.add(at, offered);
    api.scale(at, pending.count);
    const accepted = pending.take(api.computeCapacity(at));
    const refused = pending.dropOlderThan(at - PENDING_SECONDS);
    api.use(at, accepted);

    backlog.add(at, accepted);
    subscriber.scale(at, accepted + (backlog.count - accepted) / CLEAR_SECONDS);
    const readMicros = Math.min(setup.mysql.micros, accepted * setup.mysql.readMicros);
    const rows = Math.floor((setup.mysql.micros - readMicros) / setup.mysql.settleMicros);
    const settled = backlog.take(Math.min(subscriber.computeCapacity(at), rows));
    subscriber.use(at, settled);

    const parts = { api: api.getPart(at, accepted), subscriber: subscriber.getPart(at, settled) };
    const isMysqlFull = rows < subscriber.computeCapacity(at);
    return {
      at,
      offered,
      refused,
      accepted,
      settled,
      pending: pending.count,
      backlog: backlog.count,
      lagSeconds: backlog.oldest === undefined ? 0 : at - backlog.oldest + 1,
      ...parts,
      mysqlBusy: (readMicros + settled * setup.mysql.settleMicros) / setup.mysql.micros,
      bottleneck: findBottleneck(refused + pending.count, backlog.count, parts, isMysqlFull),
    };
  });
  return {
    seconds,
    instances: [
      ...api.instances.map((instance) => ({ service: "api" as const, ...instance })),
      ...subscriber.instances.map((instance) => ({ service: "subscriber" as const, ...instance })),
    ],
  };
}

function findBottleneck(
  unaccepted: number,
  unsettled: number,
  { api, subscriber }: { api: Part; subscriber: Part },
  isMysqlFull: boolean,
): Bottleneck | undefined {
  if (unaccepted > 0) return api.starting > 0 ? "API starting" : "API";
  if (unsettled === 0) return undefined;
  if (isMysqlFull) return "MySQL";
  return subscriber.starting > 0 ? "subscriber starting" : "subscriber";
}

/** A first-in, first-out queue of writes that knows the second in which each arrived. */
class WriteQueue {
  count = 0;
  readonly #cohorts: { at: number; count: number }[] = [];
  #first = 0;

  /** The second in which the oldest write arrived. */
  get oldest(): number | undefined {
    return this.#cohorts[this.#first]?.at;
  }

  add(at: number, count: number): void {
    if (count === 0) return;
    this.#cohorts.push({ at, count });
    this.count += count;
  }

  /** Removes up to `most` of the oldest writes and returns their number. */
  take(most: number): number {
    let taken = 0;
    for (let cohort = this.#cohorts[this.#first]; cohort && taken < most; ) {
      const count = Math.min(cohort.count, most - taken);
      cohort.count -= count;
      taken += count;
      if (cohort.count > 0) break;
      this.#first += 1;
      cohort = this.#cohorts[this.#first];
    }
    this.count -= taken;
    return taken;
  }

  /** Removes all writes that arrived in that second or before and returns their number. */
  dropOlderThan(at: number): number {
    let dropped = 0;
    for (let cohort = this.#cohorts[this.#first]; cohort && cohort.at <= at; ) {
      dropped += cohort.count;
      this.#first += 1;
      cohort = this.#cohorts[this.#first];
    }
    this.count -= dropped;
    return dropped;
  }
}
