import assert from "node:assert/strict";
import { test } from "node:test";
import { runProgram } from "../../test/support/program.ts";

/** Enough for each process to be killed under load; the command's default is a hundred thousand. */
const WRITES = 3_000;

test("a load through a kill of every process keeps every promise", async () => {
  const { code, output } = await runProgram("proof/load/main.ts", [`--writes=${WRITES}`]);
  assert.equal(code, 0, output);
  const [, accepted] = /^(\d+) writes accepted in/m.exec(output) ?? [];
  assert.ok(Number(accepted) >= WRITES, output);
  assert.match(output, /^every promise held$/m);
  assert.equal(output.match(/^after the /gm)?.length, 7, output);
});
