import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text as readText } from "node:stream/consumers";
import { it } from "node:test";
import { buildAppEngine } from "../../test/support/stand-in-app-engine.ts";

const hasGcloud = spawnSync("gcloud", ["--version"]).status === 0;

it("the real gcloud knows every command of a rollout", { skip: !hasGcloud }, async (t) => {
  const appEngine = await buildAppEngine();
  const config = mkdtempSync(join(tmpdir(), "gcloud-"));
  t.after(() => {
    appEngine.close();
    rmSync(config, { recursive: true });
  });
  assert.equal((await appEngine.run("--steps=10,100", "--keep=2")).status, 0);
  assert.equal((await appEngine.run("--status")).status, 0);
  const kinds = new Map(appEngine.commands().map((args) => [args.slice(0, 3).join(" "), args]));
  assert.ok(kinds.size >= 6);
  await Promise.all([...kinds.values()].map(run));

  async function run(args: readonly string[]): Promise<void> {
    // Nobody is logged in, so gcloud ends after it has parsed the command and before any request.
    const child = spawn("gcloud", args, {
      env: { PATH: process.env.PATH, HOME: config, CLOUDSDK_CONFIG: config },
      cwd: config,
    });
    const err = await readText(child.stderr);
    assert.match(err, /You do not currently have an active account/, args.join(" "));
  }
});
