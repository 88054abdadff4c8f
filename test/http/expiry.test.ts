import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { data } from "../../collections/data.ts";
import { query } from "../../common/database.ts";
import { encodeWrite, type Write } from "../../common/write.ts";
import { getWriteTime, mintWriteId } from "../../common/write-id.ts";
import { seats } from "../collections/seats.ts";
import { startApi } from "../support/api.ts";
import { assertProblem, assertProblemBody, publishByHand } from "../support/http.ts";
import { until } from "../support/until.ts";

const WAIT = { prefer: "wait=30" };
const MOST_MS = 5 * 60_000;
const ITEM = { passenger: "Gabriela" };

describe("a collection whose items expire", () => {
  const { environment, api } = startApi({ collections: [data, seats], subscriber: true });

  /** Puts the item, and has it expire so many seconds from now, by MySQL's clock. */
  async function putExpiring(id: string, inSeconds: number): Promise<string> {
    const put = await api.put(`/api/seats/${id}`, ITEM, WAIT);
    assert.equal(put.status, 201);
    const sql = "UPDATE seats SET held_until = UTC_TIMESTAMP(3) + INTERVAL ? SECOND WHERE id = ?";
    await query(environment.pool, sql, [inSeconds, id]);
    return put.headers.get("etag") as string;
  }

  const inSeconds = (seconds: number) => new Date(Date.now() + seconds * 1_000).toISOString();

  it("sets the expiry that a client leaves out to the latest that is allowed", async () => {
    const beforeMs = Date.now();
    const { body } = await api.post("/api/seats", ITEM, WAIT);
    const { heldUntil } = (await api.get(`/api/seats/${body.id}`)).body;
    const aheadMs = Date.parse(String(heldUntil)) - MOST_MS;
    assert.ok(aheadMs >= beforeMs && aheadMs <= Date.now(), String(heldUntil));
    assert.equal(body.heldUntil, heldUntil);
  });

  it("keeps an expiry as it is sent, normalised to UTC", async () => {
    const heldUntil = inSeconds(200);
    const offset = `${heldUntil.slice(0, -1)}+00:00`;
    await api.put("/api/seats/sent", { ...ITEM, heldUntil: offset }, WAIT);
    assert.equal((await api.get("/api/seats/sent")).body.heldUntil, heldUntil);
  });

  it("refuses an expiry in the past, or too far ahead, with its place", async () => {
    for (const [seconds, detail] of [
      [-1, "Must be in the future."],
      [301, "Must be at most PT5M from now."],
    ] as const) {
      const item = { ...ITEM, heldUntil: inSeconds(seconds) };
      for (const answer of [
        await api.post("/api/seats", item),
        await api.put("/api/seats/refused", item),
      ]) {
        assertProblem(answer, 422, "invalid-item", ["/heldUntil"]);
        assert.equal(answer.body.errors[0]?.detail, detail);
      }
      const { status, body } = await api.post("/api/seats", [ITEM, item]);
      assert.equal(status, 207);
      assertProblemBody(body.results[1] ?? body, 422, "invalid-item", ["/heldUntil"]);
    }
    assertProblem(await api.get("/api/seats/refused"), 404, "not-found");
  });

  it("answers 410 for an expired item, and lists it no more", async () => {
    await putExpiring("gone", -1);
    const gone = await api.get("/api/seats/gone");
    assertProblem(gone, 410, "deleted");
    assert.equal(gone.body.detail, "The item has expired.");
    await putExpiring("there", 100);
    assert.equal((await api.get("/api/seats/there")).status, 200);
    const { body } = await api.get("/api/seats?limit=1000&passenger=Gabriela");
    const ids = body.data.map(({ id }) => id);
    assert.deepEqual([ids.includes("there"), ids.includes("gone")], [true, false]);
  });

  it("goes on after a page whose last item has expired meanwhile", async () => {
    for (const id of ["p-1", "p-2", "p-3"]) await putExpiring(id, 100);
    const listed: string[] = [];
    for (let next: string | null = ""; next !== null; ) {
      const cursor = next && `&cursor=${next}`;
      const { body } = await api.get(`/api/seats?limit=1${cursor}`);
      for (const { id } of body.data) listed.push(id);
      next = body.next;
      const sql = "UPDATE seats SET held_until = UTC_TIMESTAMP(3) WHERE id = ?";
      await query(environment.pool, sql, [listed.at(-1)]);
    }
    const pages = listed.filter((id) => id.startsWith("p-"));
    assert.deepEqual(pages, ["p-1", "p-2", "p-3"]);
  });

  it("begins a new life by a put after expiry", async () => {
    await putExpiring("again", -5);
    const taken = await api.put("/api/seats/again", ITEM, { ...WAIT, "if-none-match": "*" });
    assert.equal(taken.status, 201);
    assert.equal((await api.get("/api/seats/again")).status, 200);
    const { body } = await api.get("/api/seats?order=desc&limit=1");
    assert.equal(body.data[0]?.id, "again");
  });

  it("takes a keyed create as a retry, though its expiry would be a later one", async () => {
    const key = { "idempotency-key": "seat", ...WAIT };
    const first = await api.post("/api/seats", ITEM, key);
    assert.equal(first.status, 201);
    const again = await api.post("/api/seats", ITEM, key);
    assert.equal(again.status, 200);
    assert.deepEqual(again.body, first.body);
    const sql = "UPDATE seats SET held_until = UTC_TIMESTAMP(3) - INTERVAL 1 SECOND WHERE id = ?";
    await query(environment.pool, sql, [first.body.id]);
    assertProblem(await api.post("/api/seats", ITEM, key), 410, "deleted");
    const other = { passenger: "Lucila" };
    assertProblem(await api.post("/api/seats", other, key), 422, "reused-key");
  });

  it("takes a keyed create as a retry, though the expiry that it names has passed", async () => {
    const key = { "idempotency-key": "named-expiry", ...WAIT };
    const item = { ...ITEM, heldUntil: inSeconds(3) };
    const first = await api.post("/api/seats", item, key);
    assert.equal(first.status, 201);
    await until("it has expired", () => Date.now() > Date.parse(item.heldUntil));
    assertProblem(await api.post("/api/seats", item, key), 410, "deleted");
    const another = { ...key, "idempotency-key": "another" };
    assertProblem(await api.post("/api/seats", item, another), 422, "invalid-item", ["/heldUntil"]);
  });

  it("leaves conditions to settlement within a minute of the expiry", async () => {
    const none = { "if-none-match": "*" };
    const settle = async (answer: Awaited<ReturnType<typeof api.put>>) => {
      assert.equal(answer.status, 202, answer.text);
      return (await api.settled(answer.body.receipt)).outcome;
    };
    for (const [id, seconds, outcome] of [
      ["near", 50, "conflict"],
      ["just", -5, "applied"],
    ] as const) {
      await putExpiring(id, seconds);
      assert.equal(await settle(await api.put(`/api/seats/${id}`, ITEM, none)), outcome, id);
    }
    const near = await putExpiring("near-2", 50);
    const just = await putExpiring("just-2", -5);
    const put = (id: string, etag: string) =>
      api.put(`/api/seats/${id}`, ITEM, { "if-match": etag });
    assert.equal(await settle(await put("near-2", near)), "applied");
    assert.equal(await settle(await put("just-2", just)), "conflict");
    await putExpiring("since", 50);
    const read = await api.get("/api/seats/since");
    const since = { "if-unmodified-since": read.headers.get("last-modified") ?? "" };
    const expire =
      "UPDATE seats SET held_until = UTC_TIMESTAMP(3) - INTERVAL 5 SECOND WHERE id = ?";
    await query(environment.pool, expire, ["since"]);
    assert.equal(await settle(await api.put("/api/seats/since", ITEM, since)), "conflict");
  });

  it("answers 412 at once far from the expiry", async () => {
    await putExpiring("far", 200);
    const none = { "if-none-match": "*" };
    assertProblem(await api.put("/api/seats/far", ITEM, none), 412, "failed-precondition");
    const old = await putExpiring("old", -200);
    const match = { "if-match": old };
    assertProblem(await api.put("/api/seats/old", ITEM, match), 412, "failed-precondition");
  });

  it("says of a write that had expired when it was published that it is expired", async () => {
    const [id, itemId] = [mintWriteId(), "stillborn"];
    const write: Write = {
      id,
      kind: "put",
      collection: seats,
      itemId,
      acceptedAt: getWriteTime(id),
      item: { ...ITEM, heldUntil: inSeconds(-1) },
    };
    const receipt = `/api/seats/${itemId}/writes/${id}`;
    await publishByHand(environment, [encodeWrite(write)]);
    const settled = await api.settled(receipt);
    assert.deepEqual([settled.outcome, settled.code], ["conflict", "expired"]);
    // Without a row, nothing but its receipt says that a second message is settled.
    await publishByHand(environment, [encodeWrite(write)]);
    await api.put("/api/seats/after-it", ITEM, WAIT);
    assert.deepEqual(await api.settled(receipt), settled);
    assertProblem(await api.get(`/api/seats/${itemId}`), 404, "not-found");
  });
});
