import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { after, before, describe, it } from "node:test";
import { ANSWER_HEADERS } from "../../api/answer/headers.ts";
import { data } from "../../collections/data.ts";
import { waitUntilReady } from "../../local/readiness.ts";
import { teachers } from "../collections/teachers.ts";
import { createTestEnvironment, type TestEnvironment } from "../support/environment.ts";
import { assertProblem, createClient } from "../support/http.ts";
import { until } from "../support/until.ts";

describe("the API's responses of every route", () => {
  let environment: TestEnvironment;

  before(async () => {
    environment = await createTestEnvironment();
  });
  after(() => environment.close());

  const start = async (env: Record<string, string> = {}) =>
    createClient((await environment.startApi({ env })).url);

  it("answers a wrong method with 405 and the ones that apply, and tells them to OPTIONS", async () => {
    const api = await start({ METRICS: "on" });
    const item = ["GET", "HEAD", "PUT", "DELETE"];
    const allowed: Record<string, string[]> = {
      "/": ["GET", "HEAD"],
      "/openapi.json": ["GET", "HEAD"],
      "/health/live": ["GET", "HEAD"],
      "/health/ready": ["GET", "HEAD"],
      "/_ah/warmup": ["GET", "HEAD"],
      "/metrics": ["GET", "HEAD"],
      "/api/data": ["GET", "HEAD", "POST", "PUT"],
      "/api/data/x": item,
      "/api/data/x/writes/01968b3e-7c00-7000-8000-0123456789ab": ["GET", "HEAD"],
    };
    for (const [path, methods] of Object.entries(allowed))
      for (const method of ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "PROPFIND", "QUERY"]) {
        if (methods.includes(method)) continue;
        const answer = await api.send(method, path);
        const allow = answer.headers.get("allow")?.split(", ") ?? [];
        assert.deepEqual(allow.toSorted(), methods.toSorted(), `${method} ${path}`);
        if (method !== "OPTIONS") assertProblem(answer, 405, "wrong-method");
      }
  });

  it("answers 404 where there is nothing, and names the collections there are", async () => {
    const api = await start();
    for (const path of [
      "/x",
      "/api",
      "/api/data/x/y",
      "/api/data/x/writes",
      "/API/data",
      "/favicon.ico",
    ])
      assertProblem(await api.get(path), 404, "not-found");
    for (const path of ["/api/unknown", "/api/unknown/x", "/api/DATA", "/api/unknown/x/writes/y"]) {
      const answer = await api.get(path);
      assertProblem(answer, 404, "not-found");
      assert.match(answer.body.detail, /\bdata\b/);
    }
  });

  it("says that it lives and that it is ready", async () => {
    const api = await start();
    assert.deepEqual((await api.get("/health/live")).body, { live: true });
    await waitUntilReady(api.url);
    assert.deepEqual((await api.get("/health/ready")).body, { ready: true, faults: [] });
    assert.equal((await api.get("/_ah/warmup")).status, 200);
  });

  it("is not ready while a declared table is missing, says which, and accepts nothing", async () => {
    const { url } = await environment.startApi({ collections: [data, teachers] });
    const api = createClient(url);
    const fault = "The table teachers is missing; run the migrations.";
    await until("the tables were checked", async () =>
      (await api.get("/health/ready")).text.includes(fault),
    );
    const { status, body } = await api.get("/health/ready");
    assert.equal(status, 503);
    assert.deepEqual(body, { ready: false, cause: "schema", faults: [fault] });
    await assert.rejects(waitUntilReady(url), {
      message: `all migrations have run, but the tables do not match the collections; add a migration to migrations/, or, where its items do not matter, start without .local/mysql and .local/pubsub. ${fault}`,
    });
    assert.equal((await api.get("/health/live")).status, 200);
    assertProblem(await api.get("/api/data"), 503, "unavailable");
    assertProblem(await api.post("/api/teachers", teachers.example), 503, "unavailable");
  });

  it("shows metrics only where that is on", async () => {
    const off = await start();
    assertProblem(await off.get("/metrics"), 404, "not-found");
    const on = await start({ METRICS: "on" });
    await on.post("/api/data", { nombre: "counted" });
    const { status, headers, text } = await on.get("/metrics");
    assert.equal(status, 200);
    assert.match(headers.get("content-type") ?? "", /^text\/plain\b/);
    assert.match(text, /^constancia_writes_accepted_total\{collection="data"\} 1$/m);
    for (const name of ["constancia_batch_size_bucket", "constancia_queue_depth"])
      assert.match(text, new RegExp(`^${name}\\{`, "m"));
  });

  it("lets no page of another origin in by default", async () => {
    const api = await start();
    const origin = { origin: "https://example.com" };
    for (const path of ["/api/data", "/openapi.json", "/"]) {
      const { status, headers } = await api.get(path, origin);
      assert.equal(status, 200);
      assert.ok([...headers.keys()].every((name) => !name.startsWith("access-control-")));
    }
    const preflight = { ...origin, "access-control-request-method": "POST" };
    const { headers } = await api.send("OPTIONS", "/api/data", { headers: preflight });
    assert.equal(headers.get("access-control-allow-origin"), null);
    assert.equal(headers.get("access-control-allow-methods"), null);
  });

  it("lets in the pages of the origins in CORS_ORIGINS, and shows them our headers", async () => {
    const api = await start({ CORS_ORIGINS: "https://example.com,http://localhost:3000" });
    for (const origin of ["https://example.com", "http://localhost:3000"]) {
      const { headers } = await api.get("/api/data", { origin });
      assert.equal(headers.get("access-control-allow-origin"), origin);
      assert.match(headers.get("vary") ?? "", /\bOrigin\b/i);
      const exposed = headers.get("access-control-expose-headers")?.split(",") ?? [];
      // The tests hold every answer's headers to this list (test/support/contract.ts).
      assert.deepEqual(exposed, Object.keys(ANSWER_HEADERS));
      for (const name of ["ETag", "Location", "Link", "Retry-After", "Preference-Applied"])
        assert.ok(exposed.includes(name), name);
      for (const path of ["/api/data", "/api/data/x", "/openapi.json"]) {
        const allow = (await api.send("OPTIONS", path)).headers.get("allow") ?? "";
        const headers = { origin, "access-control-request-method": "PUT" };
        const asked = await api.send("OPTIONS", path, { headers });
        const methods = asked.headers.get("access-control-allow-methods")?.split(",") ?? [];
        assert.match(allow, /^GET, HEAD/, path);
        assert.deepEqual(methods, allow.split(", "), path);
      }
      const preflight = await api.send("OPTIONS", "/api/data/x", {
        headers: {
          origin,
          "access-control-request-method": "PUT",
          "access-control-request-headers": "if-match,content-type",
        },
      });
      assert.equal(preflight.status, 204);
      assert.equal(preflight.headers.get("access-control-allow-origin"), origin);
      assert.match(preflight.headers.get("access-control-allow-methods") ?? "", /\bPUT\b/);
      assert.match(preflight.headers.get("access-control-allow-headers") ?? "", /\bif-match\b/);
    }
    for (const origin of ["https://example.com.evil.com", "http://example.com", "null"]) {
      const { headers } = await api.get("/api/data", { origin });
      assert.equal(headers.get("access-control-allow-origin"), null, origin);
    }
    const refused = await api.get("/api/unknown", { origin: "https://example.com" });
    assert.equal(refused.headers.get("access-control-allow-origin"), "https://example.com");
    const any = await start({ CORS_ORIGINS: "*" });
    const { headers } = await any.get("/api/data", { origin: "https://anywhere.example" });
    assert.equal(headers.get("access-control-allow-origin"), "*");
    assert.equal(headers.get("access-control-allow-credentials"), null);
  });

  it("marks every answer as data, and does not say what it is made of", async () => {
    const api = await start();
    const answers = [
      await api.get("/api/data"),
      await api.get("/"),
      await api.get("/x"),
      await api.get("/openapi.json"),
      await api.get("/health/live"),
      await api.post("/api/data", { nombre: "x" }),
      await api.post("/api/data", 1),
      await api.send("PATCH", "/api/data"),
    ];
    for (const { headers } of answers) {
      assert.match(headers.get("content-security-policy") ?? "", /default-src 'none'/);
      assert.match(headers.get("content-security-policy") ?? "", /frame-ancestors 'none'/);
      assert.equal(headers.get("x-content-type-options"), "nosniff");
      assert.equal(headers.get("referrer-policy"), "no-referrer");
      assert.equal(headers.get("cache-control"), "no-cache");
      assert.equal(headers.get("x-powered-by"), null);
      assert.match(headers.get("x-request-id") ?? "", /^[\w.:-]{1,128}$/);
    }
  });

  it("answers the newest items as JSON at / whatever else a program accepts", async () => {
    const api = await start();
    for (const accept of ["*/*", "application/json", "image/png", "text/html;q=0"]) {
      const { status, headers, body } = await api.get("/", { accept });
      assert.equal(status, 200, accept);
      assert.match(headers.get("content-type") ?? "", /^application\/json\b/);
      assert.match(headers.get("vary") ?? "", /\bAccept\b/);
      assert.ok(Array.isArray(body.data));
    }
  });

  it("shows browsers a page that runs its own style and script and loads nothing else", async () => {
    const api = await start();
    const browser = { accept: "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8" };
    const { status, headers, text } = await api.get("/", browser);
    assert.equal(status, 200);
    assert.match(headers.get("content-type") ?? "", /^text\/html\b/);
    assert.match(headers.get("vary") ?? "", /\bAccept\b/);
    const policy = headers.get("content-security-policy") ?? "";
    for (const element of ["style", "script"]) {
      const inside = [
        ...text.matchAll(new RegExp(`<${element}\\b[^>]*>([^]*?)</${element}>`, "g")),
      ];
      assert.equal(inside.length, 1, element);
      const hash = createHash("sha256")
        .update(inside[0]?.[1] as string)
        .digest("base64");
      assert.ok(policy.split("; ").includes(`${element}-src 'sha256-${hash}'`), policy);
    }
    assert.ok(policy.includes("connect-src 'self'"));
    const [icon, ...links] = text.match(/<link\b[^>]*>/g) ?? [];
    assert.match(icon ?? "", /^<link rel="icon" href="data:image\/svg\+xml,[^"]*">$/);
    assert.deepEqual(links, []);
    for (const forbidden of [
      /\b(src|srcset|action|style|on[a-z]+)\s*=\s*["']/,
      /<(iframe|img|object|embed|base)\b/,
      /@import|url\(|\/\/[a-z]+\./,
      /\b(innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval|localStorage)\b/,
    ])
      assert.doesNotMatch(text, forbidden);
    for (const accept of ["*/*", "application/json"])
      assert.ok(Array.isArray((await api.get("/", { accept })).body.data), accept);
  });

  it("returns a request id of a safe form, and generates one in place of any other", async () => {
    const api = await start();
    const sendRequestId = async (id: string) =>
      (await api.get("/health/live", { "x-request-id": id })).headers.get("x-request-id");
    assert.equal(await sendRequestId("my-request.1:a_B"), "my-request.1:a_B");
    for (const unsafe of ["", "a b", "x".repeat(129), '"x"', "{}", "ñ"])
      assert.match((await sendRequestId(unsafe)) ?? "", /^[0-9a-f]{32}$/);
  });
});
