import assert from "node:assert/strict";
import { test } from "node:test";
import { runProgram } from "../../test/support/program.ts";

/** Seeds that nobody chose, the same ones each time: a new failure is a change's, not the day's. */
const FIRST_SEED = 1;
/** About 15 s each; CI has the three minutes for all of them, somebody who waits has not. */
const RUNS = process.env.CI ? 20 : 3;
/** More would have too little of two cores. */
const JOBS = 2;
/** Runs in which the break must be found; its first one has always done it. */
const BREAK_RUNS = 4;
/** Enough for each process to be killed on the way; `npm run proof -- load` has a hundred thousand. */
const LOAD_WRITES = 2_000;

test(`every promise holds in ${RUNS} runs of chaos`, async () => {
  const args = [`--seed=${FIRST_SEED}`, `--runs=${RUNS}`, `--jobs=${JOBS}`];
  const { code, output } = await runProgram("proof/chaos/main.ts", args);
  assert.equal(code, 0, output);
  assert.equal(output.match(/^seed \d+: holds/gm)?.length, RUNS, output);
});

test("chaos finds a message that is acknowledged before its commit", async () => {
  const { code, output } = await runProgram("proof/chaos/main.ts", [
    "--break=ack-before-commit",
    `--runs=${BREAK_RUNS}`,
  ]);
  assert.equal(code, 0, output);
  assert.match(output, /^ack-before-commit: found in run \d/m);
});

test("a load through a kill of every process loses, doubles and ages nothing", async () => {
  const { code, output } = await runProgram("proof/chaos/load.ts", [`--writes=${LOAD_WRITES}`]);
  assert.equal(code, 0, output);
  assert.match(output, new RegExp(`^${LOAD_WRITES} accepted in`, "m"));
  assert.match(output, /^missing 0, doubled 0, stale 0$/m);
  assert.equal(output.match(/^after the /gm)?.length, 7, output);
});
