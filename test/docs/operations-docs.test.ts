import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import test from "node:test";
import { promisify } from "node:util";
import { createTestEnvironment } from "../support/environment.ts";
import { until } from "../support/until.ts";

const DOCUMENT = readFileSync(new URL("../../docs/operations.md", import.meta.url), "utf8");
const run = promisify(execFile);

test("the commands of the first two questions of docs/operations.md answer them", async (t) => {
  const environment = await createTestEnvironment();
  t.after(() => environment.close());
  const api = await environment.spawn("api");
  const ask = async (question: string): Promise<number> => {
    const [, row = ""] = DOCUMENT.split(`| ${question} | \``);
    const [command = ""] = row.split("` |");
    const { stdout } = await run("bash", ["-c", command], {
      env: { ...process.env, URL: api.url },
    });
    return Number(/^HTTP\/1.1 (\d+)/.exec(stdout)?.[1]);
  };
  assert.equal(await ask("Is it accepting?"), 202);
  // Without a subscriber, the command still answers within ten seconds.
  assert.equal(await ask("Is it settling?"), 202);
  await environment.spawn("subscriber");
  // On a slow machine the first answers may be 202, after the ten seconds for which they wait.
  await until(
    "a write is settled within its wait",
    async () => (await ask("Is it settling?")) === 204,
  );
  assert.equal(await ask("Is it accepting?"), 202);
});
