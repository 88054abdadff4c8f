import assert from "node:assert/strict";
import { test } from "node:test";
import { runProgram } from "../../test/support/program.ts";

/** Always the same seeds, so that a new failure is a change's. About 15 s each. */
const SEEDS = { first: 1, count: 4 };
/** More would have too little of two cores. */
const JOBS = 2;
/** Runs in which the break must be found; the first one has always found it. */
const BREAK_RUNS = 4;

test(`every promise holds in ${SEEDS.count} runs of chaos`, async () => {
  const args = [`--seed=${SEEDS.first}`, `--runs=${SEEDS.count}`, `--jobs=${JOBS}`];
  const { code, output } = await runProgram("proof/chaos/main.ts", args);
  assert.equal(code, 0, output);
  assert.equal(output.match(/^seed \d+: holds/gm)?.length, SEEDS.count, output);
});

test("chaos finds a message that is acknowledged before its commit", async () => {
  const args = ["--break=ack-before-commit", `--runs=${BREAK_RUNS}`];
  const { code, output } = await runProgram("proof/chaos/main.ts", args);
  assert.equal(code, 0, output);
  assert.match(output, /^ack-before-commit: found in run \d/m);
});

test("chaos refuses wrong options in a sentence", async () => {
  const { code, output } = await runProgram("proof/chaos/main.ts", ["--runs=none"]);
  assert.equal(code, 2, output);
  assert.match(output, /--runs must be a whole number of at least 1, not "none"\./);
});
