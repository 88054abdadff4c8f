import assert from "node:assert/strict";
import { test } from "node:test";
import { runProgram } from "../../test/support/program.ts";

/** Always the same seeds, so that a new failure is a change's: two side by side, 20 s each. */
const SEEDS = [1, 5] as const;
const RUNS = 4;
/** Runs in which a break must be found; the first one has always found it. */
const BREAK_RUNS = 4;

test(`every promise holds in ${RUNS * SEEDS.length} runs of chaos`, async () => {
  const all = SEEDS.map((seed) =>
    runProgram("proof/chaos/main.ts", [`--seed=${seed}`, `--runs=${RUNS}`]),
  );
  for (const { code, output } of await Promise.all(all)) {
    assert.equal(code, 0, output);
    assert.equal(output.match(/^seed \d+: holds/gm)?.length, RUNS, output);
  }
});

for (const [name, title] of [
  ["ack-before-commit", "a message that is acknowledged before its commit"],
  ["guessed-created", "an answer that does not say that the item was created"],
  ["delete-of-nothing", "a stranger's delete that takes an item from whoever creates it"],
  ["api-clock-judge", "a hold that is over by the clock of an API"],
  ["position-before-lock", "a feed whose positions are given before its counter is locked"],
])
  test(`chaos finds ${title}`, async () => {
    const args = [`--break=${name}`, `--runs=${BREAK_RUNS}`];
    const { code, output } = await runProgram("proof/chaos/main.ts", args);
    assert.equal(code, 0, output);
    assert.match(output, new RegExp(`^${name}: found in run \\d`, "m"));
  });

test("chaos refuses wrong options in a sentence", async () => {
  const { code, output } = await runProgram("proof/chaos/main.ts", ["--runs=none"]);
  assert.equal(code, 2, output);
  assert.match(output, /--runs must be a whole number of at least 1, not "none"\./);
});
