import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { v7 } from "uuid";
import { getWriteTime } from "../../common/write-id.ts";
import { startApi } from "../support/api.ts";
import { assertProblem, createClient } from "../support/http.ts";

const WAIT = { prefer: "wait=30" };

describe("an item that is read", () => {
  const { api } = startApi({ subscriber: true });

  it("has its version as ETag and the time of its last write as Last-Modified", async () => {
    const { body } = await api.put("/api/data/r-1", { nombre: "x" });
    await api.settled(body.receipt);
    const { status, headers, body: item } = await api.get("/api/data/r-1");
    assert.equal(status, 200);
    assert.deepEqual(item, { id: "r-1", nombre: "x" });
    assert.equal(headers.get("etag"), `"${body.write}"`);
    const modified = new Date(getWriteTime(body.write)).toUTCString();
    assert.equal(headers.get("last-modified"), modified);
    assert.match(headers.get("content-type") ?? "", /^application\/json\b/);
  });

  it("is answered 304 without a body while it is at a version that the client has", async () => {
    const { headers } = await api.put("/api/data/r-2", { nombre: "x" }, WAIT);
    const etag = headers.get("etag") as string;
    for (const known of [etag, `W/${etag}`, `"other", ${etag}`, "*"]) {
      const answer = await api.get("/api/data/r-2", { "if-none-match": known });
      assert.equal(answer.status, 304, known);
      assert.equal(answer.text, "");
      assert.equal(answer.headers.get("etag"), etag);
    }
    for (const other of ['"other"', "x"])
      assert.equal((await api.get("/api/data/r-2", { "if-none-match": other })).status, 200);
    await api.put("/api/data/r-2", { nombre: "y" }, WAIT);
    assert.equal((await api.get("/api/data/r-2", { "if-none-match": etag })).status, 200);
  });

  it("is 404 where it never was, and 410 where it was deleted", async () => {
    assertProblem(await api.get("/api/data/never"), 404, "not-found");
    await api.put("/api/data/r-3", { nombre: "x" }, WAIT);
    await api.delete("/api/data/r-3", WAIT);
    assertProblem(await api.get("/api/data/r-3"), 410, "deleted");
    assertProblem(await api.get("/api/data/r-3", { "if-none-match": "*" }), 410, "deleted");
  });

  it("is another item where its id differs in case only", async () => {
    await api.put("/api/data/Case", { nombre: "upper" }, WAIT);
    await api.put("/api/data/case", { nombre: "lower" }, WAIT);
    assert.equal((await api.get("/api/data/Case")).body.nombre, "upper");
    assert.equal((await api.get("/api/data/case")).body.nombre, "lower");
    assertProblem(await api.get("/api/data/CASE"), 404, "not-found");
  });

  it("is returned to `after` once that write is settled", async () => {
    const { body } = await api.put("/api/data/r-4", { nombre: "x" });
    const got = await api.get(`/api/data/r-4?after=${body.write}`, WAIT);
    assert.equal(got.status, 200);
    assert.equal(got.body.nombre, "x");
    assert.equal(got.headers.get("preference-applied"), "wait=30");
    assert.equal(got.headers.get("etag"), `"${body.write}"`);
    for (const after of [body.write, body.receipt, encodeURIComponent(api.url + body.receipt)])
      assert.equal((await api.get(`/api/data/r-4?after=${after}`)).status, 200, after);
    assertProblem(await api.get(`/api/data/r-5?after=${body.receipt}`), 400, "malformed-request");
    const gone = await api.delete("/api/data/r-4");
    assertProblem(await api.get(`/api/data/r-4?after=${gone.body.write}`, WAIT), 410, "deleted");
  });

  it("is not waited for by `after` where the write belongs to another item: 400", async () => {
    const created = await api.put("/api/data/r-6", { nombre: "x" }, WAIT);
    const replaced = await api.put("/api/data/r-7", { nombre: "x" }, WAIT);
    await api.put("/api/data/r-7", { nombre: "y" }, WAIT);
    const gone = await api.delete("/api/data/r-8", WAIT);
    await api.put("/api/data/other", { nombre: "x" }, WAIT);
    for (const { headers } of [created, replaced, gone]) {
      const [, write = ""] = /\/writes\/(.*)>/.exec(headers.get("link") ?? "") ?? [];
      assertProblem(await api.get(`/api/data/other?after=${write}`), 400, "malformed-request");
      assertProblem(await api.get(`/api/data/absent?after=${write}`), 400, "malformed-request");
      assertProblem(await api.get(`/api/data/other/writes/${write}`), 404, "not-found");
    }
    const old = v7({ msecs: Date.now() - 40 * 86_400_000 });
    assert.equal((await api.get(`/api/data/other?after=${old}`)).status, 200);
  });

  it("is read on the conditions of RFC 9110, 13.1: 412 where If-Match does not hold", async () => {
    const { headers } = await api.put("/api/data/r-9", { nombre: "x" }, WAIT);
    const etag = headers.get("etag") as string;
    for (const match of ["*", etag, `"x", ${etag}`, `W/${etag}`])
      assert.equal((await api.get("/api/data/r-9", { "if-match": match })).status, 200, match);
    for (const match of ['"x"', 'W/"x"', "x"])
      for (const path of ["/api/data/r-9", "/api/data"])
        assertProblem(await api.get(path, { "if-match": match }), 412, "failed-precondition");
    assertProblem(await api.get("/api/data/never", { "if-match": '"x"' }), 404, "not-found");
    const many = await api.get("/api/data/r-9", { "if-none-match": '"a,*,b"' });
    assert.equal(many.status, 200);
  });

  it("is answered to HEAD as to GET, without the body", async () => {
    await api.put("/api/data/r-5", { nombre: "ñandú" }, WAIT);
    for (const path of ["/api/data/r-5", "/api/data", "/", "/openapi.json", "/health/live"]) {
      const got = await api.get(path);
      const head = await api.send("HEAD", path);
      assert.equal(head.status, 200, path);
      assert.equal(head.text, "");
      for (const name of ["content-type", "content-length", "etag", "last-modified"])
        assert.equal(head.headers.get(name), got.headers.get(name), `${name} of ${path}`);
    }
    assert.equal((await api.send("HEAD", "/api/data/never")).status, 404);
  });
});

describe("reading while a write is in flight, or MySQL is away", () => {
  const { environment, api } = startApi();

  it("by `after` is answered 503 with Retry-After while that write is in flight", async () => {
    const { body } = await api.put("/api/data/f-1", { nombre: "x" });
    const path = `/api/data/f-1?after=${body.write}`;
    assertProblem(await api.get(path), 503, "unavailable");
    assertProblem(await api.get(path, { prefer: "wait=1" }), 503, "unavailable");
    const waiting = api.get(path, WAIT);
    const subscriber = await environment.startSubscriber();
    assert.equal((await waiting).body.nombre, "x");
    await subscriber.stop();
  });

  it("by `after` is refused where it is not a write's id", async () => {
    const future = "ffffffff-ffff-7000-8000-000000000000";
    for (const write of ["", "x", "1", future, "01968B3E-7C00-7000-8000-0123456789AB"])
      assertProblem(await api.get(`/api/data/f-1?after=${write}`), 400, "malformed-request");
  });

  it("is answered 503 with Retry-After while MySQL is away; writes are accepted", async () => {
    const away = "mysql://nobody:nothing@127.0.0.1:1/none";
    const { url } = await environment.startApi({ env: { MYSQL_URL: away } });
    const without = createClient(url);
    for (const path of ["/api/data/x", "/api/data", "/"])
      assertProblem(await without.get(path), 503, "unavailable");
    const { status, body } = await without.post("/api/data", { nombre: "accepted" });
    assert.equal(status, 202);
    assertProblem(await without.get(body.receipt), 503, "unavailable");
    assert.equal(
      (await without.put("/api/data/x", { nombre: "x" }, { "if-match": "*" })).status,
      202,
    );
    assert.equal((await without.get("/health/ready")).status, 503);
    assert.equal((await without.get("/health/live")).status, 200);
  });
});
