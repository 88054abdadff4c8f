import assert from "node:assert/strict";
import crypto, { createHash } from "node:crypto";
import { syncBuiltinESMExports } from "node:module";
import { after, before, describe, it } from "node:test";
import fc from "fast-check";
import { createTestEnvironment, type TestEnvironment } from "../support/environment.ts";
import { type Answer, assertProblem, createClient } from "../support/http.ts";
import { until } from "../support/until.ts";

const WRITER = "w-0123456789abcdef0123456789abcdef";
const READER = "r-0123456789abcdef0123456789abcdef";
const OTHER = "o-0123456789abcdef0123456789abcdef";
const sha256 = (key: string) => createHash("sha256").update(key).digest("hex");
const API_KEYS = [
  `writer ${sha256(WRITER)} *:read *:write`,
  `reader ${sha256(READER)} *:read operate`,
  `other ${sha256(OTHER)} *:read *:write operate`,
].join("\n");
const show = (key: string) => ({ authorization: `Bearer ${key}` });
const ITEM = { nombre: "x" };

describe("API keys and the rate limit", () => {
  let environment: TestEnvironment;

  before(async () => {
    environment = await createTestEnvironment();
  });
  after(() => environment.close());

  const start = async (env: Record<string, string> = {}) =>
    createClient((await environment.startApi({ env })).url);

  function assertUnauthorized(answer: Answer) {
    assertProblem(answer, 401, "missing-key");
    assert.match(answer.headers.get("www-authenticate") ?? "", /^Bearer\b/);
  }

  it("are off by default", async () => {
    const api = await start();
    assert.equal((await api.post("/api/data", ITEM)).status, 202);
    assert.equal((await api.post("/api/data", ITEM, show("anything"))).status, 202);
    const { headers } = await api.get("/api/data");
    assert.equal(headers.get("ratelimit"), null);
  });

  function assertForbidden(answer: Answer, scope: string) {
    assertProblem(answer, 403, "wrong-scope");
    const challenge = `Bearer realm="constancia", error="insufficient_scope", scope="${scope}"`;
    assert.equal(answer.headers.get("www-authenticate"), challenge);
    assert.ok(answer.body.detail.includes(scope), answer.body.detail);
  }

  it("guard only writes by default", async () => {
    const api = await start({ API_KEYS });
    assert.equal((await api.get("/api/data")).status, 200);
    assertUnauthorized(await api.post("/api/data", ITEM));
    assertUnauthorized(await api.put("/api/data/x", ITEM));
    assertUnauthorized(await api.put("/api/data", { id: "x", ...ITEM }));
    assertUnauthorized(await api.delete("/api/data/x"));
    assertUnauthorized(await api.post("/api/data", "not even an item"));
    for (const key of [WRITER, OTHER])
      assert.equal((await api.post("/api/data", ITEM, show(key))).status, 202);
    const lowerCase = { authorization: `bearer ${WRITER}` };
    assert.equal((await api.delete("/api/data/x", lowerCase)).status, 202);
  });

  it("guard nothing where everybody may call, but a wrong one is refused", async () => {
    const api = await start({ API_KEYS, ACCESS: "public" });
    for (const headers of [{}, show(READER), show(WRITER)])
      assert.equal((await api.post("/api/data", ITEM, headers)).status, 202);
    assertUnauthorized(await api.post("/api/data", ITEM, show("x")));
  });

  it("guard everything under /api if configured so, and nothing else", async () => {
    const api = await start({ API_KEYS, ACCESS: "keys" });
    for (const path of ["/api/data", "/api/data/x", "/api/unknown", "/api/data/x/writes/y"]) {
      assertUnauthorized(await api.get(path));
      assert.equal((await api.send("HEAD", path)).status, 401);
    }
    for (const key of [WRITER, READER])
      assert.equal((await api.get("/api/data", show(key))).status, 200);
    for (const path of ["/health/live", "/openapi.json"])
      assert.equal((await api.get(path)).status, 200);
    // A user's own routes are below /api too: none of them is open by mistake.
    assertUnauthorized(await api.get("/api/data/x/of/my/own"));
    assertUnauthorized(await api.send("PATCH", "/api/data/x"));
    assertProblem(await api.get("/api/data/x/of/my/own", show(READER)), 404, "not-found");
  });

  it("guard the newest items at the root too, where everything needs a key", async () => {
    const api = await start({
      API_KEYS: `${API_KEYS}\nblind ${sha256("blind")} *:write`,
      ACCESS: "keys",
    });
    assertUnauthorized(await api.get("/"));
    assert.equal((await api.get("/", show(READER))).status, 200);
    assertForbidden(await api.get("/", show("blind")), "data:read");
  });

  it("for reading do not write: 403 with the scope", async () => {
    const api = await start({ API_KEYS });
    for (const method of ["POST", "PUT"]) {
      const request = { body: JSON.stringify(ITEM), headers: show(READER) };
      assertForbidden(await api.send(method, "/api/data", request), "data:write");
    }
    assertForbidden(await api.put("/api/data/x", ITEM, show(READER)), "data:write");
    assertForbidden(await api.delete("/api/data/x", show(READER)), "data:write");
    assert.equal((await api.get("/api/data", show(READER))).status, 200);
  });

  it("that are not known are refused, also where none is needed", async () => {
    const api = await start({ API_KEYS });
    const shown = [
      "Bearer x",
      "Bearer ",
      "Bearer",
      "x",
      `Basic ${WRITER}`,
      WRITER,
      `Bearer ${WRITER}x`,
      `Bearer ${WRITER} ${WRITER}`,
      `Bearer ${sha256(WRITER)}`,
      `Bearer ${WRITER.toUpperCase()}`,
    ];
    for (const authorization of shown) {
      assertUnauthorized(await api.post("/api/data", ITEM, { authorization }));
      assertUnauthorized(await api.get("/api/data", { authorization }));
    }
  });

  it("are compared in constant time: each with every key, as digests of one length", async (context) => {
    const api = await start({ API_KEYS });
    const compare = context.mock.method(crypto, "timingSafeEqual");
    // What the code has imported by name follows.
    syncBuiltinESMExports();
    try {
      const shown = [
        WRITER,
        READER,
        OTHER,
        "x",
        WRITER.slice(0, -1),
        `${WRITER}x`,
        `x${WRITER.slice(1)}`,
        sha256(WRITER),
        "y".repeat(8_000),
      ];
      for (const key of shown) {
        compare.mock.resetCalls();
        await api.get("/api/data", show(key));
        const lengths = compare.mock.calls.map(({ arguments: [one, other] }) => [
          one.byteLength,
          other.byteLength,
        ]);
        // No more and no fewer for the first key, the last, and none of them.
        assert.deepEqual(lengths, Array(3).fill([32, 32]), key.slice(0, 40));
      }
    } finally {
      compare.mock.restore();
      syncBuiltinESMExports();
    }
  });

  it("keep the idempotency keys of their holders apart", async () => {
    const api = await start({ API_KEYS });
    const post = async (key: string) =>
      (await api.post("/api/data", ITEM, { ...show(key), "idempotency-key": "mine" })).body.id;
    assert.equal(await post(WRITER), await post(WRITER));
    assert.notEqual(await post(WRITER), await post(OTHER));
  });

  it("are never logged, and neither is a wrong one", async () => {
    const env = { API_KEYS, LOG_FORMAT: "json", LOG_LEVEL: "debug", RATE_LIMIT_PER_MINUTE: "4" };
    const api = await environment.spawn("api", env);
    const client = createClient(api.url);
    const guess = "a-guess-that-was-tried-0123456789";
    const accepted = await client.post("/api/data", ITEM, show(WRITER));
    for (const key of [READER, guess, WRITER, WRITER, WRITER, WRITER])
      await client.post("/api/data", ITEM, show(key));
    await until("the write is logged", () => api.output().includes(accepted.body.write));
    await api.end();
    for (const secret of [WRITER, READER, guess, sha256(WRITER), "Bearer"])
      assert.ok(!api.output().includes(secret));
  });

  it("have a rate limit each, which the response reports", async () => {
    const api = await start({ API_KEYS, RATE_LIMIT_PER_MINUTE: "3" });
    for (const key of [WRITER, OTHER]) {
      for (const left of [2, 1, 0]) {
        const { status, headers } = await api.post("/api/data", ITEM, show(key));
        assert.equal(status, 202);
        assert.match(headers.get("ratelimit") ?? "", new RegExp(`;\\s*r=${left};\\s*t=\\d+`));
        assert.match(headers.get("ratelimit-policy") ?? "", /;\s*q=3;\s*w=60/);
      }
      const answer = await api.post("/api/data", ITEM, show(key));
      assertProblem(answer, 429, "too-many-requests");
      assert.match(answer.headers.get("retry-after") ?? "", /^[1-9]\d?$/);
      assert.match(answer.headers.get("ratelimit") ?? "", /;\s*r=0;/);
      for (const name of [key, "writer", "other"])
        assert.ok(!(answer.headers.get("ratelimit") ?? "").includes(name));
    }
    assert.equal((await api.get("/api/data")).status, 200, "the address has its own");
    assert.equal((await api.get("/health/live")).status, 200, "only /api is limited");
  });

  it("count wrong keys against the address, everywhere, and let a right one pass", async () => {
    const env = { API_KEYS, RATE_LIMIT_PER_MINUTE: "3", METRICS: "on", ACCESS: "keys" };
    const api = await start(env);
    for (const path of ["/api/data", "/metrics"]) {
      for (const guess of ["guess-1", "guess-2", "guess-3"])
        assertUnauthorized(await api.get(path, show(guess)));
      for (const guess of ["guess-4", "", "guess-5"])
        assertProblem(await api.get(path, show(guess)), 429, "too-many-requests");
      assert.equal((await api.get(path, show(READER))).status, 200);
    }
    for (let time = 0; time < 5; time += 1)
      assert.equal((await api.get("/metrics", show(OTHER))).status, 200, "metrics are not limited");
    assertProblem(await api.post("/api/data", ITEM, show("guess-6")), 429, "too-many-requests");
    const root = { accept: "application/json" };
    assertProblem(await api.get("/", { ...root, ...show("guess-7") }), 429, "too-many-requests");
  });

  it("limit an address, whatever forwarding headers it sends", async () => {
    const names = [
      "x-forwarded-for",
      "forwarded",
      "x-real-ip",
      "x-client-ip",
      "x-cluster-client-ip",
      "x-appengine-user-ip",
      "x-appengine-remote-addr",
      "x-appengine-country",
      "via",
      "true-client-ip",
      "cf-connecting-ip",
      "fastly-client-ip",
      "x-originating-ip",
      "x-original-forwarded-for",
      "x-remote-ip",
      "x-remote-addr",
      "x-envoy-external-address",
      "x-azure-clientip",
      "client-ip",
      "authorization",
      "x-api-key",
      "cookie",
      "user-agent",
    ];
    const value = fc.oneof(
      fc.ipV4(),
      fc.ipV6(),
      fc.ipV4().map((address) => `for=${address};proto=https`),
      fc.array(fc.ipV4(), { minLength: 2, maxLength: 4 }).map((all) => all.join(", ")),
      fc.constantFrom("127.0.0.1", "::1", "::ffff:127.0.0.1", "unknown", "localhost", "-", "0"),
    );
    const headers = fc.dictionary(fc.constantFrom(...names), value, { minKeys: 1 });
    for (const source of ["socket", "appengine"]) {
      const api = await start({ RATE_LIMIT_PER_MINUTE: "5", CLIENT_ADDRESS: source });
      // There, the platform sets this one itself, whatever the client has sent.
      const attested: Record<string, string> =
        source === "appengine" ? { "x-appengine-user-ip": "203.0.113.9" } : {};
      let passed = 0;
      await fc.assert(
        fc.asyncProperty(headers, async (forged) => {
          const { status } = await api.get("/api/data", { ...forged, ...attested });
          if (status === 200) passed += 1;
          else assert.equal(status, 429);
        }),
        { numRuns: 200, seed: 1 },
      );
      assert.equal(passed, 5, source);
    }
  });

  it("limit by the address that App Engine reports, when run there", async () => {
    const api = await start({ RATE_LIMIT_PER_MINUTE: "2", CLIENT_ADDRESS: "appengine" });
    const get = async (address: string, more: Record<string, string> = {}) =>
      (await api.get("/api/data", { "x-appengine-user-ip": address, ...more })).status;
    const statuses: number[] = [];
    for (let place = 0; place < 3; place += 1)
      statuses.push(await get("203.0.113.1", { "x-forwarded-for": `198.51.100.${place}` }));
    assert.deepEqual(statuses, [200, 200, 429]);
    assert.equal(await get("203.0.113.2"), 200);
    // One client's whole IPv6 network counts as one address.
    assert.equal(await get("2001:db8:1:1::1"), 200);
    assert.equal(await get("2001:db8:1:1::2"), 200);
    assert.equal(await get("2001:db8:1:1:ffff::3"), 429);
    assert.equal(await get("2001:db8:2:1::1"), 200);
  });

  it("count a bad request too, but not more than the others' share", async () => {
    const api = await start({ RATE_LIMIT_PER_MINUTE: "2" });
    assertProblem(await api.post("/api/data", {}), 422, "invalid-item");
    assertProblem(await api.get("/api/unknown"), 404, "not-found");
    assertProblem(await api.get("/api/data"), 429, "too-many-requests");
  });
});
