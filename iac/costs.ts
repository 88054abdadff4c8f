/**
 * `npm run costs`: what a month costs at rest, and a million writes, as a table in Markdown.
 *
 * Prices are Google's list prices in US dollars for us-central1, as known on 2026-11-21, without
 * free tiers except where a name says so. They change, and other regions cost up to 40 % more:
 * look them up before you rely on them. Sizes are measured by test/costs.test.ts.
 */
export const PRICES = {
  /** Cloud SQL Enterprise, per hour: shared cores by tier, else by core and by GiB of memory. */
  sharedHour: { "db-f1-micro": 0.0105, "db-g1-small": 0.035 } as Record<string, number>,
  coreHour: 0.0413,
  memoryGibHour: 0.007,
  databaseGibMonth: 0.17,
  backupGibMonth: 0.08,
  /** App Engine standard, per hour of class F2, which counts as two of F1. */
  instanceHour: 0.1,
  /** Pub/Sub, per TiB published or delivered, after 10 GiB a month. */
  pubsubTib: 40,
  pubsubFreeGib: 10,
  /** Cloud Logging, per GiB ingested, after 50 GiB a month. */
  loggingGib: 0.5,
  loggingFreeGib: 50,
  /** Secret Manager, per active version and month. */
  secretVersionMonth: 0.06,
  /** Cloud Monitoring: a condition and month, and a million series that conditions return. */
  alertConditionMonth: 0.1,
  millionAlertSeries: 0.35,
  /** A million samples of metrics by OTLP, as of Prometheus. */
  millionSamples: 0.06,
  /** Cloud Trace, a million spans, after 2.5 million a month. */
  millionSpans: 0.2,
  freeMillionSpans: 2.5,
};

/** Bytes of one tema with a short nombre, on each part of its way. */
export const SIZES = {
  message: 350,
  row: 500,
  logLines: 1650,
};

/** The conditions of all alerts by how often they are evaluated; each returns about one series. */
export const ALERT_CONDITIONS = { everyMinute: 11, everyMinuteIfWatched: 2, everyFiveMinutes: 5 };
/** Of one awake process, with a dozen kinds of requests: assumed, pushed once a minute. */
const SAMPLES_A_PUSH = 150;
/** Of a write, from the request to the commit, and how many of a hundred traces are kept. */
const SPANS_A_WRITE = 6;
const TRACES_KEPT = 0.05;
/** What Pub/Sub counts at least for a request; a push delivers one message a request. */
const PUBSUB_REQUEST_BYTES = 1_000;
/** Messages in one publish request under a steady load. */
const PUBLISH_BATCH = 10;
const HOURS_A_MONTH = 730;
const MINUTES_A_MONTH = HOURS_A_MONTH * 60;
const GIB = 2 ** 30;
const MILLION = 1_000_000;
/** Writes that one F2 instance is taken to accept, or settle, in a second. Not measured there. */
const WRITES_A_SECOND = 200;

type Line = { what: string; basis: string; dollars: number };

/**
 * A month with no traffic. Both services scale to zero, but whoever is asked every minute whether it
 * is ready has an instance of the API that never sleeps.
 */
export function costAtRest(options: {
  tier: string;
  databaseGib: number;
  secrets: number;
  isWatched: boolean;
}): Line[] {
  const { tier, databaseGib, secrets } = options;
  const hour = databaseHour(tier);
  return [
    { what: `Cloud SQL ${tier}`, basis: `${HOURS_A_MONTH} h`, dollars: hour * HOURS_A_MONTH },
    {
      what: "its disk",
      basis: `${databaseGib} GiB`,
      dollars: databaseGib * PRICES.databaseGibMonth,
    },
    {
      what: "its backups",
      basis: `${databaseGib} GiB`,
      dollars: databaseGib * PRICES.backupGibMonth,
    },
    {
      what: "Secret Manager",
      basis: `${secrets} versions`,
      dollars: secrets * PRICES.secretVersionMonth,
    },
    ...costOfWatching(options.isWatched),
    { what: "App Engine, Pub/Sub, Cloud Logging", basis: "no traffic", dollars: 0 },
  ];
}

function costOfWatching(isWatched: boolean): Line[] {
  const { everyMinuteIfWatched, everyFiveMinutes } = ALERT_CONDITIONS;
  const everyMinute = ALERT_CONDITIONS.everyMinute + (isWatched ? everyMinuteIfWatched : 0);
  const conditions = everyMinute + everyFiveMinutes;
  const series = (everyMinute + everyFiveMinutes / 5) * MINUTES_A_MONTH;
  const alerts = {
    what: "Cloud Monitoring, alerts",
    basis: `${conditions} conditions`,
    dollars:
      conditions * PRICES.alertConditionMonth + (series / MILLION) * PRICES.millionAlertSeries,
  };
  if (!isWatched) return [alerts];
  const samples = SAMPLES_A_PUSH * MINUTES_A_MONTH;
  return [
    alerts,
    {
      what: "Cloud Monitoring, metrics of the API",
      basis: `${(samples / MILLION).toFixed(1)} million samples`,
      dollars: (samples / MILLION) * PRICES.millionSamples,
    },
    {
      what: "App Engine, F2, awake for the uptime check",
      basis: `${HOURS_A_MONTH} h`,
      dollars: HOURS_A_MONTH * PRICES.instanceHour,
    },
  ];
}

/** Tiers are shared-core names, or `db-custom-<cores>-<MiB>`. */
function databaseHour(tier: string): number {
  const [, cores, mib] = /^db-custom-(\d+)-(\d+)$/.exec(tier) ?? [];
  if (cores && mib)
    return Number(cores) * PRICES.coreHour + (Number(mib) / 1_024) * PRICES.memoryGibHour;
  const hour = PRICES.sharedHour[tier];
  if (hour === undefined) throw new Error(`There is no price for the tier ${tier}.`);
  return hour;
}

/** A million creates, each read once, as if nothing were free. */
export function costOfMillionWrites(): Line[] {
  const published = Math.max(SIZES.message, PUBSUB_REQUEST_BYTES / PUBLISH_BATCH) * MILLION;
  const delivered = Math.max(SIZES.message, PUBSUB_REQUEST_BYTES) * MILLION;
  const hours = (2 * MILLION) / WRITES_A_SECOND / 3_600;
  const gib = (bytes: number) => `${(bytes / GIB).toFixed(2)} GiB`;
  return [
    {
      what: "Pub/Sub, published and pushed",
      basis: gib(published + delivered),
      dollars: ((published + delivered) / GIB / 1_024) * PRICES.pubsubTib,
    },
    {
      what: "App Engine, both services, F2",
      basis: `${hours.toFixed(1)} h at ${WRITES_A_SECOND} writes/s`,
      dollars: hours * PRICES.instanceHour,
    },
    {
      what: "Cloud Logging",
      basis: gib(SIZES.logLines * MILLION),
      dollars: ((SIZES.logLines * MILLION) / GIB) * PRICES.loggingGib,
    },
    {
      what: "Cloud Trace, one trace in twenty",
      basis: `${(SPANS_A_WRITE * TRACES_KEPT).toFixed(1)} million spans`,
      dollars: SPANS_A_WRITE * TRACES_KEPT * PRICES.millionSpans,
    },
    {
      what: "disk, each month that they stay",
      basis: gib(SIZES.row * MILLION),
      dollars: ((SIZES.row * MILLION) / GIB) * PRICES.databaseGibMonth,
    },
  ];
}

/** Both tables, as docs/deploy.md has them. */
export function describeCosts(): string {
  const atRest = (tier: string, isWatched: boolean) =>
    costAtRest({ tier, databaseGib: 10, secrets: 2, isWatched });
  return [
    table("a month at rest, staging", atRest("db-f1-micro", false)),
    table("a month at rest, production", atRest("db-custom-1-3840", true)),
    table("a million writes", costOfMillionWrites()),
    `Free each month: ${PRICES.pubsubFreeGib} GiB of Pub/Sub, ${PRICES.loggingFreeGib} GiB of logs,` +
      ` ${PRICES.freeMillionSpans} million spans.`,
  ].join("\n\n");
}

function table(title: string, lines: readonly Line[]): string {
  const total = lines.reduce((sum, { dollars }) => sum + dollars, 0);
  return [
    `| ${title} | of | US$ |`,
    "|---|---|---:|",
    ...lines.map(({ what, basis, dollars }) => `| ${what} | ${basis} | ${dollars.toFixed(2)} |`),
    `| **in all** | | **${total.toFixed(2)}** |`,
  ].join("\n");
}

if (import.meta.main) process.stdout.write(`${describeCosts()}\n`);
