import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { describe, it } from "node:test";
import { DEFAULT_LOAD } from "./cost.ts";
import { getCores, tierFor } from "./figures.ts";
import { type CostOfMonth, SHAPES, type Shape } from "./shapes.ts";

const [CONSTANCIA = assert.fail(), SEED = assert.fail(), , FUNCTIONS = assert.fail()] = SHAPES;
const LOAD = DEFAULT_LOAD;

function getSum({ databaseCores: _, ...dollars }: CostOfMonth): number {
  return sum(Object.values(dollars));
}

function sum(numbers: number[]): number {
  return numbers.reduce((total, number) => total + number);
}

describe("the cost of writes", () => {
  it("is the tenfold for ten times the writes at the same rate", () => {
    for (const { ofWrites } of SHAPES) {
      const once = ofWrites({ ...LOAD, hours: 70 });
      const tenfold = ofWrites({ ...LOAD, writes: 10 * LOAD.writes, hours: 700 });
      for (const part of Object.keys(once) as (keyof typeof once)[])
        assert.ok(Math.abs(tenfold[part] - 10 * once[part]) < 1e-9, part);
    }
  });

  it("counts 1,000 bytes for each push and for a publish alone, and batches where they are many", () => {
    const tib = 2 ** 40;
    const small = { ...LOAD, itemBytes: 1 };
    assert.ok(Math.abs(CONSTANCIA.ofWrites(small).messages - (2e9 / tib) * 40) < 1e-9);
    const busy = CONSTANCIA.ofWrites({ ...small, writes: 1e9 }).messages / 1_000;
    assert.ok(Math.abs(busy - ((1e9 + 276e6) / tib) * 40) < 1e-9);
  });

  it("is never less for larger items", () => {
    for (const { ofWrites } of SHAPES) {
      const large = ofWrites({ ...LOAD, itemBytes: 5_000 });
      const small = ofWrites(LOAD);
      assert.ok(large.messages > small.messages && large.disk > small.disk);
    }
  });
});

describe("the cost of a month", () => {
  it("never falls while the writes or the hours rise", () => {
    for (const { title, ofMonth } of SHAPES) {
      let before = 0;
      for (const writes of [1, 1e6, 1e9, 1e11, 1e12]) {
        const dollars = getSum(ofMonth({ ...LOAD, writes }));
        assert.ok(dollars >= before, title);
        before = dollars;
      }
      assert.ok(getSum(ofMonth({ ...LOAD, hours: 10 })) <= getSum(ofMonth(LOAD)), title);
    }
  });

  it("has an API awake all month where it is watched, however few the hours", () => {
    assert.ok(CONSTANCIA.ofMonth({ ...LOAD, hours: 1 }).instances > 73);
    assert.ok(SEED.ofMonth({ ...LOAD, hours: 1 }).instances < 1);
  });

  it("needs fewer cores of MySQL than an INSERT for each write, and functions no instance", () => {
    const busy = { ...LOAD, writes: 5e10 };
    assert.ok(CONSTANCIA.ofMonth(busy).databaseCores * 4 <= SEED.ofMonth(busy).databaseCores);
    assert.ok(FUNCTIONS.ofMonth({ ...LOAD, writes: 1 }).instances < 0.01);
  });
});

describe("what docs/deploy.md says of the cost", () => {
  const getMonth = ({ ofMonth }: Shape, writes: number) => getSum(ofMonth({ ...LOAD, writes }));
  const getMillion = ({ ofWrites }: Shape) => sum(Object.values(ofWrites(LOAD)));

  it("is so: most of a million writes is logs, half of those App Engine's, hardly any work", () => {
    const cost = CONSTANCIA.ofWrites(LOAD);
    assert.ok(getMillion(CONSTANCIA) < 2 && cost.logs > 0.8 * getMillion(CONSTANCIA));
    assert.ok(Math.abs(SEED.ofWrites(LOAD).logs - cost.logs / 2) < 0.2);
    const { gateway: _, ...parts } = cost;
    assert.equal(Math.min(...Object.values(parts)), cost.instances);
  });

  it("is so: functions are cheaper up to about 30 million a month, then four times as much", () => {
    assert.ok(getMonth(FUNCTIONS, 25e6) < getMonth(CONSTANCIA, 25e6));
    assert.ok(getMonth(FUNCTIONS, 35e6) > getMonth(CONSTANCIA, 35e6));
    assert.equal(Math.round(getMillion(FUNCTIONS) / getMillion(CONSTANCIA)), 4);
    const { instances } = CONSTANCIA.ofMonth(LOAD);
    assert.ok(instances > getMonth(CONSTANCIA, LOAD.writes) / 2);
  });
});

describe("tiers", () => {
  it("are the smallest that leave room, and none beyond the largest", () => {
    assert.equal(tierFor(0), "db-custom-1-3840");
    assert.equal(tierFor(0.7), "db-custom-2-7680");
    assert.equal(tierFor(96), undefined);
    assert.equal(getCores("db-custom-8-30720"), 8);
    assert.throws(() => getCores("db-perf-optimized-N-8"), /db-perf-optimized-N-8/);
  });
});

describe("npm run proof -- cost", () => {
  const run = (...args: string[]) =>
    spawnSync(process.execPath, [new URL("cost.ts", import.meta.url).pathname, ...args], {
      encoding: "utf8",
    });

  it("takes its load from the command line, and says what is wrong with it", () => {
    const { status, stdout } = run("--writes", "2000000", "--bytes", "500", "--hours", "100");
    assert.equal(status, 0);
    assert.match(stdout, /a million more writes of 500 bytes/);
    assert.match(stdout, /2,000,000 writes in 100 h, 5.6 a second/);
    const refused = run("--hours", "731");
    assert.equal(refused.status, 2);
    assert.match(refused.stderr, /--hours must be a whole number from 1 to 730, not "731"/);
    assert.equal(run("--what").status, 2);
  });

  it("is JSON for programs", () => {
    const { shapes, pricedOn } = JSON.parse(run("--json").stdout);
    assert.match(pricedOn, /^\d{4}-\d\d-\d\d$/);
    assert.equal(shapes.length, SHAPES.length);
  });
});
