import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it, run } from "node:test";
import { collectSummary, formatSummary, writeJobSummary } from "./test-summary.ts";

const TESTS = `
import { describe, it } from "node:test";
import { half } from "./half.mjs";
describe("a suite", () => {
  it("passes", () => half(2));
  it("fails", () => { throw new Error("no"); });
  it("is skipped", { skip: true }, () => {});
  it("is a known fault", { todo: true }, () => { throw new Error("known"); });
});`;
const HALF = `
export function half(number) {
  if (number === 1) {
    return 0;
  }
  return number / 2;
}`;

describe("the summary of a run of the tests", () => {
  it("counts tests, names what failed, and has the lines that were covered", async (t) => {
    const folder = mkdtempSync(join(tmpdir(), "constancia-summary-"));
    t.after(() => rmSync(folder, { recursive: true }));
    writeFileSync(join(folder, "some.test.mjs"), TESTS);
    writeFileSync(join(folder, "half.mjs"), HALF);
    // A test that starts tests: without the variable, these report to the outer ones.
    const { NODE_TEST_CONTEXT: context } = process.env;
    delete process.env.NODE_TEST_CONTEXT;
    const events = run({
      files: [join(folder, "some.test.mjs")],
      cwd: folder,
      coverage: true,
      coverageIncludeGlobs: ["half.mjs"],
    });
    if (context !== undefined) process.env.NODE_TEST_CONTEXT = context;
    const summary = collectSummary(events, folder);
    for await (const _ of events);
    const file = join(folder, "summary.md");
    writeJobSummary(summary, file);
    const text = readFileSync(file, "utf8").replace(/\| \d+ \|\n\n/, "| SECONDS |\n\n");
    assert.match(text, /\n\| 1 \| 1 \| 1 \| 1 \| SECONDS \|\n\n- some\.test\.mjs: fails\n/);
    assert.doesNotMatch(text, /a suite|known fault"/);
    assert.match(text, /\n\| 71\.43 % \| \d+\.\d\d % \| 100\.00 % \|\n/);
    assert.match(text, /Least covered: `half\.mjs` 71\.4 %\n/);
  });

  it("says that a run did not end, and is written only where it is asked for", () => {
    const summary = { counts: undefined, seconds: 0, failures: [], coverage: undefined };
    assert.match(formatSummary(summary), /did not run to the end/);
    writeJobSummary(summary, "");
  });
});
