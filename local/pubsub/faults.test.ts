import assert from "node:assert/strict";
import test from "node:test";
import { CHAOS, FAULTS, type Fault, Faults } from "./faults.ts";

const getVerdicts = (faults: Faults, fault: Fault, count = 100) =>
  Array.from({ length: count }, () => faults.hits(fault));

test("no fault happens that was not requested", () => {
  const faults = new Faults(1);
  for (const fault of Object.keys(FAULTS) as Fault[])
    assert.ok(getVerdicts(faults, fault).every((hit) => !hit));
  assert.deepEqual(faults.counts, {});
});

test("the same seed decides the same, whatever the other faults do", () => {
  const [one, other, third] = [new Faults(7), new Faults(7), new Faults(8)];
  for (const faults of [one, other, third]) faults.set({ duplicate: 0.5, dropAck: 0.5 });
  getVerdicts(other, "dropAck");
  other.amount("duplicate", 1);
  const verdicts = getVerdicts(one, "duplicate");
  assert.deepEqual(getVerdicts(other, "duplicate"), verdicts);
  assert.notDeepEqual(getVerdicts(third, "duplicate"), verdicts);
});

test("a fault happens about as often as its rate says, and is counted", () => {
  const faults = new Faults(3);
  faults.set({ cut: 0.1, hang: 1 });
  const hits = getVerdicts(faults, "cut", 10_000).filter(Boolean).length;
  assert.ok(hits > 850 && hits < 1_150, String(hits));
  assert.ok(getVerdicts(faults, "hang").every(Boolean));
  assert.deepEqual(faults.counts, { cut: hits, hang: 100 });
});

test("rates are set one by one, and ended together", () => {
  const faults = new Faults();
  faults.set(CHAOS);
  faults.set({ cut: 0 });
  assert.deepEqual(faults.rates, { ...CHAOS, cut: 0 });
  faults.clear();
  assert.deepEqual(faults.rates, {});
});

test("a fault that there is not, and a rate that is none, are refused", () => {
  const faults = new Faults();
  const wrong: object[] = [{ nonsense: 1 }, { cut: 2 }, { cut: -1 }, { cut: Number.NaN }];
  for (const rates of wrong) assert.throws(() => faults.set(rates), RangeError);
  assert.deepEqual(faults.rates, {});
});
