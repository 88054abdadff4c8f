import type { ServiceName } from "./versions.ts";

/** What a version must keep to, at every step. The verdict prints each with what was found. */
export const SLO = {
  /** Answers of 5xx among all. A step sees hundreds of requests: one in a hundred is the least
   * that it can tell from chance. */
  errorRatio: {
    default: 0.01,
    /** Its 503 also says "deliver it again", as to a put that waits for the version it names. */
    subscriber: 0.05,
  } satisfies Record<ServiceName, number>,
  /** At most one answer in a hundred may take longer. A write waits for one publish (some tens of
   * milliseconds), a read for one statement; a second is what people still call an answer. */
  answerP99Ms: 1_000,
  /** At most one write in a hundred may be settled later. A push takes well under a second; this
   * lets a message be delivered again once. */
  lagP99Ms: 10_000,
  /** Each is an accepted write that has no effect until a person replays it: a good version makes
   * none, because what cannot be settled is refused at the door. */
  deadMessages: 0,
};

/** The p99 above allows one in a hundred. */
export const SLOW_RATIO = 0.01;

/**
 * Requests with `Prefer: wait` are answered late by design, and the request log does not tell
 * them apart. So the running version's own p99 of the last hour, and half of it again, is
 * allowed where that is more than the SLO.
 */
export const BASELINE = { hours: 1, factor: 1.5 };

/** What a verdict rests on at least. A step with less is not passed. */
export const EVIDENCE = {
  /** One failure in fewer requests is more than one in a hundred, and tells nothing. */
  requests: 100,
  /** Settled writes; of the subscriber's steps below 100 %, that part of them. */
  settled: 20,
  /** Newest log lines read for one verdict: seconds of traffic at worst, and a few megabytes. */
  requestLines: 2_000,
  settledLines: 200,
  deadLines: 20,
  /** Looks for lines that Cloud Logging has not shown yet, after the hold. */
  extraLooks: 8,
};

/** The program's own requests, where clients send too few. */
export const SYNTHETIC = {
  /** A round is a POST, its receipt, a GET and a DELETE: twice the evidence needed. */
  rounds: 50,
  /** Like five clients: no load test, and done in seconds. */
  concurrency: 5,
  /** One may be lost on the way, which is not the version's fault. */
  toleratedFailures: 1,
  /** A write is settled by then; three times the lag that one in a hundred may have. */
  settledWithinMs: 30_000,
  /** Between two looks at a receipt, shorter at first. */
  lookMs: { first: 50, max: 1_000 },
};

/** Putting traffic back is tried so often, with the pause between looks before each. */
export const ROLLBACK_ATTEMPTS = 5;

/** A new version's first instance starts, and finds its tables, within this. */
export const READY_WITHIN_MS = 60_000;
/** The longest that the API itself waits for a write, in seconds (WAIT_SECONDS). */
export const SMOKE_WAIT_SECONDS = 30;
/** No answer takes longer than the longest wait and a start. */
export const REQUEST_TIMEOUT_MS = 60_000;
