import assert from "node:assert/strict";
import { test } from "node:test";
import { runProgram } from "../../test/support/program.ts";

/** Enough for each process to be killed under load; the command's default is a hundred thousand. */
const WRITES = 2_000;

test("a load through a kill of every process loses, doubles and ages nothing", async () => {
  const { code, output } = await runProgram("proof/load/main.ts", [`--writes=${WRITES}`]);
  assert.equal(code, 0, output);
  assert.match(output, new RegExp(`^${WRITES} accepted in`, "m"));
  assert.match(output, /^missing 0, doubled 0, stale 0$/m);
  assert.equal(output.match(/^after the /gm)?.length, 7, output);
});
