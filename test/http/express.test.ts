import assert from "node:assert/strict";
import { describe, it } from "node:test";
import express, {
  type ErrorRequestHandler,
  type Express,
  type Request,
  type RequestHandler,
} from "express";
import { logInternalError } from "../../api/answer/errors.ts";
import { Problem } from "../../api/answer/problem.ts";
import { listen } from "../../common/http-server.ts";
import { createApi, ITEM, type logger, serve } from "../support/api-without-servers.ts";
import { assertProblem, type Client, createClient, sendRaw } from "../support/http.ts";

const CACHED = "private, max-age=60";

describe("the Express application that a user extends", () => {
  it("runs the user's middleware before the collections' routes", async (context) => {
    const app = express();
    const seen: unknown[] = [];
    app.use((request, response, next) => {
      response.locals.tenant = "t";
      response.set("X-Before", "1");
      response.on("finish", () => {
        const { baseUrl, route, params } = request;
        const { tenant, requestId } = response.locals;
        seen.push([request.method, baseUrl, route?.path, { ...params }, tenant, requestId]);
      });
      next();
    });
    const client = await serve(context, app.use(createApi().api));
    const headers = { "x-request-id": "r-1" };
    assert.equal((await client.get("/api/data/a", headers)).headers.get("x-before"), "1");
    assert.equal((await client.post("/api/data", ITEM, headers)).status, 202);
    assert.deepEqual(seen, [
      ["GET", "/api", "/:collection/:id", { collection: "data", id: "a" }, "t", "r-1"],
      ["POST", "/api", "/:collection", { collection: "data" }, "t", "r-1"],
    ]);
  });

  it("answers an internal error of every record as such", async (context) => {
    const { api } = createApi(() => Promise.reject(new TypeError("a fault in the code")));
    const client = await serve(context, api);
    for (const records of [
      [ITEM, ITEM],
      [ITEM, {}],
    ]) {
      const answer = await client.post("/api/data", records);
      assertProblem(answer, 500, "internal");
      assert.equal(answer.body.detail, "No record is known to be accepted.");
      assert.equal(answer.body.results.length, 2);
    }
  });

  it("runs the user's routes and middleware after it, for what it has not answered", async (context) => {
    const { api, readMetrics } = createApi();
    const after: string[] = [];
    api.use((request, _response, next) => {
      after.push(`${request.method} ${request.path}`);
      next();
    });
    api.get(
      "/mine/:name",
      (request, response) => void response.json({ name: request.params.name }),
    );
    api.patch(
      "/api/:collection/:id",
      (_request, response) => void response.json({ patched: true }),
    );
    const client = await serve(context, api);
    assert.deepEqual((await client.get("/mine/own")).body, { name: "own" });
    assert.equal((await client.send("PATCH", "/api/data/a")).body.patched, true);
    assert.equal((await client.get("/api/data/a")).status, 200);
    assertProblem(await client.get("/nothing"), 404, "not-found");
    const refused = await client.send("PATCH", "/api/data");
    assertProblem(refused, 405, "wrong-method");
    assert.equal(refused.headers.get("allow"), "GET, HEAD, POST, PUT");
    assert.deepEqual(after, [
      "GET /mine/own",
      "PATCH /api/data/a",
      "GET /nothing",
      "PATCH /api/data",
    ]);
    assert.match(
      await readMetrics(),
      /^all_requests\{method="GET",route="\/mine\/:name",status="200"\} 1$/m,
    );
  });

  it("lets other origins call the user's routes too", async (context) => {
    const origin = "https://example.com";
    const { api } = createApi(undefined, { CORS_ORIGINS: origin });
    const preflight = async (client: Client, method: string) => {
      const headers = { origin, "access-control-request-method": method };
      const answer = await client.send("OPTIONS", "/api/data/a", { headers });
      assert.equal(answer.status, 204);
      return answer.headers.get("access-control-allow-methods")?.split(",").toSorted();
    };
    const client = await serve(context, express().use(api));
    assert.deepEqual(await preflight(client, "PATCH"), ["DELETE", "GET", "HEAD", "PUT"]);
    api.patch("/api/:collection/:id", (_request, response) => void response.json({ mine: true }));
    const allowed = ["DELETE", "GET", "HEAD", "PATCH", "PUT"];
    assert.deepEqual(await preflight(client, "PATCH"), allowed);
    const patched = await client.send("PATCH", "/api/data/a", { headers: { origin } });
    assert.equal(patched.body.mine, true);
    assert.equal(patched.headers.get("access-control-allow-origin"), origin);
  });

  it("answers 405 and OPTIONS with the methods of the user's routes too", async (context) => {
    const origin = "https://example.com";
    const answer: RequestHandler = (_request, response) => void response.json({});
    const extend = (api: Express) => {
      api.patch("/api/:collection/:id", answer).get("/mine/:name", (request, response, next) => {
        if (request.params.name === "none") return next();
        response.json({});
      });
      const shop = express.Router({ caseSensitive: true }).post("/:order", answer);
      shop.all("/:order", (_request, _response, next) => next());
      return api.use("/shop", shop).use("/mine", (_request, _response, next) => next());
    };
    const item = "GET, HEAD, PUT, DELETE, PATCH";
    const paths: [path: string, allow: string][] = [
      ["/api/data/a", item],
      ["/api/data", "GET, HEAD, POST, PUT"],
      ["/mine/x", "GET, HEAD"],
      ["/shop/7", "POST"],
    ];
    const create = () => extend(createApi(undefined, { CORS_ORIGINS: origin }).api);
    const outer = express().use("/v/:tenant", create());
    outer.link("/v/1/api/:collection/:id", answer);
    for (const [app, prefix, more] of [
      [create(), "", ""],
      [outer, "/v/1", ", LINK"],
    ] as const) {
      const client = await serve(context, app);
      for (const [path, own] of paths) {
        const allow = own === item ? own + more : own;
        const refused = await client.send("PROPFIND", prefix + path);
        assertProblem(refused, 405, "wrong-method");
        assert.equal(refused.headers.get("allow"), allow);
        assert.ok(refused.body.detail.includes(allow));
        const options = await client.send("OPTIONS", prefix + path);
        const named = options.headers.get("allow")?.split(", ") ?? [];
        assert.deepEqual(named.toSorted(), own.split(", ").toSorted());
        if (!path.startsWith("/api")) continue;
        const headers = { origin, "access-control-request-method": "PATCH" };
        const preflight = await client.send("OPTIONS", prefix + path, { headers });
        const methods = preflight.headers.get("access-control-allow-methods");
        assert.equal(methods, own.replaceAll(", ", ","));
      }
      for (const path of ["/mine/none", "/mine", "/shop", "/nothing"]) {
        const absent = await client.get(prefix + path);
        assertProblem(absent, 404, "not-found");
        assert.equal(absent.headers.get("allow"), null);
      }
    }
  });

  it("leaves a handler its own headers", async (context) => {
    const { api } = createApi();
    api.get("/mine", (_request, response) => {
      response.set("Cache-Control", CACHED).json({});
    });
    const client = await serve(context, api);
    const { headers } = await client.get("/mine");
    assert.equal(headers.get("cache-control"), CACHED);
    assert.equal(headers.get("x-content-type-options"), "nosniff");
    const { headers: others } = await client.get("/api/data/a");
    assert.equal(others.get("cache-control"), "no-cache");
  });

  it('skips the rest of a user\'s route by next("route")', async (context) => {
    const app = express();
    app.get(
      "/api/:collection/:id",
      (request, _response, next) => next(request.params.id === "cached" ? undefined : "route"),
      (_request, response) => void response.set("Cache-Control", CACHED).json({ cached: true }),
    );
    const client = await serve(context, app.use(createApi().api));
    const cached = await client.get("/api/data/cached");
    assert.equal(cached.body.cached, true);
    assert.equal(cached.headers.get("cache-control"), CACHED);
    assert.deepEqual((await client.get("/api/data/a")).body, { id: "a", ...ITEM });
  });

  it("hands its errors to the user's error middleware first", async (context) => {
    const { api } = createApi();
    const seen: string[] = [];
    const observe: ErrorRequestHandler = (error, request, response, next) => {
      seen.push(error instanceof Problem ? error.problem : error.message);
      if (request.path === "/teapot") return void response.status(418).json({ mine: true });
      next(error);
    };
    api.get("/teapot", () => {
      throw new Error("short and stout");
    });
    const client = await serve(context, api.use(observe));
    assertProblem(await client.get("/api/data/b"), 404, "not-found");
    assertProblem(await client.post("/api/data", {}), 422, "invalid-item");
    assertProblem(await client.get("/api/unknown"), 404, "not-found");
    assertProblem(await client.get("/api/data/%"), 400, "malformed-request");
    assert.deepEqual(await client.get("/teapot").then(({ status, body }) => [status, body.mine]), [
      418,
      true,
    ]);
    assert.deepEqual(seen, [
      "not-found",
      "invalid-item",
      "not-found",
      "Failed to decode param '%'",
      "short and stout",
    ]);
  });

  it("shows no stack where its error handler fails, or there is none", async (context) => {
    const { api } = createApi();
    api.get("/bad-header", () => {
      throw Object.assign(new Error("secret"), { status: 400, headers: { "not a name": "x" } });
    });
    const withHandler = await serve(context, api);
    const server = await listen(createApi().api, { port: 0, host: "127.0.0.1" });
    context.after(() => server.close());
    const without = createClient(`http://127.0.0.1:${server.port}`);
    for (const [client, path] of [
      [withHandler, "/bad-header"],
      [without, "/api/data/b"],
      [without, "/api/data/%"],
    ] as const) {
      const { status, text } = await client.get(path);
      assert.ok(status >= 400);
      assert.doesNotMatch(text, /secret|node_modules|\.ts:|\n\s*at |&nbsp;/);
    }
  });

  it("answers errors by their status, as Express does", async (context) => {
    const fail = (more: object, message = "secret") => Object.assign(new Error(message), more);
    const errors: Record<string, unknown> = {
      403: fail({ status: 403, expose: true }, "Not yours."),
      404: fail({ statusCode: 404 }),
      416: fail({ status: 416, headers: { "Content-Range": "bytes */3" } }),
      503: fail({ status: 503, expose: true }),
      500: "no error at all",
    };
    const app = express();
    app.get("/fail/:status", (request) => {
      throw errors[request.params.status];
    });
    app.use(express.json(), createApi().api);
    const client = await serve(context, app);
    for (const status of Object.keys(errors)) {
      const answer = await client.get(`/fail/${status}`);
      assert.equal(answer.status, Number(status));
      assert.equal(answer.body.status, Number(status));
      assert.doesNotMatch(answer.text, /secret|undefined/);
    }
    assert.equal((await client.get("/fail/403")).body.detail, "Not yours.");
    assert.equal((await client.get("/fail/416")).headers.get("content-range"), "bytes */3");
    const broken = await client.send("POST", "/api/data", { body: "{bad" });
    assert.equal(broken.status, 400);
    assert.doesNotMatch(broken.text, /Content-Encoding/);
  });

  it("logs where an error came from, without its message", async () => {
    const lines: { frames?: string[] }[] = [];
    const silent = { error: (_: string, fields: object) => void lines.push(fields) };
    const error = new Error(`secret\n    at secret (${"x".repeat(10_000)})`);
    logInternalError(silent as unknown as typeof logger, error, {
      locals: {},
    } as Parameters<typeof logInternalError>[2]);
    const [{ frames = [] } = {}] = lines;
    assert.ok(frames.length > 0);
    assert.doesNotMatch(JSON.stringify(lines), /secret/);
    assert.ok(frames.every((frame) => frame.length <= 200));
  });

  it("keeps the labels of routes bounded below a mount with a parameter", async (context) => {
    const { api, readMetrics } = createApi();
    const client = await serve(context, express().use("/t/:tenant", api));
    for (let tenant = 0; tenant < 230; tenant += 1) await client.get(`/t/t${tenant}/api/data/a`);
    const routes = new Set((await readMetrics()).match(/http_route="[^"]*"/g));
    assert.equal(routes.size, 201);
    assert.ok(routes.has('http_route="other"'));
  });

  it("follows the user's settings", async (context) => {
    const { api } = createApi();
    api.set("json spaces", 2).set("etag", "strong");
    const client = await serve(context, api);
    const item = await client.get("/api/data/a");
    assert.equal(item.text, JSON.stringify({ id: "a", ...ITEM }, undefined, 2));
    assert.match(item.headers.get("etag") ?? "", /^"[0-9a-f-]{36}"$/);
    assert.match((await client.get("/api/data")).headers.get("etag") ?? "", /^"/);
    assert.match((await client.post("/api/data", ITEM)).text, /^\{\n {2}"id"/);
  });

  it("answers an item to If-Modified-Since, since versions may share a second", async (context) => {
    const client = await serve(context, createApi().api);
    const date = new Date(Date.now() + 60_000).toUTCString();
    const headers = `Host: x\r\nConnection: close\r\nIf-Modified-Since: ${date}\r\n\r\n`;
    const { status } = await sendRaw(client.url, [`GET /api/data/a HTTP/1.1\r\n${headers}`]);
    assert.equal(status, 200);
  });

  it("is mounted under a prefix, which its links and its metrics have too", async (context) => {
    const { api, readMetrics } = createApi();
    let request: Request | undefined;
    const app = express().use("/v1", api);
    app.use("/v1", (passed, _response, next) => {
      request = passed;
      next();
    });
    const client = await serve(context, app);
    const { body, headers } = await client.post("/v1/api/data", ITEM);
    assert.equal(headers.get("location"), `/v1/api/data/${body.id}`);
    assert.equal(body.receipt, `/v1/api/data/${body.id}/writes/${body.write}`);
    assert.equal((await client.get(body.receipt)).body.receipt, body.receipt);
    assertProblem(await client.get("/api/data/a"), 404, "not-found");
    assertProblem(await client.get("/v1/nothing"), 404, "not-found");
    assertProblem(await client.get("/v1/api/unknown"), 404, "not-found");
    assert.equal(request?.baseUrl, "");
    const text = await readMetrics();
    for (const [route, status] of [
      ["/v1/api/:collection", 202],
      ["/v1/api/:collection", 404],
      ["unmatched", 404],
    ])
      assert.ok(text.includes(`route="${route}",status="${status}"} 1`), `${route} ${status}`);
  });

  it("takes bodies that the user's middleware has read, and lets it see every answer", async (context) => {
    const app = express().use(express.json());
    const answers: unknown[] = [];
    app.use((_request, response, next) => {
      const { json } = response;
      response.json = (body) => {
        answers.push(body);
        return json.call(response, body);
      };
      next();
    });
    const client = await serve(context, app.use(createApi().api));
    const created = await client.post("/api/data", ITEM);
    assert.equal(created.status, 202);
    assert.equal((await client.post("/api/data", [ITEM, ITEM])).body.results.length, 2);
    assertProblem(await client.post("/api/data", { nombre: 1 }), 422, "invalid-item", ["/nombre"]);
    const body = JSON.stringify(ITEM);
    assert.equal((await client.send("DELETE", "/api/data/a", { body })).status, 202);
    assert.deepEqual((await client.get("/api/data/a")).body, answers.at(-1));
    assert.deepEqual(answers[0], created.body);
    assert.equal(answers.length, 5);
  });
});
