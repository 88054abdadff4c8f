import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { test } from "node:test";

const MAIN = join(import.meta.dirname, "..", "chaos", "main.ts");
/** Seeds that nobody chose, the same ones each time: a new failure is a change's, not the day's. */
const FIRST_SEED = 1;
/** About 18 s each; CI has the three minutes for all of them, somebody who waits has not. */
const RUNS = process.env.CI ? 20 : 3;
/** More would have too little of two cores. */
const JOBS = 3;
/** Runs in which the break must be found; its first one has always done it. */
const BREAK_RUNS = 4;

test(`every promise holds in ${RUNS} runs of chaos`, async () => {
  const args = [`--seed=${FIRST_SEED}`, `--runs=${RUNS}`, `--jobs=${JOBS}`];
  const { code, output } = await runChaos(args);
  assert.equal(code, 0, output);
  assert.equal(output.match(/^seed \d+: holds/gm)?.length, RUNS, output);
});

test("chaos finds a message that is acknowledged before its commit", async () => {
  const { code, output } = await runChaos(["--break=ack-before-commit", `--runs=${BREAK_RUNS}`]);
  assert.equal(code, 0, output);
  assert.match(output, /^ack-before-commit: found in run \d/m);
});

async function runChaos(args: string[]): Promise<{ code: number | null; output: string }> {
  const child = spawn(process.execPath, [MAIN, ...args], { stdio: ["ignore", "pipe", "pipe"] });
  const kill = () => child.kill("SIGTERM");
  process.once("exit", kill);
  let output = "";
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding("utf8").on("data", (text: string) => {
      output += text;
    });
  const [code] = (await once(child, "close")) as [number | null];
  process.off("exit", kill);
  return { code, output };
}
