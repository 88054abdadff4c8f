import { EVIDENCE, SLO, SLOW_RATIO } from "./slo.ts";
import type { Stage } from "./traffic.ts";

/** What the logs tell of a version since a step began. */
export type Figures = {
  /** Requests that it answered, those of the platform itself left out. */
  requests: number;
  /** Of these, answers of 5xx. */
  errors: number;
  /** How long the answers took, without the requests that had to start an instance. */
  answersMs: readonly number[];
  /** Lags of the writes that its subscriber settled. */
  lagsMs: readonly number[];
  /** Messages that its subscriber gave up. */
  dead: number;
};

export type Verdict = {
  /** One sentence for each SLO that is broken. */
  breaches: string[];
  /** What is still too little to pass; empty where there is enough. */
  wanting: string[];
  /** Each figure beside its limit, and what it all rests on. */
  lines: string[];
};

/**
 * Judges figures against the SLOs. A ratio is taken of {@link EVIDENCE} requests where there are
 * fewer, so that a single failure among the first three condemns nobody, and an early look may
 * still stop what is plainly broken. A p99 is judged as the one in a hundred that may be slower.
 */
export function judge(figures: Figures, stage: Stage, answerLimitMs = SLO.answerP99Ms): Verdict {
  const { requests, errors, answersMs, lagsMs, dead } = figures;
  const { service, percent } = stage;
  const ratioLimit = SLO.errorRatio[service];
  const breaches: string[] = [];
  const lines: string[] = [];
  // The subscriber's pushes last as long as its transactions: their lag tells, not their answers.
  const answers = service === "default" ? answersMs : [];
  const shownRatio = requests === 0 ? "-" : `${((100 * errors) / requests).toFixed(2)} %`;
  check(
    `error ratio ${shownRatio} (${errors} of ${requests} requests; SLO ${100 * ratioLimit} %)`,
    errors > ratioLimit * Math.max(requests, EVIDENCE.requests),
  );
  if (service === "default")
    check(
      `answer p99 ${showP99(answers)} (SLO ${answerLimitMs} ms)`,
      isTooOften(answers, answerLimitMs),
    );
  check(`lag p99 ${showP99(lagsMs)} (SLO ${SLO.lagP99Ms} ms)`, isTooOften(lagsMs, SLO.lagP99Ms));
  check(`dead messages ${dead} (SLO ${SLO.deadMessages})`, dead > SLO.deadMessages);
  lines.push(`rests on ${requests} requests and ${lagsMs.length} settled writes`);
  return { breaches, wanting: findWanting(), lines };

  function check(line: string, isBroken: boolean): void {
    lines.push(`${isBroken ? "BREACH " : "ok     "}${line}`);
    if (isBroken) breaches.push(line);
  }

  function findWanting(): string[] {
    // Our own requests reach the API's version by its address; pushes come as traffic is split.
    const needed =
      service === "default"
        ? { requests: EVIDENCE.requests, settled: EVIDENCE.settled }
        : { requests: 0, settled: Math.floor((EVIDENCE.settled * percent) / 100) };
    const wanting: string[] = [];
    if (requests < needed.requests) wanting.push(`${requests} of ${needed.requests} requests`);
    if (lagsMs.length < needed.settled)
      wanting.push(`${lagsMs.length} of ${needed.settled} settled writes`);
    return wanting;
  }
}

/** Whether more than one in a hundred is over the limit. */
function isTooOften(values: readonly number[], limit: number): boolean {
  const over = values.filter((value) => value > limit).length;
  return over > SLOW_RATIO * Math.max(values.length, EVIDENCE.requests);
}

function showP99(values: readonly number[]): string {
  const p99 = percentile99(values);
  return p99 === undefined ? "-" : `${Math.round(p99)} ms`;
}

/** The value that one in a hundred may be over (nearest rank). */
export function percentile99(values: readonly number[]): number | undefined {
  const sorted = values.toSorted((one, other) => one - other);
  return sorted[Math.ceil(0.99 * sorted.length) - 1];
}
