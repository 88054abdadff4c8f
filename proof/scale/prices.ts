/** The day on which all of these were looked up, or were last known. */
export const PRICED_ON = "2026-11-21";

/**
 * Google's list prices in US dollars for us-central1, without free tiers except where a name says
 * so. They change, and other regions cost up to 40 % more: look them up before you rely on them.
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
  /** A Cloud Run worker pool, always on: per second of a core, and of a GiB. */
  poolCoreSecond: 0.000018,
  poolGibSecond: 0.000002,
  /** Cloud Run functions, paid by request: a million of them, a core's and a GiB's second. */
  millionInvocations: 0.4,
  functionCoreSecond: 0.000024,
  functionGibSecond: 0.0000025,
  /** API Gateway, a million calls, after 2 million a month. */
  millionGatewayCalls: 3,
  /** Managed Service for Apache Kafka: a unit is 0.6 for a core and 0.1 for a GiB. */
  kafkaUnitHour: 0.09,
  kafkaUnitsOfCore: 0.6,
  kafkaUnitsOfGib: 0.1,
  /** Its brokers' disks; taken to cost what Cloud SQL's do. */
  kafkaGibMonth: 0.17,
  /** A GiB from one zone to another. */
  zoneGib: 0.01,
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

export const HOURS_A_MONTH = 730;
export const GIB = 2 ** 30;
export const MILLION = 1_000_000;

/** An hour of MySQL. Tiers are shared-core names, or `db-custom-<cores>-<MiB>`. */
export function databaseHour(tier: string): number {
  const [, cores, mib] = /^db-custom-(\d+)-(\d+)$/.exec(tier) ?? [];
  if (cores && mib)
    return Number(cores) * PRICES.coreHour + (Number(mib) / 1_024) * PRICES.memoryGibHour;
  const hour = PRICES.sharedHour[tier];
  if (hour === undefined) throw new Error(`There is no price for the tier ${tier}.`);
  return hour;
}
