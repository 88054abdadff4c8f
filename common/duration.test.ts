import assert from "node:assert/strict";
import { test } from "node:test";
import { parseDuration } from "./duration.ts";

test("a duration of ISO 8601 is parsed to milliseconds", () => {
  const durations: Record<string, number> = {
    PT1S: 1_000,
    PT5M: 300_000,
    PT90M: 5_400_000,
    PT1H30M: 5_400_000,
    P1D: 86_400_000,
    P1DT12H: 129_600_000,
    PT0S: 0,
  };
  for (const [text, ms] of Object.entries(durations)) assert.equal(parseDuration(text), ms, text);
});

test("what is no duration, or one of no fixed length, is refused", () => {
  for (const text of [
    "",
    "-PT5M",
    "P",
    "PT",
    "P1DT",
    "5M",
    "PT5",
    "P1M",
    "P1Y",
    "PT-5M",
    "pt5m",
    "PT1.5S",
    "PT5M ",
  ])
    assert.equal(parseDuration(text), undefined, text);
});
