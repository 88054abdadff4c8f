/**
 * The objectives and the thresholds of alerts: every number of the stack `observability`.
 * docs/operations.md gives the reason of each, and a test compares it with these numbers.
 */

/** Four whole weeks, so that every period has the same number of each weekday. */
export const PERIOD_DAYS = 28;

export const OBJECTIVES = {
  /**
   * The share of write requests not answered 5xx. Google's SLAs are 99.95 % for App Engine and for
   * Pub/Sub each, and a write needs both, so 99.9 % is the most that can be promised.
   */
  availability: { goal: 0.999 },
  /** The share of answers within a second, as deploy/rollout/slo.ts requires of every version. */
  answers: { goal: 0.99, withinSeconds: 1 },
  /**
   * The share of settled writes that settled within this time. A push takes well under a second and
   * the start of an instance three. A redelivered message is late, and one in a hundred may be.
   */
  freshness: { goal: 0.99, withinSeconds: 5 },
  /**
   * The share of hourly audits that found every accepted write settled. Google's maximum; of the 672
   * audits of a period it allows 0.07, so a single failed audit misses the objective.
   */
  durability: { goal: 0.9999 },
} as const;

/** How many times faster than sustainable the error budget is spent, in both windows. */
export type BurnRate = { rate: number; long: string; short: string };

/** The pairs of Google's SRE workbook: 2, 5 and 10 % of a month's budget are spent at that rate. */
export const BURN_RATES = {
  page: [
    { rate: 14.4, long: "1h", short: "5m" },
    { rate: 6, long: "6h", short: "30m" },
  ],
  ticket: [{ rate: 1, long: "3d", short: "6h" }],
} as const satisfies Record<string, readonly BurnRate[]>;

/** With little traffic one failure is a large share; fewer failures in the long window do not alert. */
export const LEAST_BAD_EVENTS = 5;

export const THRESHOLDS = {
  /** The burn rate counts settled writes only. This counts those that do not settle. */
  unsettledSeconds: 60,
  /** The longest delay between two deliveries of a message (RETRY of service/pubsub.ts). */
  backlogSeconds: 600,
  /** The share of the largest size that the disk grows to. When it is full, MySQL stops. */
  diskShare: 0.8,
  /** The share of the current size. Cloud SQL grows the disk before, so this means that it does not. */
  diskNowShare: 0.95,
  /** Audits run every hour, and GitHub may delay or skip two runs. */
  auditSilence: "3h",
  /**
   * Starts of instances in an hour; a line in the chart, and no alert. App Engine keeps an idle instance
   * for a quarter of an hour, so the 15 of both services, each needed again as soon as it has ended,
   * start 60 times. More means that they end while they are needed: for their memory, or by a crash.
   */
  startsAnHour: 60,
  /** The failing regions that alert. One alone is more often a problem of that region. */
  failingRegions: 2,
} as const;

/** As long as receipts are kept, or the audit would miss writes. */
export const LOG_RETENTION_DAYS = 30;
