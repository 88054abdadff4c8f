import { Fleet, type Instance, type Scaling } from "./simulate-fleet.ts";
import { Waiting } from "./simulate-waiting.ts";

/** What is simulated: how much each part does, and between how many instances it scales. */
export type Setup = {
  api: Scaling;
  subscriber: Scaling;
  mysql: {
    /** Microseconds of processor in a second: a million for each core. */
    micros: number;
    settleMicros: number;
    /** Of the reads that come with one write. */
    readMicros: number;
  };
};

/** One second, at its end. */
export type Second = {
  at: number;
  offered: number;
  refused: number;
  accepted: number;
  settled: number;
  /** Requests that no instance has taken yet. */
  pending: number;
  /** Accepted, and not settled. */
  backlog: number;
  /** The age of the oldest write that is not settled. */
  lagSeconds: number;
  api: Part;
  subscriber: Part;
  /** The share of MySQL's time. */
  mysqlBusy: number;
  /** What holds writes up, if anything does. */
  bottleneck: Bottleneck | undefined;
};
export type Part = { serving: number; starting: number; busy: number };
export type Bottleneck = "API" | "API starting" | "subscriber" | "subscriber starting" | "MySQL";

export type Simulation = {
  seconds: Second[];
  instances: (Instance & { service: "api" | "subscriber" })[];
};

/** App Engine lets a request wait for an instance for so long. */
export const PENDING_SECONDS = 10;
/** The subscriber is scaled so that what waits would be gone in this time. */
const CLEAR_SECONDS = 10;

/**
 * Runs the load, in steps of a second: requests wait for an instance of the API, which accepts them
 * into a backlog, which is settled as fast as the subscriber and MySQL both can. Reads come first at
 * MySQL. Nothing here is random, and nothing is lost: what is offered is refused, pending, in the
 * backlog or settled. Not simulated: failures, redelivery, Pub/Sub's slow start, the disk.
 */
export function simulate(setup: Setup, offeredBySecond: readonly number[]): Simulation {
  const api = new Fleet(setup.api);
  const subscriber = new Fleet(setup.subscriber);
  const pending = new Waiting();
  const backlog = new Waiting();
  const seconds = offeredBySecond.map((offered, at): Second => {
    pending.add(at, offered);
    api.scale(at, pending.count);
    const accepted = pending.take(api.capacityAt(at));
    const refused = pending.dropOlderThan(at - PENDING_SECONDS);
    api.use(at, accepted);

    backlog.add(at, accepted);
    subscriber.scale(at, accepted + (backlog.count - accepted) / CLEAR_SECONDS);
    const readMicros = Math.min(setup.mysql.micros, accepted * setup.mysql.readMicros);
    const rows = Math.floor((setup.mysql.micros - readMicros) / setup.mysql.settleMicros);
    const settled = backlog.take(Math.min(subscriber.capacityAt(at), rows));
    subscriber.use(at, settled);

    const parts = { api: api.partAt(at, accepted), subscriber: subscriber.partAt(at, settled) };
    const isMysqlFull = rows < subscriber.capacityAt(at);
    return {
      ...{ at, offered, refused, accepted, settled },
      ...{ pending: pending.count, backlog: backlog.count },
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
