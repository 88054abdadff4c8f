import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { requireEnv } from "../../test/support/environment.ts";
import { BENCH_NAMES } from "./options.ts";
import type { Report } from "./report.ts";

const MAIN = join(import.meta.dirname, "main.ts");
/** Figures that every sample of these benchmarks must have; the rest is as the machine allows. */
const FIGURES: Record<(typeof BENCH_NAMES)[number], string[]> = {
  post: ["perSecond", "p50Ms", "p99Ms"],
  drain: ["perSecond"],
  push: ["perSecond", "p50Ms", "p99Ms"],
  get: ["perSecond", "p50Ms", "p99Ms"],
  readable: ["p50Ms", "p99Ms"],
  start: [],
  scale: ["perSecond"],
  trace: ["perSecond"],
};

/** What MariaDB counts is not what is asked for here; the bench brings its own MySQL. */
const skip = process.env.TEST_ENGINE === "mariadb" && "the bench is for MySQL";

describe("npm run bench", { skip }, () => {
  let folder: string;
  let report: Report;
  let markdown: string;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "bench-test-"));
    const { code, output } = await runBench(["--smoke", "--output", folder]);
    assert.equal(code, 0, output);
    const files = await readdir(folder);
    const read = async (end: string) =>
      readFile(join(folder, files.find((name) => name.endsWith(end)) ?? end), "utf8");
    report = JSON.parse(await read(".json"));
    markdown = await read(".md");
  });
  after(() => rm(folder, { recursive: true }));

  for (const name of BENCH_NAMES)
    it(`measures ${name}`, () => {
      const samples = report.samples.filter(({ bench }) => bench === name);
      assert.ok(samples.length > 0, `${name} has no samples`);
      for (const { case: what, target, values } of samples) {
        const missing = FIGURES[name].filter((figure) => !Number.isFinite(values[figure]));
        assert.deepEqual(missing, [], `${name}, ${what}, ${target}`);
        assert.ok(Object.values(values).length > 0);
      }
      assert.match(markdown, new RegExp(`^## ${name}$`, "m"));
    });

  it("loses no row of the backlog", () => {
    const drained = report.samples.filter(({ values }) => values.missing !== undefined);
    assert.equal(drained.length, 1);
    assert.equal(drained[0]?.values.missing, 0);
  });

  it("judges every goal, and tells the machine without its name", () => {
    assert.ok(report.verdicts.length >= 18, `${report.verdicts.length} verdicts`);
    assert.deepEqual(report.failures, []);
    assert.deepEqual(Object.keys(report.versions), ["node", "mysql", "pubsub"]);
    assert.doesNotMatch(markdown, /undefined|NaN/);
  });

  it("refuses what it does not know", async () => {
    const { code, output } = await runBench(["swim"]);
    assert.equal(code, 2);
    assert.match(output, /the benchmark must be post or drain .* not "swim"/);
  });
});

/** On the servers that the tests run on, which it is told of as of given ones. */
async function runBench(args: string[]): Promise<{ code: number; output: string }> {
  const child = spawn(process.execPath, [MAIN, ...args], {
    env: {
      ...process.env,
      MYSQL_URL: requireEnv("TEST_MYSQL_URL"),
      PUBSUB_EMULATOR_HOST: requireEnv("PUBSUB_EMULATOR_HOST"),
    },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding("utf8").on("data", (chunk: string) => {
      output += chunk;
    });
  const [code] = await once(child, "close");
  return { code, output };
}
