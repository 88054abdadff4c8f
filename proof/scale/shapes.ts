import { costAtRest, costOfDatabase } from "./cost-at-rest.ts";
import { F2_SLOWDOWN, FIGURES, SIZES, TARGET_UTILISATION, tierFor } from "./figures.ts";
import { GIB, HOURS_A_MONTH, MILLION, PRICES } from "./prices.ts";

/** Creates, of items with so many bytes of JSON, spread evenly over so many hours of the month. */
export type Load = { writes: number; itemBytes: number; hours: number };
/** Dollars for what grows with the writes. */
export type CostOfWrites = Record<
  "messages" | "instances" | "gateway" | "logs" | "traces" | "disk",
  number
>;
/** Dollars for a month, with instances paid for as long as they are awake. */
export type CostOfMonth = Record<
  "database" | "broker" | "watching" | "instances" | "writes",
  number
> & { databaseCores: number };
/** A way to build the same thing. */
export type Shape = {
  title: string;
  ofWrites(load: Load): CostOfWrites;
  ofMonth(load: Load): CostOfMonth;
};

const SECRETS = 2;
const DATABASE_GIB = 10;
/** What Pub/Sub counts at least for a request; a push delivers one message a request. */
const PUBSUB_REQUEST_BYTES = 1_000;
/** A publish takes about so long in a region; what comes meanwhile is the next batch. */
const PUBLISH_SECONDS = 0.02;
const PUBLISH_BATCH = 500;
/** Google's own line for a request to App Engine, a function or a gateway. Assumed. */
const REQUEST_LOG_BYTES = 1_000;
/** Of a write, from the request to the commit, and how many of a hundred traces are kept. */
const SPANS_A_WRITE = 6;
const TRACES_KEPT = 0.05;
/** Beside the item's bytes, a row of a number and a text: header, key, free space. Assumed. */
const BARE_ROW_BYTES = 80;
/** A worker of the pool: one core, and as much memory as F2 has. */
const WORKER_GIB = 0.75;
/** A function of 512 MiB has a third of a core, serves one request at once, 100 ms at least. */
const FUNCTION = { cores: 0.333, gib: 0.5, seconds: 0.1 };
/** The smallest cluster: a broker in each of three zones; and what one core of them takes. */
const KAFKA = { cores: 3, gibOfCore: 1, diskGibOfCore: 100, bytesOfCore: 20 * 2 ** 20 };
const LARGEST_DATABASE_CORES = 96;

const OURS = FIGURES.constancia;
const SEED = FIGURES.seed;

/** App Engine and Pub/Sub's push, as this repository deploys it. */
const CONSTANCIA = shape({
  title: "Constancia",
  messageBytes: ({ itemBytes }) => itemBytes + SIZES.attributes,
  rowBytes: ({ itemBytes }) => itemBytes + SIZES.row,
  logBytes: SIZES.logLines + 2 * REQUEST_LOG_BYTES,
  spans: SPANS_A_WRITE * TRACES_KEPT,
  isWatched: true,
  mysqlMicros: OURS.pushMysqlMicros,
  instances: [appEngine(OURS.postMicros), appEngine(OURS.pushMicros)],
});

/** The same two services by hand: a message and an INSERT for each write, nothing logged. */
const SEED_SHAPE = shape({
  title: "seed shape",
  messageBytes: ({ itemBytes }) => itemBytes,
  rowBytes: ({ itemBytes }) => itemBytes + BARE_ROW_BYTES,
  logBytes: 2 * REQUEST_LOG_BYTES,
  mysqlMicros: SEED.pushMysqlMicros,
  instances: [appEngine(SEED.postMicros), appEngine(SEED.pushMicros)],
});

/** Constancia with Google's managed Kafka in Pub/Sub's place, which nobody can scale to zero. */
const KAFKA_BETWEEN = shape({
  title: "Kafka between",
  messageBytes: ({ itemBytes }) => itemBytes + SIZES.attributes,
  rowBytes: ({ itemBytes }) => itemBytes + SIZES.row,
  logBytes: SIZES.logLines + REQUEST_LOG_BYTES,
  spans: SPANS_A_WRITE * TRACES_KEPT,
  isWatched: true,
  mysqlMicros: OURS.pullMysqlMicros,
  instances: [appEngine(OURS.postMicros), worker(OURS.pullMicros)],
  hasKafka: true,
});

/** API Gateway, a function that publishes, and a function that inserts. */
const FUNCTIONS = shape({
  title: "API Gateway, functions",
  messageBytes: ({ itemBytes }) => itemBytes,
  rowBytes: ({ itemBytes }) => itemBytes + BARE_ROW_BYTES,
  logBytes: 3 * REQUEST_LOG_BYTES,
  mysqlMicros: SEED.pushMysqlMicros,
  instances: [invocation, invocation],
  hasGateway: true,
});

export const SHAPES = [CONSTANCIA, SEED_SHAPE, KAFKA_BETWEEN, FUNCTIONS];

/** Dollars of one process's instances; `awakeHours` is 0 where only work is asked for. */
type Instances = (writes: number, awakeHours: number) => number;
type Parts = {
  title: string;
  messageBytes(load: Load): number;
  rowBytes(load: Load): number;
  logBytes: number;
  spans?: number;
  isWatched?: boolean;
  mysqlMicros: number;
  /** The API's, and the subscriber's. */
  instances: [Instances, Instances];
  hasKafka?: boolean;
  hasGateway?: boolean;
};

function shape(parts: Parts): Shape {
  const [api, subscriber] = parts.instances;
  const ofWrites = (load: Load): CostOfWrites => ({
    messages: parts.hasKafka
      ? costOfReplicas(load.writes * parts.messageBytes(load))
      : costOfPubsub(load, parts.messageBytes(load)),
    instances: api(load.writes, 0) + subscriber(load.writes, 0),
    gateway: parts.hasGateway ? (load.writes / MILLION) * PRICES.millionGatewayCalls : 0,
    logs: ((load.writes * parts.logBytes) / GIB) * PRICES.loggingGib,
    traces: ((load.writes * (parts.spans ?? 0)) / MILLION) * PRICES.millionSpans,
    disk: ((load.writes * parts.rowBytes(load)) / GIB) * PRICES.databaseGibMonth,
  });
  const ofMonth = (load: Load): CostOfMonth => {
    const { instances: _, ...others } = ofWrites(load);
    // Who is asked every minute whether it is ready never sleeps.
    const apiHours = parts.isWatched ? HOURS_A_MONTH : load.hours;
    const bytesPerSecond = getRate(load) * parts.messageBytes(load);
    return {
      ...costOfMysql((getRate(load) * parts.mysqlMicros) / MILLION),
      broker: parts.hasKafka ? costOfKafka(bytesPerSecond) : 0,
      watching: costOfTheRest(parts.isWatched ?? false),
      instances: api(load.writes, apiHours) + subscriber(load.writes, load.hours),
      writes: Object.values(others).reduce((sum, dollars) => sum + dollars),
    };
  };
  return { title: parts.title, ofWrites, ofMonth };
}

function getRate({ writes, hours }: Load): number {
  return writes / hours / 3_600;
}

function costOfPubsub(load: Load, messageBytes: number): number {
  const batch = Math.min(PUBLISH_BATCH, Math.max(1, getRate(load) * PUBLISH_SECONDS));
  const published = Math.max(messageBytes, PUBSUB_REQUEST_BYTES / batch);
  const pushed = Math.max(messageBytes, PUBSUB_REQUEST_BYTES);
  return ((load.writes * (published + pushed)) / GIB / 1_024) * PRICES.pubsubTib;
}

/** Two more copies go to other zones; producers and consumers are taken to stay in theirs. */
function costOfReplicas(bytes: number): number {
  return ((2 * bytes) / GIB) * PRICES.zoneGib;
}

/** A cluster never sleeps; it grows beyond the smallest where the bytes ask for it. */
function costOfKafka(bytesPerSecond: number): number {
  const asked = Math.ceil(bytesPerSecond / KAFKA.bytesOfCore / TARGET_UTILISATION);
  const cores = Math.max(KAFKA.cores, asked);
  const units = cores * (PRICES.kafkaUnitsOfCore + KAFKA.gibOfCore * PRICES.kafkaUnitsOfGib);
  const disk = cores * KAFKA.diskGibOfCore * PRICES.kafkaGibMonth;
  return units * PRICES.kafkaUnitHour * HOURS_A_MONTH + disk;
}

/** The smallest tier that has the cores, or several of the largest, each with a share of the ids. */
function costOfMysql(busyCores: number): { database: number; databaseCores: number } {
  const shards = Math.max(1, Math.ceil(busyCores / LARGEST_DATABASE_CORES / TARGET_UTILISATION));
  const tier = tierFor(busyCores / shards) ?? "";
  const dollars = costOfDatabase(tier, DATABASE_GIB).reduce((sum, line) => sum + line.dollars, 0);
  return { database: shards * dollars, databaseCores: shards * Number(tier.split("-")[2]) };
}

/** Secrets and, in the house, alerts and metrics; instances and the database are counted apart. */
function costOfTheRest(isWatched: boolean): number {
  const options = { tier: "db-f1-micro", databaseGib: 0, secrets: SECRETS, isWatched };
  return costAtRest(options)
    .filter(({ what }) => !what.startsWith("Cloud SQL") && !what.startsWith("App Engine"))
    .filter(({ what }) => isWatched || !what.startsWith("Cloud Monitoring"))
    .reduce((sum, { dollars }) => sum + dollars, 0);
}

/** F2 is paid while awake, however little it does; more of them where one is not enough. */
function appEngine(micros: number): Instances {
  return (writes, awakeHours) => {
    const busy = (writes * micros * F2_SLOWDOWN) / MILLION / 3_600;
    return Math.max(awakeHours, busy / TARGET_UTILISATION) * PRICES.instanceHour;
  };
}

/** Workers do not sleep at all. */
function worker(micros: number): Instances {
  const second = PRICES.poolCoreSecond + WORKER_GIB * PRICES.poolGibSecond;
  return (writes, awakeHours) => {
    const busy = (writes * micros) / MILLION / TARGET_UTILISATION;
    const leastSeconds = awakeHours > 0 ? HOURS_A_MONTH * 3_600 : 0;
    return Math.max(leastSeconds, busy) * second;
  };
}

function invocation(writes: number): number {
  const second =
    FUNCTION.cores * PRICES.functionCoreSecond + FUNCTION.gib * PRICES.functionGibSecond;
  return (writes / MILLION) * PRICES.millionInvocations + writes * FUNCTION.seconds * second;
}
