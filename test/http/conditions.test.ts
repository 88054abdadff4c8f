import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { v7 } from "uuid";
import { data } from "../../collections/data.ts";
import { encodeWrite } from "../../common/write.ts";
import { getWriteTime, mintWriteId } from "../../common/write-id.ts";
import { startApi } from "../support/api.ts";
import { assertProblem, createClient, publishByHand } from "../support/http.ts";
import { until } from "../support/until.ts";

const WAIT = { prefer: "wait=30" };
const ITEM = { nombre: "x" };

describe("conditions and idempotency keys, with a subscriber running", () => {
  const { environment, api } = startApi({ subscriber: true });

  it("apply a put and a delete whose If-Match names the item's version", async () => {
    const created = await api.put("/api/data/m-1", { nombre: "1" }, WAIT);
    const first = { "if-match": created.headers.get("etag") as string };
    const put = await api.put("/api/data/m-1", { nombre: "2" }, { ...WAIT, ...first });
    assert.equal(put.status, 200);
    const stale = await api.put("/api/data/m-1", { nombre: "3" }, first);
    assertProblem(stale, 412, "failed-precondition");
    assertProblem(await api.delete("/api/data/m-1", first), 412, "failed-precondition");
    const second = { "if-match": put.headers.get("etag") as string };
    assert.equal((await api.delete("/api/data/m-1", { ...WAIT, ...second })).status, 204);
    assertProblem(await api.delete("/api/data/m-1", second), 412, "failed-precondition");
  });

  it("apply to a version that a machine with a faster clock has minted", async () => {
    const ahead = v7({ msecs: Date.now() + 30_000 });
    const acceptedAt = getWriteTime(ahead);
    const common = { id: ahead, kind: "put", collection: data, acceptedAt } as const;
    const message = encodeWrite({ ...common, itemId: "m-5", item: { nombre: "ahead" } });
    await publishByHand(environment, [message]);
    assert.equal((await api.settled(`/api/data/m-5/writes/${ahead}`)).outcome, "applied");
    // A process of its own: from here on its ids are ahead of the clock as well.
    const behind = createClient((await environment.spawn("api")).url);
    const named = { "if-match": `"${ahead}"` };
    const { body } = await behind.put("/api/data/m-5", { nombre: "after it" }, named);
    assert.ok(body.write > ahead);
    assert.equal((await api.settled(body.receipt)).outcome, "applied");
    assert.equal((await api.get("/api/data/m-5")).body.nombre, "after it");
  });

  it("wait for a version that is still on its way", async () => {
    const version = mintWriteId();
    const put = await api.put(
      "/api/data/m-6",
      { nombre: "after it" },
      { "if-match": `"${version}"` },
    );
    assert.equal(put.status, 202);
    // Others are settled meanwhile; this one is not, though it was delivered as well.
    assert.equal((await api.put("/api/data/other", { nombre: "x" }, WAIT)).status, 201);
    assert.equal((await api.get(put.body.receipt)).body.status, "accepted");
    const message = encodeWrite({
      id: version,
      kind: "put",
      collection: data,
      itemId: "m-6",
      acceptedAt: getWriteTime(version),
      item: { nombre: "at last" },
    });
    await publishByHand(environment, [message]);
    assert.equal((await api.settled(put.body.receipt)).outcome, "applied");
    assert.equal((await api.get("/api/data/m-6")).body.nombre, "after it");
  });

  it("answer 412 at once where the row shows that If-Match or If-None-Match cannot hold", async () => {
    await api.put("/api/data/m-2", { nombre: "1" }, WAIT);
    const body = { nombre: "2" };
    const refused: [string, Record<string, string>][] = [
      ["m-2", { "if-none-match": "*" }],
      ["m-2", { "if-match": '"not-a-version-of-ours"' }],
      ["m-2", { "if-match": 'W/"01968b3e-7c00-7000-8000-0123456789ab"' }],
      ["m-2", { "if-match": '"01968b3e-7c00-7000-8000-0123456789ab"' }],
      ["m-2", { "if-match": '"a", "b"' }],
      ["m-2", { "if-match": '""' }],
      ["m-2", { "if-match": '"01968b3e-7c00-7000-8000-0123456789ab", "a,*,b"' }],
      ["absent", { "if-match": "*" }],
      ["absent", { "if-match": '"01968b3e-7c00-7000-8000-0123456789ab"' }],
    ];
    for (const [id, condition] of refused)
      assertProblem(
        await api.put(`/api/data/${id}`, body, { ...condition, prefer: "wait=5" }),
        412,
        "failed-precondition",
      );
    assert.equal((await api.get("/api/data/m-2")).body.nombre, "1");
    assertProblem(await api.get("/api/data/absent"), 404, "not-found");
  });

  it("apply where If-Match lists the item's version, and wait where it lists one in flight", async () => {
    const { headers } = await api.put("/api/data/m-7", { nombre: "1" }, WAIT);
    const old = '"01968b3e-7c00-7000-8000-0123456789ab"';
    // Weak, as a proxy that compresses leaves it.
    const listed = { "if-match": `, "x" ,,${old}, W/${headers.get("etag")},`, ...WAIT };
    assert.equal((await api.put("/api/data/m-7", { nombre: "2" }, listed)).status, 200);
    assertProblem(
      await api.put("/api/data/m-7", { nombre: "3" }, listed),
      412,
      "failed-precondition",
    );
    const now = (await api.get("/api/data/m-7")).headers.get("etag");
    const inFlight = { "if-match": `${now}, "${mintWriteId()}"` };
    assertProblem(await api.put("/api/data/m-7", { nombre: "3" }, inFlight), 503, "unavailable");
    assert.equal((await api.get("/api/data/m-7")).body.nombre, "2");
  });

  it("apply If-Match: * to what is there, and If-None-Match: * to what is not", async () => {
    const none = { ...WAIT, "if-none-match": "*" };
    assert.equal((await api.put("/api/data/m-3", { nombre: "1" }, none)).status, 201);
    const any = { ...WAIT, "if-match": "*" };
    assert.equal((await api.put("/api/data", { id: "m-3", nombre: "2" }, any)).status, 200);
    assert.equal((await api.delete("/api/data/m-3", any)).status, 204);
    assertProblem(await api.delete("/api/data/m-3", any), 412, "failed-precondition");
    assert.equal((await api.put("/api/data/m-3", { nombre: "3" }, none)).status < 300, true);
  });

  it("refuse a condition on a POST, two at once, and what is no condition", async () => {
    const body = { nombre: "x" };
    const refuse = async (headers: Record<string, string>) =>
      assertProblem(await api.put("/api/data/m-4", body, headers), 400, "malformed-request");
    for (const tag of ["x", '"a" "b"', ",", "'a'", '"a', `"${mintWriteId()}",*`])
      await refuse({ "if-match": tag });
    await refuse({ "if-none-match": '"a"' });
    await refuse({ "if-match": "*", "if-none-match": "*" });
    const date = new Date().toUTCString();
    for (const header of ["if-match", "if-none-match", "if-unmodified-since"]) {
      const condition = { [header]: header.endsWith("since") ? date : "*" };
      assertProblem(await api.post("/api/data", body, condition), 400, "malformed-request");
      const many = await api.put("/api/data", [{ id: "m-4", ...body }], condition);
      assertProblem(many, 400, "malformed-request");
    }
  });

  it("refuse headers that no route can honour, and leave those of reads aside", async () => {
    const unsupported: [string, string][] = [
      ["idempotency-key", "k"],
      ["content-range", "bytes 0-9/20"],
      ["x-http-method-override", "PATCH"],
    ];
    for (const [name, value] of unsupported) {
      const headers = { [name]: value };
      for (const answer of [
        await api.put("/api/data/h-1", ITEM, headers),
        await api.put("/api/data", { id: "h-1", ...ITEM }, headers),
        await api.put("/api/data", [{ id: "h-1", ...ITEM }], headers),
        await api.delete("/api/data/h-1", headers),
        ...(name === "idempotency-key" ? [] : [await api.post("/api/data", ITEM, headers)]),
      ])
        assertProblem(answer, 400, "malformed-request");
      assertProblem(await api.get("/api/data/h-1", headers), 404, "not-found");
    }
  });

  /** Puts an item by a write whose id, and so its Last-Modified, is of this time. */
  async function putAt(itemId: string, acceptedAt: number): Promise<void> {
    const id = v7({ msecs: acceptedAt });
    const common = { id, kind: "put", collection: data, acceptedAt } as const;
    await publishByHand(environment, [encodeWrite({ ...common, itemId, item: { nombre: "old" } })]);
    assert.equal((await api.settled(`/api/data/${itemId}/writes/${id}`)).outcome, "applied");
  }

  it("apply only where the item was not modified since a date, whatever its form", async () => {
    const second = Math.floor(Date.now() / 1_000) * 1_000 - 10_000;
    const date = new Date(second);
    const [weekday = "", day = "", month, year = "", time] = date.toUTCString().split(" ");
    const long = date.toLocaleDateString("en", { weekday: "long", timeZone: "UTC" });
    const before = { "if-unmodified-since": new Date(second - 1_000).toUTCString() };
    const forms = [
      date.toUTCString(),
      `${long}, ${day}-${month}-${year.slice(2)} ${time} GMT`,
      `${weekday.slice(0, 3)} ${month} ${day.replace(/^0/, " ")} ${time} ${year}`,
    ];
    for (const [place, form] of forms.entries()) {
      const path = `/api/data/u-${place}`;
      await putAt(`u-${place}`, second + 100);
      assert.equal((await api.get(path)).headers.get("last-modified"), forms[0]);
      const body = { nombre: "new" };
      assertProblem(await api.put(path, body, before), 412, "failed-precondition");
      assertProblem(await api.delete(path, before), 412, "failed-precondition");
      assertProblem(await api.get(path, before), 412, "failed-precondition");
      assert.equal((await api.get(path)).body.nombre, "old");
      const since = { "if-unmodified-since": form };
      assert.equal((await api.get(path, since)).status, 200);
      assert.equal((await api.put(path, body, { ...since, ...WAIT })).status, 200, form);
      assertProblem(await api.put(path, body, since), 412, "failed-precondition");
      await api.delete(path, WAIT);
      assertProblem(await api.put(path, body, since), 412, "failed-precondition");
    }
    const since = { "if-unmodified-since": date.toUTCString() };
    assertProblem(await api.put("/api/data/absent", ITEM, since), 412, "failed-precondition");
  });

  it("refuse a date that does not tell two versions of one second apart", async () => {
    const second = Math.floor(Date.now() / 1_000) * 1_000 - 10_000;
    await putAt("u-4", second + 100);
    const { headers } = await api.get("/api/data/u-4");
    const since = { "if-unmodified-since": headers.get("last-modified") as string };
    await putAt("u-4", second + 500);
    assertProblem(await api.put("/api/data/u-4", ITEM, since), 412, "failed-precondition");
    assert.equal((await api.get("/api/data/u-4")).body.nombre, "old");
  });

  it("refuse a date of the client's own where the version was applied later", async () => {
    const second = Math.floor(Date.now() / 1_000) * 1_000 - 10_000;
    await putAt("u-5", second);
    const since = { "if-unmodified-since": new Date(second + 5_000).toUTCString() };
    assertProblem(await api.put("/api/data/u-5", ITEM, since), 412, "failed-precondition");
    const later = { "if-unmodified-since": new Date(Date.now() + 60_000).toUTCString() };
    assert.equal((await api.put("/api/data/u-5", ITEM, { ...later, ...WAIT })).status, 200);
  });

  it("leave a date beside If-Match aside, and refuse one beside If-None-Match, or no date", async () => {
    const { headers } = await api.put("/api/data/u-6", ITEM, WAIT);
    const old = { "if-unmodified-since": new Date(0).toUTCString() };
    const match = { "if-match": headers.get("etag") as string, ...old, ...WAIT };
    assert.equal((await api.put("/api/data/u-6", ITEM, match)).status, 200);
    const refused: Record<string, string>[] = [
      { ...old, "if-none-match": "*" },
      { "if-unmodified-since": "2026-03-01T09:30:00Z" },
      { "if-unmodified-since": "" },
    ];
    for (const more of refused) {
      assertProblem(await api.put("/api/data/u-6", ITEM, more), 400, "malformed-request");
      assertProblem(await api.delete("/api/data/u-6", more), 400, "malformed-request");
    }
  });

  it("let a retried create meet its own item: the receipt says duplicate", async () => {
    const headers = { "idempotency-key": "retry-1" };
    const first = await api.post("/api/data", { nombre: "once" }, { ...headers, ...WAIT });
    assert.equal(first.status, 201);
    const again = await api.post("/api/data", { nombre: "once" }, headers);
    assert.equal(again.status, 202);
    assert.equal(again.body.id, first.body.id);
    assert.equal((await api.settled(again.body.receipt)).outcome, "duplicate");
    const waited = await api.post("/api/data", { nombre: "once" }, { ...headers, ...WAIT });
    assert.equal(waited.status, 200);
    assert.deepEqual(waited.body, first.body);
    assert.equal(waited.headers.get("etag"), first.headers.get("etag"));
  });

  it("refuse a settled key with another body by 422, and keep keys apart", async () => {
    const headers = { "idempotency-key": "retry-2", ...WAIT };
    const first = await api.post("/api/data", { nombre: "mine" }, headers);
    assertProblem(await api.post("/api/data", { nombre: "other" }, headers), 422, "reused-key");
    const another = await api.post(
      "/api/data",
      { nombre: "mine" },
      { "idempotency-key": "retry-3" },
    );
    assert.notEqual(another.body.id, first.body.id);
    assert.equal((await api.get(`/api/data/${first.body.id}`)).body.nombre, "mine");
  });

  it("refuse what is no Idempotency-Key", async () => {
    for (const key of ["", " ", "two words", "ñ", "x".repeat(256)])
      assertProblem(
        await api.post("/api/data", { nombre: "x" }, { "idempotency-key": key }),
        400,
        "malformed-request",
      );
    const longest = { "idempotency-key": "x".repeat(255) };
    assert.equal((await api.post("/api/data", { nombre: "x" }, longest)).status, 202);
  });
});

describe("conditions and idempotency keys, while nothing is settled yet", () => {
  const { environment, api } = startApi({ env: { METRICS: "on" } });

  it("apply a chain of conditional writes that were sent without waiting", async () => {
    const writes = [(await api.put("/api/data/chain", { nombre: "0" })).body];
    for (let link = 1; link <= 5; link += 1) {
      const headers = { "if-match": `"${writes.at(-1)?.write}"` };
      const put = await api.put("/api/data/chain", { nombre: String(link) }, headers);
      assert.equal(put.status, 202);
      writes.push(put.body);
    }
    const subscriber = await environment.startSubscriber();
    for (const { receipt } of writes) assert.equal((await api.settled(receipt)).outcome, "applied");
    assert.equal((await api.get("/api/data/chain")).body.nombre, "5");
    await subscriber.stop();
  });

  it("apply one of two writes that name the same version, and answer 412 to the other", async () => {
    const first = await api.put("/api/data/fork", { nombre: "0" });
    const headers = { "if-match": `"${first.body.write}"`, ...WAIT };
    const acceptedBefore = await api.countAccepted();
    const forks = ["left", "right"].map((nombre) => api.put("/api/data/fork", { nombre }, headers));
    const created = api.put(
      "/api/data/once",
      { nombre: "left" },
      { "if-none-match": "*", ...WAIT },
    );
    const creates = [
      created,
      api.put("/api/data/once", { nombre: "right" }, { "if-none-match": "*", ...WAIT }),
    ];
    await until(
      "all four are accepted",
      async () => (await api.countAccepted()) === acceptedBefore + 4,
    );
    const subscriber = await environment.startSubscriber();
    for (const [path, pair, success] of [
      ["/api/data/fork", await Promise.all(forks), 200],
      ["/api/data/once", await Promise.all(creates), 201],
    ] as const) {
      const [winner, loser] = pair.toSorted((a, b) => a.status - b.status);
      assert.ok(winner && loser);
      assert.equal(winner.status, success);
      assertProblem(loser, 412, "failed-precondition");
      // It was accepted, so its outcome is reported like any other.
      assert.equal(loser.headers.get("link"), `<${loser.body.receipt}>; rel="status"`);
      assert.equal((await api.settled(String(loser.body.receipt))).outcome, "conflict");
      assert.equal((await api.get(path)).body.nombre, winner.body.nombre);
    }
    await subscriber.stop();
  });

  it("make one item of a keyed create that is retried at once, and a conflict of another body", async () => {
    const headers = { "idempotency-key": "in-flight" };
    const first = await api.post("/api/data", { nombre: "mine" }, headers);
    const retry = await api.post("/api/data", { nombre: "mine" }, headers);
    const other = await api.post("/api/data", { nombre: "other" }, headers);
    for (const { status, body } of [retry, other]) {
      assert.equal(status, 202);
      assert.equal(body.id, first.body.id);
    }
    const subscriber = await environment.startSubscriber();
    const outcomes: unknown[] = [];
    for (const { body } of [first, retry, other])
      outcomes.push((await api.settled(body.receipt)).outcome);
    const { body } = await api.get(`/api/data/${first.body.id}`);
    // Whichever is delivered first makes the item; all three of one batch meet in their order.
    if (body.nombre === "mine")
      assert.deepEqual(outcomes.toSorted(), ["applied", "conflict", "duplicate"]);
    else assert.deepEqual(outcomes, ["conflict", "conflict", "applied"]);
    await subscriber.stop();
  });
});
