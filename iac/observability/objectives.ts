/**
 * What is promised, and where somebody is told: every number of the stack `observability`, in one
 * place. docs/operations.md argues for each, and a test holds it to these.
 */

/** Four whole weeks: every period has as many Mondays as the one before. */
export const PERIOD_DAYS = 28;

export const OBJECTIVES = {
  /**
   * Of the write requests, those not answered 5xx. Google promises 99.95 % for App Engine and for
   * Pub/Sub each, and a write needs both: 99.9 % is the most that can be promised on top of them.
   */
  availability: { goal: 0.999 },
  /** Of the answers, those within a second: what deploy/rollout/slo.ts holds every version to. */
  answers: { goal: 0.99, withinSeconds: 1 },
  /**
   * Of the settled writes, those settled within this. A push takes well under a second, the start of
   * an instance three; a message that must be delivered again is late, and one in a hundred may be.
   */
  freshness: { goal: 0.99, withinSeconds: 5 },
  /**
   * Of the hourly audits, those that found every accepted write settled. The most that Google lets
   * one ask for; of 672 audits it leaves 0.07, so that a single one breaks it.
   */
  durability: { goal: 0.9999 },
} as const;

/** A rate is how many times faster than sustainable the budget goes; both windows must show it. */
export type BurnRate = { rate: number; long: string; short: string };

/** The pairs of Google's SRE workbook. They spend 2, 5 and 10 % of a month's budget. */
export const BURN_RATES = {
  page: [
    { rate: 14.4, long: "1h", short: "5m" },
    { rate: 6, long: "6h", short: "30m" },
  ],
  ticket: [{ rate: 1, long: "3d", short: "6h" }],
} as const satisfies Record<string, readonly BurnRate[]>;

/** Where few ask, one failure is a large share; fewer than these in the long window wake nobody. */
export const LEAST_BAD_EVENTS = 5;

export const THRESHOLDS = {
  /** The burn rate sees only what was settled. Twelve times the objective sees what is not. */
  unsettledSeconds: 60,
  /** As old as the longest pause between two deliveries: older, and it is no pause. */
  backlogSeconds: 600,
  /** Of the largest disk: it grows by itself up to there, and beyond it MySQL stops. */
  diskShare: 0.8,
  /** Of today's disk: Cloud SQL makes it larger well before, so that this means it does not. */
  diskNowShare: 0.95,
  /** An audit an hour, and two of GitHub's may be late or left out. */
  auditSilence: "3h",
  /** Regions that must fail: one alone is more often that region than the API. */
  failingRegions: 2,
} as const;

/** The logs must reach as far back as receipts do, or the audit knows nothing of the writes. */
export const LOG_RETENTION_DAYS = 30;
