import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import fc from "fast-check";
import { type Setup, simulate } from "./simulate-model.ts";
import { buildSetup, readCurve } from "./simulate-setup.ts";
import { describeSimulation, summarise } from "./simulate-table.ts";

const curves = fc.array(fc.nat(5_000), { minLength: 1, maxLength: 120 });
const scalings = fc.record({
  least: fc.nat(2),
  most: fc.integer({ min: 2, max: 6 }),
  startSeconds: fc.nat(5),
  perSecond: fc.integer({ min: 1, max: 2_000 }),
});
const setups: fc.Arbitrary<Setup> = fc.record({
  api: scalings,
  subscriber: scalings,
  mysql: fc.record({
    micros: fc.integer({ min: 1, max: 2_000_000 }),
    settleMicros: fc.integer({ min: 1, max: 500 }),
    readMicros: fc.nat(500),
  }),
});

/** The setup with so many subscribers that never start or stop. */
function withSubscribers(setup: Setup, count: number): Setup {
  return { ...setup, subscriber: { ...setup.subscriber, least: count, most: count } };
}

describe("a simulation", () => {
  it("conserves every write in every second", () => {
    fc.assert(
      fc.property(setups, curves, (setup, curve) => {
        let [offered, refused, accepted, settled] = [0, 0, 0, 0];
        for (const second of simulate(setup, curve).seconds) {
          offered += second.offered;
          refused += second.refused;
          accepted += second.accepted;
          settled += second.settled;
          assert.equal(offered, refused + second.pending + accepted);
          assert.equal(accepted, settled + second.backlog);
        }
      }),
    );
  });

  it("never has more lag or backlog with more subscribers", () => {
    fc.assert(
      fc.property(setups, curves, fc.integer({ min: 1, max: 5 }), (setup, curve, count) => {
        const few = simulate(withSubscribers(setup, count), curve).seconds;
        const many = simulate(withSubscribers(setup, count + 1), curve).seconds;
        for (const [index, second] of many.entries()) {
          assert.ok(second.lagSeconds <= (few[index]?.lagSeconds ?? 0));
          assert.ok(second.backlog <= (few[index]?.backlog ?? 0));
        }
      }),
    );
  });

  it("stays within the limits of instances and of their capacity", () => {
    fc.assert(
      fc.property(setups, curves, (setup, curve) => {
        for (const { api, subscriber, mysqlBusy } of simulate(setup, curve).seconds) {
          assert.ok(api.serving + api.starting <= setup.api.most);
          assert.ok(subscriber.serving + subscriber.starting <= setup.subscriber.most);
          assert.ok(Math.max(api.busy, subscriber.busy, mysqlBusy) <= 1 + 1e-9);
        }
      }),
    );
  });

  it("delays the first writes until instances have started", () => {
    const { seconds } = simulate(buildSetup(), readCurve("0:100,30s:100"));
    assert.equal(seconds[0]?.bottleneck, "API starting");
    assert.deepEqual(
      seconds.slice(0, 3).map(({ accepted }) => accepted),
      [0, 0, 0],
    );
    assert.equal(seconds[3]?.bottleneck, "subscriber starting");
    const { refused, maxLagSeconds, backlog } = summarise(
      simulate(buildSetup(), Array(30).fill(100)),
    );
    assert.deepEqual(
      { refused, maxLagSeconds, backlog },
      { refused: 0, maxLagSeconds: 3, backlog: 0 },
    );
  });

  it("has no backlog and no instance a quarter of an hour after the last write", () => {
    const { seconds } = simulate(buildSetup(), readCurve("0:3000,1m:0,20m:0"));
    const last = seconds.at(-1) ?? assert.fail();
    assert.equal(last.backlog, 0);
    assert.equal(last.lagSeconds, 0);
    assert.equal(last.api.serving + last.subscriber.serving, 0);
    assert.equal(last.bottleneck, undefined);
  });

  it("refuses requests that wait too long for an instance", () => {
    const setup = buildSetup({ apiInstances: 1 });
    const { seconds } = simulate(setup, Array(60).fill(10 * setup.api.perSecond));
    assert.equal(seconds.at(-1)?.bottleneck, "API");
    assert.ok((seconds.at(-1)?.refused ?? 0) > 0);
    assert.equal(seconds[9]?.refused, 0);
  });

  it("names MySQL as the bottleneck", () => {
    const setup = buildSetup({ workers: 50, tier: "db-f1-micro", apiInstances: 50 });
    assert.equal(simulate(setup, Array(120).fill(20_000)).seconds.at(-1)?.bottleneck, "MySQL");
    const sharded = buildSetup({
      workers: 50,
      tier: "db-f1-micro",
      apiInstances: 50,
      databases: 9,
    });
    assert.equal(simulate(sharded, Array(120).fill(20_000)).seconds.at(-1)?.bottleneck, undefined);
  });

  it("uses the limits of app.yaml and subscriber.yaml", () => {
    const { api, subscriber } = buildSetup();
    for (const [file, most] of [
      ["app.yaml", api.most],
      ["subscriber.yaml", subscriber.most],
    ] as const) {
      const text = readFileSync(new URL(`../../${file}`, import.meta.url), "utf8");
      assert.equal(most, Number(/max_instances: (\d+)/.exec(text)?.[1]));
    }
  });
});

describe("a curve", () => {
  it("interpolates between its points", () => {
    assert.deepEqual(readCurve("0:0,4s:8,6s:8"), [0, 2, 4, 6, 8, 8]);
    assert.equal(readCurve("0:1,2m:1,1h:1").length, 3_600);
    assert.equal(readCurve("7").length, 600);
  });

  it("is refused in a sentence if it is wrong", () => {
    for (const [curve, sentence] of [
      ["0:1,x", /"x", which is not TIME:RATE/],
      ["1:1,2:2", /must begin at 0/],
      ["0:1,5:1,5:2", /increasing times, but 5 s follows 5 s/],
      ["0:1,99h:1", /must end within/],
      ["0:1,9s:999999999999", /but at most 100000000 are allowed/],
    ] as const)
      assert.throws(() => readCurve(curve), sentence);
  });
});

describe("npm run proof -- simulate", () => {
  const run = (...args: string[]) =>
    spawnSync(process.execPath, [new URL("simulate.ts", import.meta.url).pathname, ...args], {
      encoding: "utf8",
    });

  it("prints 24 lines and the totals for a curve of any length", () => {
    for (const seconds of [1, 23, 25, 5_000]) {
      const lines = describeSimulation(simulate(buildSetup(), Array(seconds).fill(50))).split("\n");
      assert.ok(lines.length <= 1 + 24 + 3, `${seconds}`);
    }
    const { stdout } = run("--curve", "0:0,1m:10000,2m:0,4m:0", "--shape", "seed");
    assert.match(stdout, /bottleneck\n/);
    assert.match(stdout, /MySQL\n/);
    assert.match(
      stdout,
      /offered 600,000 = refused 0 \+ pending 0 \+ backlog 0 \+ settled 600,000/,
    );
  });

  it("prints every second and every instance as JSON", () => {
    const { summary, seconds, instances } = JSON.parse(run("--json", "--curve", "100").stdout);
    assert.equal(seconds.length, 600);
    assert.equal(summary.offered, 60_000);
    assert.deepEqual(
      instances.map(({ service, readyAt }: { service: string; readyAt: number }) => [
        service,
        readyAt,
      ]),
      [
        ["api", 3],
        ["subscriber", 6],
      ],
    );
  });

  it("refuses wrong options in a sentence", () => {
    const { status, stderr } = run("--workers", "0");
    assert.equal(status, 2);
    assert.match(stderr, /--workers must be a whole number from 1 to 100000, not "0"/);
    assert.match(run("--tier", "large").stderr, /number of cores of the tier "large"/);
    assert.match(run("--help").stdout, /--curve CURVE/);
  });
});
