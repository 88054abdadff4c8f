import assert from "node:assert/strict";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { requireEnv } from "../../test/support/environment.ts";
import { runProgram } from "../../test/support/program.ts";
import { CORES, type Sample } from "./environment.ts";
import { makeFigures } from "./figures.ts";
import { judge } from "./goals.ts";
import { BENCH_NAMES } from "./options.ts";
import type { Report } from "./report.ts";
import { EMULATOR, GIVEN_PUBSUB, LOCAL_PUBSUB } from "./servers.ts";
import { CONSTANCIA, LIMIT_PULL, SEED } from "./targets.ts";

const MAIN = "proof/bench/main.ts";
/** Figures that every sample of a benchmark must have. */
const FIGURES: Record<(typeof BENCH_NAMES)[number], string[]> = {
  post: ["perSecond", "p50Ms", "p99Ms"],
  drain: ["perSecond"],
  get: ["perSecond", "p50Ms", "p99Ms"],
  start: ["first202Ms"],
  push: ["perSecond", "p50Ms", "p99Ms"],
  readable: ["p50Ms", "p99Ms"],
  feed: ["perSecond"],
};

/** The bench reads MySQL's own counters. */
const skip = process.env.TEST_ENGINE === "mariadb" && "the bench is for MySQL";

describe("npm run bench", { skip }, () => {
  let folder: string;
  let report: Report;
  let markdown: string;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "bench-test-"));
    // On the servers of the tests.
    process.env.MYSQL_URL = requireEnv("TEST_MYSQL_URL");
    const { code, output } = await runProgram(MAIN, ["--smoke", "--output", folder]);
    assert.equal(code, 0, output);
    const files = await readdir(folder);
    const read = async (pattern: RegExp) =>
      readFile(join(folder, files.find((name) => pattern.test(name)) ?? "none"), "utf8");
    report = JSON.parse(await read(/smoke\.json$/));
    markdown = await read(/\.md$/);
  });
  after(() => rm(folder, { recursive: true }));

  for (const name of BENCH_NAMES)
    it(`measures ${name}, with quiet and with busy cores`, () => {
      const samples = report.samples.filter(({ bench }) => bench === name);
      for (const cores of CORES)
        assert.ok(
          samples.some((sample) => sample.cores === cores),
          `${name} has no samples with ${cores} cores`,
        );
      for (const { case: what, pubsub, target, values } of samples) {
        assert.equal(pubsub, GIVEN_PUBSUB);
        const missing = FIGURES[name].filter((figure) => !Number.isFinite(values[figure]));
        assert.deepEqual(missing, [], `${name}, ${what}, ${target}`);
      }
      assert.match(markdown, new RegExp(`^## ${name}$`, "m"));
    });

  it("loses no row of the backlog", () => {
    const drained = report.samples.filter(({ values }) => values.missing !== undefined);
    assert.deepEqual(
      drained.map(({ values }) => values.missing),
      [0, 0],
    );
  });

  it("describes the machine without its name", () => {
    assert.deepEqual(report.failures, []);
    assert.deepEqual(Object.keys(report.versions), ["node", "mysql", "pubsub"]);
    assert.doesNotMatch(markdown, /undefined|NaN/);
  });

  it("refuses an unknown benchmark", async () => {
    const { code, output } = await runProgram(MAIN, ["swim"]);
    assert.equal(code, 2);
    assert.match(output, /The benchmark must be post or drain .* not "swim"/);
  });
});

/** Samples in which Constancia's figures are `factor` times the seed's. */
function makeSamples(factor: number): Sample[] {
  const cases = [
    ["post", "64 clients"],
    ["post", "512 clients"],
    ["post", "bulk, 4 clients"],
    ["drain", "backlog"],
    ["get", "64 clients"],
    ["start", "first 202"],
    ["push", "200 at once"],
  ] as const;
  const names = ["perSecond", "p50Ms", "p99Ms", "first202Ms", "idleMb"];
  for (const process of ["api", "subscriber", "mysql", "pubsub"])
    names.push(`${process}Micros`, `${process}Mb`);
  const give = (value: number) => Object.fromEntries(names.map((name) => [name, value]));
  return cases.flatMap(([bench, name]) =>
    [LOCAL_PUBSUB, EMULATOR].flatMap((pubsub) =>
      CORES.flatMap((cores) => {
        const place = { bench, case: name, pubsub, cores, round: 0, loadAverage: 0 };
        return [
          { ...place, target: CONSTANCIA, values: give(100 * factor) },
          { ...place, target: SEED, values: give(100) },
          { ...place, target: LIMIT_PULL, values: give(20_000 * factor) },
        ];
      }),
    ),
  );
}

it("judges each goal by the ratio to the seed's", () => {
  // Rates are met by three times the seed's, all else by half of it.
  const all = judge(makeSamples(3));
  const half = judge(makeSamples(0.5));
  for (const { goal, bound, isMet } of all)
    assert.equal(isMet, bound.startsWith("at least") || goal.includes("peak memory"), goal);
  for (const { goal, bound, isMet } of half) assert.equal(isMet, bound.startsWith("at most"), goal);
  // Seven goals of POST on each of two servers, its memory, and six that have no Pub/Sub of theirs.
  assert.equal(all.filter(({ goal }) => goal.startsWith("post")).length, 16);
});

it("makes figures of the committed file's form", async () => {
  const committed = JSON.parse(
    await readFile(new URL("figures.json", import.meta.url), "utf8"),
  ) as Record<string, object>;
  const made = makeFigures({ madeAt: "2026-11-28T00:00:00Z", samples: makeSamples(1) });
  assert.deepEqual(Object.keys(made), Object.keys(committed));
  for (const shape of ["constancia", "seed"] as const)
    assert.deepEqual(
      Object.keys(made[shape]).sort(),
      Object.keys(committed[shape] as object).sort(),
    );
});
