import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type Figures, judge, percentile99 } from "./judge.ts";
import { EVIDENCE, SLO } from "./slo.ts";
import type { Stage } from "./traffic.ts";

const CANARY: Stage = { service: "default", percent: 10 };
const PUSHES: Stage = { service: "subscriber", percent: 100 };

const times = (count: number, value: number) => Array.from({ length: count }, () => value);
const figures = (more: Partial<Figures> = {}): Figures => ({
  requests: 1_000,
  errors: 0,
  answersMs: times(1_000, 50),
  lagsMs: times(200, 80),
  dead: 0,
  ...more,
});
const findBreaches = (more: Partial<Figures>, stage = CANARY) =>
  judge(figures(more), stage).breaches.map((breach) => breach.split(" ").slice(0, 2).join(" "));

describe("the judge", () => {
  it("passes good figures, and prints each beside its SLO", () => {
    assert.deepEqual(judge(figures(), CANARY), {
      breaches: [],
      missing: [],
      lines: [
        "ok     error ratio 0.00 % (0 of 1000 requests; SLO 1 %)",
        "ok     answer p99 50 ms (SLO 1000 ms)",
        "ok     lag p99 80 ms (SLO 10000 ms)",
        "ok     dead messages 0 (SLO 0)",
        "based on 1000 requests and 200 settled writes",
      ],
    });
  });

  it("accepts each figure up to its limit, and reports a breach of it alone above", () => {
    assert.deepEqual(findBreaches({ errors: 10 }), []);
    assert.deepEqual(findBreaches({ errors: 11 }), ["error ratio"]);
    const answers = (slow: number) => [...times(1_000 - slow, 50), ...times(slow, 1_001)];
    assert.deepEqual(findBreaches({ answersMs: answers(10) }), []);
    assert.deepEqual(findBreaches({ answersMs: answers(11) }), ["answer p99"]);
    const lags = (late: number) => [...times(200 - late, 80), ...times(late, 10_001)];
    assert.deepEqual(findBreaches({ lagsMs: lags(2) }), []);
    assert.deepEqual(findBreaches({ lagsMs: lags(3) }), ["lag p99"]);
    assert.deepEqual(findBreaches({ dead: 1 }), ["dead messages"]);
  });

  it("accepts one failure among few requests, but not several", () => {
    const few = { requests: 3, answersMs: [50, 50, 50], lagsMs: [80] };
    assert.deepEqual(findBreaches({ ...few, errors: 1 }), []);
    assert.deepEqual(findBreaches({ ...few, errors: 2 }), ["error ratio"]);
    assert.deepEqual(findBreaches({ ...few, answersMs: [50, 50, 9_000] }), []);
    assert.deepEqual(findBreaches({ ...few, answersMs: [50, 9_000, 9_000] }), ["answer p99"]);
    assert.deepEqual(findBreaches({ ...few, lagsMs: [90_000] }), []);
    assert.deepEqual(findBreaches({ ...few, lagsMs: [90_000, 90_000] }), ["lag p99"]);
  });

  it("requires enough requests and settled writes, in proportion to the pushes", () => {
    const findMissing = (requests: number, settled: number, stage: Stage) =>
      judge(figures({ requests, lagsMs: times(settled, 80) }), stage).missing;
    assert.deepEqual(findMissing(EVIDENCE.requests, EVIDENCE.settled, CANARY), []);
    assert.deepEqual(findMissing(EVIDENCE.requests - 1, EVIDENCE.settled - 1, CANARY), [
      "99 of 100 requests",
      "19 of 20 settled writes",
    ]);
    assert.deepEqual(findMissing(0, EVIDENCE.settled, PUSHES), []);
    assert.deepEqual(findMissing(0, EVIDENCE.settled - 1, PUSHES), ["19 of 20 settled writes"]);
    assert.deepEqual(findMissing(0, 2, { ...PUSHES, percent: 10 }), []);
    assert.deepEqual(findMissing(0, 1, { ...PUSHES, percent: 10 }), ["1 of 2 settled writes"]);
    assert.deepEqual(findMissing(0, 0, { ...PUSHES, percent: 1 }), []);
  });

  it("allows the subscriber redeliveries, and judges its lag instead of its answers", () => {
    assert.deepEqual(findBreaches({ errors: 50 }, PUSHES), []);
    assert.deepEqual(findBreaches({ errors: 51 }, PUSHES), ["error ratio"]);
    assert.deepEqual(findBreaches({ answersMs: times(1_000, 5_000) }, PUSHES), []);
    assert.deepEqual(findBreaches({ dead: 1 }, PUSHES), ["dead messages"]);
  });

  it("allows answers as slow as those of the running version", () => {
    const slow = figures({ answersMs: times(1_000, 3_000) });
    assert.equal(judge(slow, CANARY, 3_000).breaches.length, 0);
    assert.equal(judge(slow, CANARY, 2_999).breaches.length, 1);
  });

  it("computes a p99 by nearest rank", () => {
    assert.equal(percentile99([]), undefined);
    assert.equal(percentile99([7]), 7);
    const upTo = (count: number) => Array.from({ length: count }, (_, index) => count - index);
    assert.equal(percentile99(upTo(100)), 99);
    assert.equal(percentile99(upTo(101)), 100);
    assert.equal(percentile99(upTo(1_000)), 990);
  });

  it("has limits that are consistent", () => {
    assert.ok(SLO.errorRatio.default * EVIDENCE.requests >= 1, "one failure may be chance");
    assert.ok(EVIDENCE.requests <= EVIDENCE.requestLines);
    assert.ok(EVIDENCE.settled <= EVIDENCE.settledLines);
  });
});
