import assert from "node:assert/strict";
import { test } from "node:test";
import { runProgram } from "../../test/support/program.ts";

test("the tests of settling, reading and the tables pass on MariaDB", async () => {
  const { code, output } = await runProgram("proof/mariadb/main.ts", []);
  assert.equal(code, 0, output);
  assert.match(output, /pass [1-9]/);
});
