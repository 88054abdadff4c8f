import assert from "node:assert/strict";
import { globSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { runProgram } from "../../test/support/program.ts";
import { computeSlope, selectJudged } from "./process-samples.ts";
import { makeReport, type SoakReport } from "./report.ts";
import type { SoakFigures } from "./run.ts";

const folder = mkdtempSync(join(tmpdir(), "constancia-soak-"));
after(() => rmSync(folder, { recursive: true, force: true }));

test("a short soak keeps every promise, and reports on each process", async () => {
  const { code, output, report } = await runSoak("good", ["--minutes=0.3"]);
  assert.equal(code, 0, output);
  assert.match(output, /^every promise held$/m);
  assert.ok(report.faults.length >= 1);
  assert.ok(report.accepted > 0 && report.published >= report.accepted);
  const settled = Object.values(report.outcomes).reduce((sum, count) => sum + count, 0);
  assert.equal(settled, report.published);
  assert.deepEqual(
    report.processes.map(({ name }) => name),
    ["mysql", "pubsub", "soak", "api-1", "api-2", "subscriber-1", "subscriber-2"],
  );
  for (const { name, maxMb, descriptors } of report.processes)
    assert.ok(maxMb > 1 && descriptors.max >= 3, name);
});

test("a soak of a subscriber that acknowledges before its commit fails", async () => {
  const args = ["--minutes=0.3", "--seed=2", "--break=ack-before-commit"];
  const { code, output, report } = await runSoak("broken", args);
  assert.equal(code, 1, output);
  assert.ok(
    report.failures.some((failure) => failure.includes("receipt")),
    output,
  );
});

/** Runs the command, a fault every five seconds. */
async function runSoak(name: string, args: string[]) {
  const out = join(folder, name);
  const short = ["--fault-every=5", "--calibrate=3", `--out=${out}`];
  const { code, output } = await runProgram("proof/soak/main.ts", [...short, ...args]);
  const [file = ""] = globSync(join(out, "*.json"));
  const report: SoakReport = JSON.parse(readFileSync(file, "utf8"));
  return { code, output, report };
}

test("the slope of memory is that of the line through the samples", () => {
  const noise = [3, -3, -3, 3];
  const samples = noise.map((mb, place) => ({ atMs: place * 1_000, mb: 100 + 2 * place + mb }));
  assert.equal(computeSlope(samples), 0.002);
});

test("a heap that has grown once does not count as a leak, and one that keeps growing does", () => {
  const looks = Array.from({ length: 60 }, (_, minute) => minute * 60_000);
  const perHour = (mbAt: (minute: number) => number) =>
    computeSlope(selectJudged(looks.map((atMs) => ({ atMs, mb: mbAt(atMs / 60_000) })))) *
    3_600_000;
  assert.equal(
    perHour((minute) => (minute < 24 ? 285 : 328)),
    0,
  );
  assert.ok(Math.abs(perHour((minute) => 250 + minute) - 60) < 1e-6);
});

test("a process that grows too fast fails the soak, and one that lived too shortly does not", () => {
  const process = { lives: 1, minutes: 55, maxMb: 300, descriptors: { first: 9, last: 9, max: 9 } };
  const judge = (name: string, mbPerHour: number | null) => {
    const options = { minutes: 60, seed: 1, faultEveryMs: 1, calibrateMs: 1, delivery: "pull" };
    const histogram = { percentile: () => 0, max: 0 };
    const figures = {
      violations: [],
      answers: histogram,
      processes: [{ ...process, name, mbPerHour }],
    };
    return makeReport(options as never, figures as unknown as SoakFigures).failures;
  };
  assert.match(String(judge("api-2", 31)), /api-2 grows by 31 MB an hour/);
  assert.deepEqual(judge("api-2", 29), []);
  assert.deepEqual(judge("api-1", null), []);
  assert.deepEqual(judge("mysql", 500), []);
});
