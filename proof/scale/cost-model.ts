import { MESSAGE_RETENTION_DAYS } from "../../common/limits.ts";
import {
  chooseTier,
  F2_SLOWDOWN,
  FIGURES,
  type ShapeName,
  SIZES,
  TARGET_UTILISATION,
} from "./figures.ts";
import { findHourlyPrice, GIB, HOURS_A_MONTH, MILLION, PRICES } from "./prices.ts";

/** Creates of items with so many bytes of JSON, spread evenly over so many hours of a month. */
export type Load = { writes: number; itemBytes: number; hours: number };
/** One line of a bill. */
export type Line = { name: string; basis: string; dollars: number };
/** Dollars for the parts that grow with the number of writes. */
export type CostOfWrites = Record<
  "messages" | "retained" | "instances" | "logs" | "traces" | "disk",
  number
>;
/** Dollars for a month; instances are paid for while they run. */
export type CostOfMonth = Record<"database" | "watching" | "instances" | "writes", number> & {
  databaseCores: number;
};

/** The alert conditions by how often they are evaluated; each returns about one series. */
export const ALERT_CONDITIONS = { everyMinute: 12, everyMinuteIfWatched: 2, everyFiveMinutes: 5 };
/** The samples that a running process exports each minute. An assumption. */
const SAMPLES_A_MINUTE = 150;
const MINUTES_A_MONTH = HOURS_A_MONTH * 60;
/** App Engine ends an instance a quarter of an hour after its last request, here the cron's. */
const CRON_SHARE = 1 / 4;
const SECRETS = 2;
const DATABASE_GIB = 10;
const LARGEST_DATABASE_CORES = 96;
/** Pub/Sub bills at least this for a request; a push delivers one message a request. */
const PUBSUB_REQUEST_BYTES = 1_000;
/** The time of a publish in a region. Writes that arrive meanwhile form the next batch. */
const PUBLISH_SECONDS = 0.02;
const MAX_PUBLISH_BATCH = 500;
/** An entry of App Engine's request log. An assumption. */
const REQUEST_LOG_BYTES = 1_000;
/** The spans of a write from the request to the commit, and the share of traces that is kept. */
const SPANS_A_WRITE = 6;
const TRACES_KEPT = 0.05;

/** What differs between this repository and a hand-written service that logs and watches nothing. */
type Shape = {
  title: string;
  attributes: number;
  /** For how long the topic keeps a message that was acknowledged. */
  retainedDays: number;
  row: number;
  logs: number;
  spans: number;
  isWatched: boolean;
};
export const SHAPES: Record<ShapeName, Shape> = {
  constancia: {
    title: "Constancia",
    attributes: SIZES.attributes,
    retainedDays: MESSAGE_RETENTION_DAYS.writes,
    row: SIZES.row,
    logs: SIZES.logLines + 2 * REQUEST_LOG_BYTES,
    spans: SPANS_A_WRITE * TRACES_KEPT,
    isWatched: true,
  },
  seed: {
    title: "seed shape",
    attributes: 0,
    retainedDays: 0,
    // A number and a text: header, key, free space. An assumption.
    row: 80,
    logs: 2 * REQUEST_LOG_BYTES,
    spans: 0,
    isWatched: false,
  },
};

/**
 * The bill of a month without traffic. Both services scale to zero, but the cron calls them every
 * hour, and the uptime check of a watched environment keeps one instance of the API running.
 */
export function listCostAtRest(tier: string, isWatched: boolean): Line[] {
  const cronHours = (isWatched ? 1 : 2) * CRON_SHARE * HOURS_A_MONTH;
  return [
    ...listDatabaseCost(tier),
    listSecretsCost(),
    ...listWatchingCost(isWatched),
    ...(isWatched
      ? [
          {
            name: "App Engine, F2, kept running by the uptime check",
            basis: `${HOURS_A_MONTH} h`,
            dollars: HOURS_A_MONTH * PRICES.instanceHour,
          },
        ]
      : []),
    {
      name: "App Engine, F2, called by the cron every hour",
      basis: `${Math.round(cronHours)} h`,
      dollars: cronHours * PRICES.instanceHour,
    },
    { name: "Pub/Sub, Cloud Logging", basis: "no traffic", dollars: 0 },
  ];
}

/** The cost of the writes alone, where instances run anyway. */
export function computeCostOfWrites(shapeName: ShapeName, load: Load): CostOfWrites {
  const shape = SHAPES[shapeName];
  const { writes, itemBytes } = load;
  return {
    messages: computePubsubCost(load, itemBytes + shape.attributes),
    retained:
      ((writes * (itemBytes + shape.attributes)) / GIB) *
      ((shape.retainedDays * 24) / HOURS_A_MONTH) *
      PRICES.pubsubRetainedGibMonth,
    instances: sum(
      computeProcessMicros(shapeName).map((micros) => computeInstanceCost(writes, micros, 0)),
    ),
    logs: ((writes * shape.logs) / GIB) * PRICES.loggingGib,
    traces: ((writes * shape.spans) / MILLION) * PRICES.millionSpans,
    disk: ((writes * (itemBytes + shape.row)) / GIB) * PRICES.databaseGibMonth,
  };
}

/** The cost of a month with that load. */
export function computeCostOfMonth(shapeName: ShapeName, load: Load): CostOfMonth {
  const { isWatched } = SHAPES[shapeName];
  const { instances: _, ...others } = computeCostOfWrites(shapeName, load);
  const [apiMicros, subscriberMicros] = computeProcessMicros(shapeName);
  // The uptime check keeps one instance of the API running all month.
  const apiHours = isWatched ? HOURS_A_MONTH : load.hours;
  const watching = isWatched ? listWatchingCost(true) : [];
  return {
    ...computeDatabaseCost((computeRate(load) * FIGURES[shapeName].pushMysqlMicros) / MILLION),
    watching: sum([listSecretsCost(), ...watching].map(({ dollars }) => dollars)),
    instances:
      computeInstanceCost(load.writes, apiMicros, apiHours) +
      computeInstanceCost(load.writes, subscriberMicros, load.hours),
    writes: sum(Object.values(others)),
  };
}

/** The sum of numbers. */
export function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}

/** The API's and the subscriber's processor time for one write. */
function computeProcessMicros(shapeName: ShapeName): [number, number] {
  const { postMicros, pushMicros } = FIGURES[shapeName];
  return [postMicros, pushMicros];
}

function computeRate({ writes, hours }: Load): number {
  return writes / hours / 3_600;
}

function computePubsubCost(load: Load, messageBytes: number): number {
  const batch = Math.min(MAX_PUBLISH_BATCH, Math.max(1, computeRate(load) * PUBLISH_SECONDS));
  const published = Math.max(messageBytes, PUBSUB_REQUEST_BYTES / batch);
  const pushed = Math.max(messageBytes, PUBSUB_REQUEST_BYTES);
  return ((load.writes * (published + pushed)) / GIB / 1_024) * PRICES.pubsubTib;
}

/** F2 is paid for while it runs, busy or not; more instances run where one is not enough. */
function computeInstanceCost(writes: number, micros: number, runningHours: number): number {
  const busyHours = (writes * micros * F2_SLOWDOWN) / MILLION / 3_600;
  return Math.max(runningHours, busyHours / TARGET_UTILISATION) * PRICES.instanceHour;
}

/** The smallest tier with enough cores, or several of the largest, each with a share of the ids. */
function computeDatabaseCost(busyCores: number): { database: number; databaseCores: number } {
  const shards = Math.max(1, Math.ceil(busyCores / LARGEST_DATABASE_CORES / TARGET_UTILISATION));
  const tier = chooseTier(busyCores / shards) ?? "";
  const dollars = sum(listDatabaseCost(tier).map((line) => line.dollars));
  return { database: shards * dollars, databaseCores: shards * Number(tier.split("-")[2]) };
}

function listDatabaseCost(tier: string): Line[] {
  const basis = `${DATABASE_GIB} GiB`;
  return [
    {
      name: `Cloud SQL ${tier}`,
      basis: `${HOURS_A_MONTH} h`,
      dollars: findHourlyPrice(tier) * HOURS_A_MONTH,
    },
    { name: "its disk", basis, dollars: DATABASE_GIB * PRICES.databaseGibMonth },
    { name: "its backups", basis, dollars: DATABASE_GIB * PRICES.backupGibMonth },
  ];
}

function listSecretsCost(): Line {
  return {
    name: "Secret Manager",
    basis: `${SECRETS} versions`,
    dollars: SECRETS * PRICES.secretVersionMonth,
  };
}

function listWatchingCost(isWatched: boolean): Line[] {
  const { everyMinuteIfWatched, everyFiveMinutes } = ALERT_CONDITIONS;
  const everyMinute = ALERT_CONDITIONS.everyMinute + (isWatched ? everyMinuteIfWatched : 0);
  const conditions = everyMinute + everyFiveMinutes;
  const series = (everyMinute + everyFiveMinutes / 5) * MINUTES_A_MONTH;
  const alerts = {
    name: "Cloud Monitoring, alerts",
    basis: `${conditions} conditions`,
    dollars:
      conditions * PRICES.alertConditionMonth + (series / MILLION) * PRICES.millionAlertSeries,
  };
  if (!isWatched) return [alerts];
  const millions = (SAMPLES_A_MINUTE * MINUTES_A_MONTH) / MILLION;
  return [
    alerts,
    {
      name: "Cloud Monitoring, metrics of the API",
      basis: `${millions.toFixed(1)} million samples`,
      dollars: millions * PRICES.millionSamples,
    },
  ];
}
