import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { after, before, describe, it } from "node:test";
import { createTestEnvironment, type TestEnvironment } from "../support/environment.ts";
import { createClient } from "../support/http.ts";
import { buildAppEngine, QUICKLY } from "../support/stand-in-app-engine.ts";

const KEY = "k-0123456789abcdef";

describe("npm run rollout, on the real API", () => {
  let environment: TestEnvironment;
  before(async () => {
    environment = await createTestEnvironment();
  });
  after(() => environment.close());

  it("tests a version on real servers, sends requests, and leaves no item", async () => {
    const API_KEYS = `rollout ${createHash("sha256").update(KEY).digest("hex")} *:read *:write`;
    const { url } = await environment.startApi({ env: { API_KEYS } });
    await environment.startSubscriber();
    const appEngine = await buildAppEngine({ realApi: url });
    // Clients send nothing: all requests are the smoke test's and the program's own.
    appEngine.plan({ always: { requests: 0, settled: 0 } });
    const refused = await appEngine.run("--steps=100");
    assert.match(refused.err, /POST with Prefer: wait returned 401 .* CONSTANCIA_API_KEY/);
    const args = [...QUICKLY, "--steps=100"];
    const { status, out, err } = await appEngine.start(args, { CONSTANCIA_API_KEY: KEY }).ended;
    assert.ok(!(out + err).includes(KEY));
    assert.equal(status, 0, err + out);
    assert.match(out, /sending 50 rounds of requests/);
    assert.match(out, /based on \d{3} requests and 100 settled writes/);
    for (const line of [
      "POST with Prefer: wait: 201",
      "PUT with If-Match and Prefer: wait: 200",
      "DELETE with Prefer: wait: 204",
    ])
      assert.ok(out.includes(line), line);
    const { body } = await createClient(url).get("/api/data");
    assert.deepEqual(body.data, []);
    appEngine.close();
  });
});
