/** The day on which these prices were looked up. */
export const PRICED_ON = "2026-11-21";

/**
 * Google's list prices in US dollars for us-central1. Free tiers are left out, except where a name
 * says so. Prices change, and other regions cost up to 40 % more.
 */
export const PRICES = {
  /** Cloud SQL Enterprise, per hour: shared cores by tier, others by core and GiB of memory. */
  sharedHour: { "db-f1-micro": 0.0105, "db-g1-small": 0.035 } as Record<string, number>,
  coreHour: 0.0413,
  memoryGibHour: 0.007,
  databaseGibMonth: 0.17,
  backupGibMonth: 0.08,
  /** App Engine standard, per hour of class F2. */
  instanceHour: 0.1,
  /** Pub/Sub, per TiB published or delivered. */
  pubsubTib: 40,
  pubsubFreeGib: 10,
  /** Messages that a topic retains, per GiB and month. */
  pubsubRetainedGibMonth: 0.27,
  /** Cloud Logging, per GiB ingested. */
  loggingGib: 0.5,
  loggingFreeGib: 50,
  /** Secret Manager, per active version and month. */
  secretVersionMonth: 0.06,
  /** Cloud Monitoring, per alert condition and month, and per million returned series. */
  alertConditionMonth: 0.1,
  millionAlertSeries: 0.35,
  /** Cloud Monitoring, per million samples of metrics over OTLP. */
  millionSamples: 0.06,
  /** Cloud Trace, per million spans. */
  millionSpans: 0.2,
  freeMillionSpans: 2.5,
};

export const HOURS_A_MONTH = 730;
export const GIB = 2 ** 30;
export const MILLION = 1_000_000;

/** The price of a Cloud SQL tier per hour: a shared-core name, or `db-custom-<cores>-<MiB>`. */
export function findHourlyPrice(tier: string): number {
  const [, cores, mib] = /^db-custom-(\d+)-(\d+)$/.exec(tier) ?? [];
  if (cores && mib)
    return Number(cores) * PRICES.coreHour + (Number(mib) / 1_024) * PRICES.memoryGibHour;
  const hour = PRICES.sharedHour[tier];
  if (hour === undefined) throw new Error(`There is no price for the tier ${tier}.`);
  return hour;
}
