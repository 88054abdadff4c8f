import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { describe, it } from "node:test";
import {
  type CostOfMonth,
  computeCostOfMonth,
  computeCostOfWrites,
  type Load,
  sum,
} from "./cost-model.ts";
import { chooseTier, parseCores } from "./figures.ts";

const LOAD: Load = { writes: 1e6, itemBytes: 300, hours: 730 };
const SHAPES = ["constancia", "seed"] as const;
const computeTotal = ({ databaseCores: _, ...dollars }: CostOfMonth) => sum(Object.values(dollars));

describe("the cost of writes", () => {
  it("is ten times as much for ten times the writes at the same rate", () => {
    for (const shape of SHAPES) {
      const once = computeCostOfWrites(shape, { ...LOAD, hours: 70 });
      const tenfold = computeCostOfWrites(shape, { ...LOAD, writes: 10 * LOAD.writes, hours: 700 });
      for (const part of Object.keys(once) as (keyof typeof once)[])
        assert.ok(Math.abs(tenfold[part] - 10 * once[part]) < 1e-9, part);
    }
  });

  it("counts 1,000 bytes for a push and a single publish, and less in a batch", () => {
    const tib = 2 ** 40;
    const small = { ...LOAD, itemBytes: 1 };
    const { messages } = computeCostOfWrites("constancia", small);
    assert.ok(Math.abs(messages - (2e9 / tib) * 40) < 1e-9);
    const busy = computeCostOfWrites("constancia", { ...small, writes: 1e9 }).messages / 1_000;
    assert.ok(Math.abs(busy - ((1e9 + 276e6) / tib) * 40) < 1e-9);
  });

  it("is higher for larger items", () => {
    for (const shape of SHAPES) {
      const large = computeCostOfWrites(shape, { ...LOAD, itemBytes: 5_000 });
      const small = computeCostOfWrites(shape, LOAD);
      assert.ok(large.messages > small.messages && large.disk > small.disk);
    }
  });
});

describe("the cost of a month", () => {
  it("never falls while the writes or the hours rise", () => {
    for (const shape of SHAPES) {
      let before = 0;
      for (const writes of [1, 1e6, 1e9, 1e11, 1e12]) {
        const dollars = computeTotal(computeCostOfMonth(shape, { ...LOAD, writes }));
        assert.ok(dollars >= before, shape);
        before = dollars;
      }
      const short = computeCostOfMonth(shape, { ...LOAD, hours: 10 });
      assert.ok(computeTotal(short) <= computeTotal(computeCostOfMonth(shape, LOAD)), shape);
    }
  });

  it("includes an API that runs all month if it is watched", () => {
    const short = { ...LOAD, hours: 1 };
    assert.ok(computeCostOfMonth("constancia", short).instances > 73);
    assert.ok(computeCostOfMonth("seed", short).instances < 1);
  });

  it("needs fewer cores of MySQL than an INSERT for each write", () => {
    const busy = { ...LOAD, writes: 5e10 };
    const { databaseCores } = computeCostOfMonth("constancia", busy);
    assert.ok(databaseCores * 4 <= computeCostOfMonth("seed", busy).databaseCores);
  });
});

it("most of a million writes is logs, half of them App Engine's, as docs/deploy.md says", () => {
  const cost = computeCostOfWrites("constancia", LOAD);
  const total = sum(Object.values(cost));
  assert.ok(total < 2 && cost.logs > 0.8 * total);
  assert.ok(Math.abs(computeCostOfWrites("seed", LOAD).logs - cost.logs / 2) < 0.2);
  assert.equal(Math.min(...Object.values(cost)), cost.instances);
  const month = computeCostOfMonth("constancia", LOAD);
  assert.ok(month.instances > computeTotal(month) / 2);
});

it("chooses the smallest tier with room, and none beyond the largest", () => {
  assert.equal(chooseTier(0), "db-custom-1-3840");
  assert.equal(chooseTier(0.7), "db-custom-2-7680");
  assert.equal(chooseTier(96), undefined);
  assert.equal(parseCores("db-custom-8-30720"), 8);
  assert.throws(() => parseCores("db-perf-optimized-N-8"), /db-perf-optimized-N-8/);
});

describe("npm run proof -- cost", () => {
  const run = (...args: string[]) =>
    spawnSync(process.execPath, [new URL("cost.ts", import.meta.url).pathname, ...args], {
      encoding: "utf8",
    });

  it("reads the load from the command line, and refuses a wrong one in a sentence", () => {
    const { status, stdout } = run("--writes", "2000000", "--bytes", "500", "--hours", "100");
    assert.equal(status, 0);
    assert.match(stdout, /a million more writes of 500 bytes/);
    assert.match(stdout, /2,000,000 writes in 100 h, 5.6 a second/);
    const refused = run("--hours", "731");
    assert.equal(refused.status, 2);
    assert.match(refused.stderr, /--hours must be a whole number from 1 to 730, not "731"/);
    assert.equal(run("--what").status, 2);
    assert.match(run("--help").stdout, /--writes N/);
  });

  it("prints JSON", () => {
    const { shapes, pricedOn } = JSON.parse(run("--json").stdout);
    assert.match(pricedOn, /^\d{4}-\d\d-\d\d$/);
    assert.equal(shapes.length, SHAPES.length);
  });
});
