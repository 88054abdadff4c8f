import { EVIDENCE, SLO, SLOW_RATIO } from "./slo.ts";
import type { Stage } from "./traffic.ts";

/** The figures of a version since the start of a step, from the logs. */
export type Figures = {
  /** Requests of clients. */
  requests: number;
  /** Those answered 5xx. */
  errors: number;
  /** Latencies, without the requests that started an instance. */
  answersMs: readonly number[];
  /** Lags of the writes that its subscriber settled. */
  lagsMs: readonly number[];
  /** Messages that its subscriber recorded as dead. */
  dead: number;
};

export type Verdict = {
  /** A sentence for each SLO that is not met. */
  breaches: string[];
  /** The evidence that is missing to pass; empty if there is enough. */
  missing: string[];
  /** Each figure beside its limit, and the number of requests and writes. */
  lines: string[];
};

/**
 * Compares figures with the SLOs. With fewer requests than {@link EVIDENCE}, a ratio is computed as
 * if there were that many: one failure among the first three requests is no breach, but many are. A
 * p99 is judged by the share of slower values, which may be 1 %.
 */
export function judge(figures: Figures, stage: Stage, answerLimitMs = SLO.answerP99Ms): Verdict {
  const { requests, errors, answersMs, lagsMs, dead } = figures;
  const { service, percent } = stage;
  const ratioLimit = SLO.errorRatio[service];
  const breaches: string[] = [];
  const lines: string[] = [];
  // A push takes as long as its transaction, so the subscriber is judged by lag instead.
  const answers = service === "default" ? answersMs : [];
  const shownRatio = requests === 0 ? "-" : `${((100 * errors) / requests).toFixed(2)} %`;
  check(
    `error ratio ${shownRatio} (${errors} of ${requests} requests; SLO ${100 * ratioLimit} %)`,
    errors > ratioLimit * Math.max(requests, EVIDENCE.requests),
  );
  if (service === "default")
    check(
      `answer p99 ${showP99(answers)} (SLO ${answerLimitMs} ms)`,
      exceedsP99(answers, answerLimitMs),
    );
  check(`lag p99 ${showP99(lagsMs)} (SLO ${SLO.lagP99Ms} ms)`, exceedsP99(lagsMs, SLO.lagP99Ms));
  check(`dead messages ${dead} (SLO ${SLO.deadMessages})`, dead > SLO.deadMessages);
  lines.push(`based on ${requests} requests and ${lagsMs.length} settled writes`);
  return { breaches, missing: findMissing(), lines };

  function check(line: string, isBroken: boolean): void {
    lines.push(`${isBroken ? "BREACH " : "ok     "}${line}`);
    if (isBroken) breaches.push(line);
  }

  function findMissing(): string[] {
    // The rollout can send requests to the API's version, but pushes follow the traffic split.
    const needed =
      service === "default"
        ? { requests: EVIDENCE.requests, settled: EVIDENCE.settled }
        : { requests: 0, settled: Math.floor((EVIDENCE.settled * percent) / 100) };
    const missing: string[] = [];
    if (requests < needed.requests) missing.push(`${requests} of ${needed.requests} requests`);
    if (lagsMs.length < needed.settled)
      missing.push(`${lagsMs.length} of ${needed.settled} settled writes`);
    return missing;
  }
}

/** Whether more than one in a hundred exceeds the limit. */
function exceedsP99(values: readonly number[], limit: number): boolean {
  const over = values.filter((value) => value > limit).length;
  return over > SLOW_RATIO * Math.max(values.length, EVIDENCE.requests);
}

function showP99(values: readonly number[]): string {
  const p99 = percentile99(values);
  return p99 === undefined ? "-" : `${Math.round(p99)} ms`;
}

/** The 99th percentile by nearest rank. */
export function percentile99(values: readonly number[]): number | undefined {
  const sorted = values.toSorted((one, other) => one - other);
  return sorted[Math.ceil(0.99 * sorted.length) - 1];
}
