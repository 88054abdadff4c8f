import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text as readText } from "node:stream/consumers";
import { after, before, describe, it } from "node:test";
import { createTestEnvironment, type TestEnvironment } from "../../test/support/environment.ts";
import { createClient } from "../../test/support/http.ts";
import { buildAppEngine, QUICKLY } from "../../test/support/stand-in-app-engine.ts";

const KEY = "k-0123456789abcdef";

describe("npm run rollout, on the real API", () => {
  let environment: TestEnvironment;
  before(async () => {
    environment = await createTestEnvironment();
  });
  after(() => environment.close());

  it("tests a version whose writes really settle, drives it, and leaves nothing", async () => {
    const API_KEYS = `rollout:write:${createHash("sha256").update(KEY).digest("hex")}`;
    const { url } = await environment.startApi({ env: { API_KEYS } });
    await environment.startSubscriber();
    const appEngine = await buildAppEngine({ realApi: url });
    // Clients send nothing: all requests are the smoke test's and the program's own.
    appEngine.plan({ always: { requests: 0, settled: 0 } });
    const refused = await appEngine.run("--steps=100");
    assert.match(refused.err, /POST, waited for was answered 401 .* CONSTANCIA_API_KEY/);
    const args = [...QUICKLY, "--steps=100"];
    const { status, out, err } = await appEngine.start(args, { CONSTANCIA_API_KEY: KEY }).ended;
    assert.ok(!(out + err).includes(KEY));
    assert.equal(status, 0, err + out);
    assert.match(out, /sending 50 rounds of requests of its own/);
    assert.match(out, /rests on \d{3} requests and 100 settled writes/);
    for (const line of [
      "POST, waited for: 201",
      "PUT with If-Match, waited for: 200",
      "DELETE, waited for: 204",
    ])
      assert.ok(out.includes(line), line);
    const { body } = await createClient(url).get("/api/data");
    assert.deepEqual(body.data, []);
    appEngine.close();
  });
});

describe("the real gcloud, where there is one", () => {
  const hasGcloud = spawnSync("gcloud", ["--version"]).status === 0;

  it("takes every command of a rollout as one that it knows", { skip: !hasGcloud }, async () => {
    const appEngine = await buildAppEngine();
    assert.equal((await appEngine.run("--steps=10,100", "--keep=2")).status, 0);
    assert.equal((await appEngine.run("--status")).status, 0);
    const config = mkdtempSync(join(tmpdir(), "gcloud-"));
    const kinds = new Map(appEngine.commands().map((args) => [args.slice(0, 3).join(" "), args]));
    assert.ok(kinds.size >= 6);
    const read = async (args: readonly string[]) => {
      // Nobody is logged in, so it stops after it has read the command, and before any network.
      const child = spawn("gcloud", args, {
        env: { PATH: process.env.PATH, HOME: config, CLOUDSDK_CONFIG: config },
        cwd: config,
      });
      const err = await readText(child.stderr);
      assert.match(err, /You do not currently have an active account/, args.join(" "));
    };
    await Promise.all([...kinds.values()].map(read));
    rmSync(config, { recursive: true });
    appEngine.close();
  });
});
