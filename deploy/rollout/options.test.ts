import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { UsageError } from "../../ops/command-line.ts";
import { checkProject, readOptions } from "./options.ts";

describe("the options of a rollout", () => {
  it("have defaults", () => {
    assert.deepEqual(readOptions([]), {
      command: "rollout",
      project: undefined,
      version: undefined,
      steps: [1, 10, 100],
      holdMs: 300_000,
      pauseMs: 15_000,
      keep: 5,
      delivery: "push",
      isDryRun: false,
    });
    assert.equal(readOptions(["-h"]).command, "help");
    assert.equal(readOptions(["--status"]).command, "status");
    assert.equal(readOptions(["--rollback"]).command, "rollback");
    assert.deepEqual(readOptions(["--steps=50,100", "--hold=0"]).steps, [50, 100]);
  });

  it("are refused with a sentence", () => {
    const wrong: [string, RegExp][] = [
      ["x", /^Unexpected argument 'x'/],
      ["--unknown", /^Unknown option '--unknown'/],
      ["--status --rollback", /^--status and --rollback cannot be combined\./],
      ["--project=UPPER", /^"UPPER" is not a project id/],
      ["--project=a;b", /^"a;b" is not a project id/],
      ["--version=v1", /^--version must have the form/],
      ["--hold=-1", /^--hold must be a whole number from 0 to 86400, not "-1"\./],
      ["--pause=x", /^--pause must be a whole number/],
      ["--keep=1", /^--keep must be a whole number from 2 to 100/],
      ...["", "10", "100,10", "0,100", "10,10,100", "x,100", "1.5,100", "101"].map(
        (steps): [string, RegExp] => [`--steps=${steps}`, /^--steps must be increasing/],
      ),
    ];
    for (const [line, message] of wrong)
      assert.throws(
        () => readOptions(line.split(" ")),
        (error) => error instanceof UsageError && message.test(error.message),
        line,
      );
    for (const project of ["", "(unset)"])
      assert.throws(() => checkProject(project), /^Error: No project is set\. Use --project ID/);
  });
});
