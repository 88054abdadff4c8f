import assert from "node:assert/strict";
import { test } from "node:test";
import { runProgram } from "../../test/support/program.ts";

/** Enough for hundreds of writes to be lost; the command's default is a minute. */
const SECONDS = 3;

test("every accepted write outlives the loss of MySQL's last seconds", async () => {
  const { code, output } = await runProgram("proof/restore/main.ts", [`--seconds=${SECONDS}`]);
  assert.equal(code, 0, output);
  assert.match(output, /^and lost the last \d+ of them; \d+ items competed/m);
  assert.match(output, /^every promise held$/m);
});
