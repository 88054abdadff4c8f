import type { ServiceName } from "./versions.ts";

/** The objectives of a version at every step. The verdict prints each beside its figure. */
export const SLO = {
  /** The share of answers with 5xx. A step has hundreds of requests, so a smaller share than one in
   * a hundred could not be told from chance. */
  errorRatio: {
    default: 0.01,
    /** The subscriber also answers 503 to have a message redelivered. */
    subscriber: 0.05,
  } satisfies Record<ServiceName, number>,
  /** One answer in a hundred may take longer. A write waits for one publish and a read for one
   * statement, which take some tens of milliseconds each. */
  answerP99Ms: 1_000,
  /** One write in a hundred may settle later. A push takes well under a second, so this allows one
   * redelivery. */
  lagP99Ms: 10_000,
  /** A dead message is an accepted write without effect. The API refuses what cannot settle, so a
   * good version has none. */
  deadMessages: 0,
};

/** The share of values above a p99. */
export const SLOW_RATIO = 0.01;

/**
 * Requests with `Prefer: wait` are answered late by design, and the request log does not show which
 * they are. So the limit is raised to one and a half times the running version's p99 of the last
 * hour if that is more than the SLO.
 */
export const BASELINE = { hours: 1, factor: 1.5 };

/** The evidence that a step needs to pass. */
export const EVIDENCE = {
  /** With fewer requests, a single failure would exceed one in a hundred. */
  requests: 100,
  /** Settled writes. A step of the subscriber below 100 % needs that part of them. */
  settled: 20,
  /** The newest log lines to read for a verdict: a few megabytes. */
  requestLines: 2_000,
  settledLines: 200,
  deadLines: 20,
  /** Further reads after the hold, because Cloud Logging shows lines late. */
  extraLooks: 8,
};

/** The requests that the rollout sends if clients send too few. */
export const SYNTHETIC = {
  /** A round is a POST, its receipt, a GET and a DELETE. Twice the evidence needed. */
  rounds: 50,
  /** As five clients would, which takes seconds and is no load test. */
  concurrency: 5,
  /** One may fail for reasons outside of the version. */
  toleratedFailures: 1,
  /** Three times the lag of the SLO. */
  settledWithinMs: 30_000,
  /** The delay between two reads of a receipt. */
  lookMs: { first: 50, max: 1_000 },
};

/** Attempts to move the traffic back, with `--pause` between them. */
export const ROLLBACK_ATTEMPTS = 5;

/** How long a version may take to become ready: its first instance starts, and the address of a new
 * service becomes known. */
export const READY_WITHIN_MS = 180_000;
/** The maximum that the API waits for a write (WAIT_SECONDS). */
export const SMOKE_WAIT_SECONDS = 30;
/** Longer than the longest wait and the start of an instance. */
export const REQUEST_TIMEOUT_MS = 60_000;
