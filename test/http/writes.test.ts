import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { v7 } from "uuid";
import { data } from "../../collections/data.ts";
import { DAY_MS } from "../../common/limits.ts";
import { encodeWrite } from "../../common/write.ts";
import { getWriteTime, isWriteId, mintWriteId } from "../../common/write-id.ts";
import { startApi } from "../support/api.ts";
import { assertProblem, publishByHand } from "../support/http.ts";
import { until } from "../support/until.ts";

const WAIT = { prefer: "wait=30" };
const MINUTE_MS = 60_000;

describe("a single write, with a subscriber running", () => {
  const { environment, api } = startApi({ subscriber: true });

  it("is posted, read, listed at the root and put in both forms, as in the seed", async () => {
    const posted = await api.post("/api/data", { nombre: "Your Tema Name- Valpo" });
    assert.equal(posted.status, 202);
    const { id, write, receipt } = posted.body;
    assert.deepEqual(posted.body, { id, write, status: "accepted", receipt });
    assert.ok(isWriteId(id) && isWriteId(write));
    assert.equal(receipt, `/api/data/${id}/writes/${write}`);
    assert.equal(posted.headers.get("location"), `/api/data/${id}`);
    assert.equal(posted.headers.get("link"), `<${receipt}>; rel="status"`);
    await api.settled(receipt);

    const got = await api.get(`/api/data/${id}`);
    assert.deepEqual(got.body, { id, nombre: "Your Tema Name- Valpo" });
    const root = await api.get("/");
    assert.deepEqual(root.body, { data: [[id, "Your Tema Name- Valpo"]] });

    const byBody = await api.put("/api/data", { id, nombre: "By its body" });
    assert.equal(byBody.status, 202);
    assert.equal(byBody.body.id, id);
    assert.equal((await api.settled(byBody.body.receipt)).outcome, "applied");
    assert.equal((await api.get(`/api/data/${id}`)).body.nombre, "By its body");

    const byPath = await api.put(`/api/data/${id}`, { nombre: "By its address" });
    assert.equal(byPath.status, 202);
    const settled = await api.settled(byPath.body.receipt);
    assert.equal(settled.status, "settled");
    assert.equal(settled.outcome, "applied");
    assert.equal(settled.version, byPath.body.write);
    assert.equal(settled.created, false);
    assert.equal(settled.reason, null);
    assert.equal(Date.parse(settled.acceptedAt), getWriteTime(byPath.body.write));
    assert.equal(
      settled.lagMs,
      Date.parse(settled.settledAt as string) - Date.parse(settled.acceptedAt),
    );
    assert.match(settled.trace as string, /^[0-9a-f]{32}$/);
    assert.equal((await api.get(`/api/data/${id}`)).body.nombre, "By its address");
  });

  it("keeps the receipt of a version that a newer one has replaced", async () => {
    const first = await api.post("/api/data", { nombre: "first" });
    const before = await api.settled(first.body.receipt);
    const second = await api.put(`/api/data/${first.body.id}`, { nombre: "second" }, WAIT);
    assert.equal(second.status, 200);
    assert.deepEqual(await api.settled(first.body.receipt), before);
  });

  it("answers 201 with the stored item and its ETag to a create that waits", async () => {
    const created = await api.post("/api/data", { nombre: "waited for" }, WAIT);
    assert.equal(created.status, 201);
    const { id } = created.body;
    assert.deepEqual(created.body, { id, nombre: "waited for" });
    assert.equal(created.headers.get("preference-applied"), "wait=30");
    assert.equal(created.headers.get("location"), `/api/data/${id}`);
    const got = await api.get(`/api/data/${id}`);
    assert.deepEqual(got.body, created.body);
    assert.equal(got.headers.get("etag"), created.headers.get("etag"));
  });

  it("answers a put that waits with 201 where the item is new, else with 200", async () => {
    const created = await api.put("/api/data/put-1", { nombre: "new" }, WAIT);
    assert.equal(created.status, 201);
    assert.deepEqual(created.body, { id: "put-1", nombre: "new" });
    const replaced = await api.put("/api/data", { id: "put-1", nombre: "replaced" }, WAIT);
    assert.equal(replaced.status, 200);
    assert.deepEqual(replaced.body, { id: "put-1", nombre: "replaced" });
    assert.notEqual(replaced.headers.get("etag"), created.headers.get("etag"));
  });

  it("accepts an id that is the same in the path and the body", async () => {
    const put = await api.put("/api/data/put-2", { id: "put-2", nombre: "twice" }, WAIT);
    assert.equal(put.status, 201);
  });

  it("answers 204 to a delete that waits, and then the item is gone", async () => {
    await api.put("/api/data/gone-1", { nombre: "soon gone" }, WAIT);
    const deleted = await api.delete("/api/data/gone-1", WAIT);
    assert.equal(deleted.status, 204);
    assert.equal(deleted.text, "");
    assertProblem(await api.get("/api/data/gone-1"), 410, "deleted");
    const list = await api.get("/api/data?limit=1000");
    assert.ok(list.body.data.every(({ id }) => id !== "gone-1"));
  });

  it("creates a deleted item again by a newer put", async () => {
    await api.put("/api/data/gone-3", { nombre: "soon gone" }, WAIT);
    await api.delete("/api/data/gone-3", WAIT);
    const again = await api.put("/api/data/gone-3", { nombre: "back" }, WAIT);
    assert.equal(again.status, 201);
    assert.deepEqual(again.body, { id: "gone-3", nombre: "back" });
    assert.equal((await api.get("/api/data/gone-3")).body.nombre, "back");
  });

  it("does not let an older put resurrect a deleted item", async () => {
    const older = mintWriteId();
    await api.put("/api/data/gone-2", { nombre: "soon gone" }, WAIT);
    const deleted = await api.delete("/api/data/gone-2");
    await api.settled(deleted.body.receipt);
    const message = encodeWrite({
      id: older,
      kind: "put",
      collection: data,
      itemId: "gone-2",
      acceptedAt: getWriteTime(older),
      item: { nombre: "from the past" },
    });
    await publishByHand(environment, [message]);
    const receipt = await api.settled(`/api/data/gone-2/writes/${older}`);
    assert.equal(receipt.outcome, "superseded");
    assert.equal(receipt.version, null);
    assert.match(receipt.reason as string, new RegExp(deleted.body.write));
    assertProblem(await api.get("/api/data/gone-2"), 410, "deleted");
  });

  it("has an empty response body for return=minimal, and names the preferences applied", async () => {
    const minimal = await api.post("/api/data", { nombre: "m" }, { prefer: "return=minimal" });
    assert.equal(minimal.status, 202);
    assert.equal(minimal.text, "");
    assert.equal(minimal.headers.get("preference-applied"), "return=minimal");
    assert.match(minimal.headers.get("link") ?? "", /^<\/api\/data\/[^/]+\/writes\/[^/]+>/);
    const both = { prefer: "return=minimal, wait=30" };
    const created = await api.put("/api/data/min-1", { nombre: "m" }, both);
    assert.equal(created.status, 201);
    assert.equal(created.text, "");
    assert.equal(created.headers.get("preference-applied"), "return=minimal, wait=30");
    assert.match(created.headers.get("etag") ?? "", /^"[0-9a-f-]{36}"$/);
    const replaced = await api.put("/api/data/min-1", { nombre: "n" }, both);
    assert.equal(replaced.status, 204);
  });

  it("ignores unknown preferences, and waits 30 s at most", async () => {
    const prefer = "respond-async, wait=999999, handling=lenient";
    const created = await api.post("/api/data", { nombre: "p" }, { prefer });
    assert.equal(created.status, 201);
    assert.equal(created.headers.get("preference-applied"), "wait=30");
  });

  it("applies the first of a repeated preference, once, and reads a quoted value", async () => {
    const applied = async (prefer: string) =>
      (await api.post("/api/data", { nombre: "p" }, { prefer })).headers.get("preference-applied");
    assert.equal(await applied("wait=30, wait=1, wait=x"), "wait=30");
    assert.equal(await applied("return=minimal, return=minimal"), "return=minimal");
    assert.equal(await applied("return=representation, return=minimal"), null);
    assert.equal(await applied('wait="30"'), "wait=30");
    assert.equal(await applied('note="a, wait=x; \\" b", wait = 30; a=b'), "wait=30");
  });
});

describe("a single write, without a subscriber", () => {
  const RETENTION_DAYS = 30;
  const { environment, api } = startApi({
    env: { METRICS: "on", RECEIPT_RETENTION_DAYS: String(RETENTION_DAYS) },
  });

  it("is accepted, and its receipt says that it is in flight", async () => {
    const { body } = await api.post("/api/data", { nombre: "early" });
    const receipt = await api.get(body.receipt);
    assert.equal(receipt.status, 200);
    assert.match(receipt.headers.get("retry-after") ?? "", /^\d+$/);
    assert.deepEqual(receipt.body, {
      status: "accepted",
      outcome: null,
      code: null,
      version: null,
      created: null,
      reason: null,
      acceptedAt: new Date(getWriteTime(body.write)).toISOString(),
      settledAt: null,
      lagMs: null,
      trace: null,
      receipt: body.receipt,
    });
    assertProblem(await api.get(`/api/data/${body.id}`), 404, "not-found");
  });

  it("is answered 202 where the wait runs out", async () => {
    const { status, body, headers } = await api.post(
      "/api/data",
      { nombre: "no hurry" },
      { prefer: "wait=1" },
    );
    assert.equal(status, 202);
    assert.equal(body.status, "accepted");
    assert.equal(headers.get("preference-applied"), "wait=1");
  });

  it("has no receipt where no such write can have been", async () => {
    const future = v7({ msecs: Date.now() + 3_600_000 });
    const beyondRetention = v7({ msecs: Date.now() - RETENTION_DAYS * DAY_MS - MINUTE_MS });
    for (const write of ["x", "0", future, beyondRetention, future.toUpperCase()])
      assertProblem(await api.get(`/api/data/any/writes/${write}`), 404, "not-found");
    const withinRetention = v7({ msecs: Date.now() - RETENTION_DAYS * DAY_MS + MINUTE_MS });
    const { status, body } = await api.get(`/api/data/any/writes/${withinRetention}`);
    assert.deepEqual([status, body.status], [200, "accepted"]);
  });

  it("that repeats a key with another body in flight is 409, also where the item is deleted then", async () => {
    const create = (key: string, nombre: string, more: Record<string, string> = {}) =>
      api.post("/api/data", { nombre }, { "idempotency-key": key, ...more });
    const before = await api.countAccepted();
    const first = await create("two-bodies", "first");
    const gone = await create("two-bodies-gone", "first");
    await api.delete(`/api/data/${gone.body.id}`);
    const waiting = ["two-bodies", "two-bodies-gone"].map((key) => create(key, "other", WAIT));
    await until("all are accepted", async () => (await api.countAccepted()) === before + 5);
    const subscriber = await environment.startSubscriber();
    for (const answer of await Promise.all(waiting)) {
      assertProblem(answer, 409, "conflict");
      assert.equal((await api.settled(answer.body.receipt)).outcome, "conflict");
    }
    assert.equal((await api.get(`/api/data/${first.body.id}`)).body.nombre, "first");
    await subscriber.stop();
  });

  it("is settled once a subscriber starts", async () => {
    const { body } = await api.post("/api/data", { nombre: "waits" });
    const subscriber = await environment.startSubscriber();
    assert.equal((await api.settled(body.receipt)).outcome, "applied");
    await subscriber.stop();
  });
});
