import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { describe, it } from "node:test";
import { data } from "../../collections/data.ts";
import { query } from "../../common/database.ts";
import { encodeWrite } from "../../common/write.ts";
import { getWriteTime, mintWriteId } from "../../common/write-id.ts";
import { sweep } from "../../subscriber/retention.ts";
import { diaries } from "../collections/diaries.ts";
import { visits } from "../collections/visits.ts";
import { startApi } from "../support/api.ts";
import { type Answer, assertProblem, createClient, publishByHand } from "../support/http.ts";
import { formatKeys, showKey } from "../support/keys.ts";
import { until } from "../support/until.ts";

const WAIT = { prefer: "wait=30" };

type Change = { position: number; id: string; version: string; item: unknown };

describe("the changes of a collection with a feed", () => {
  const { environment, api } = startApi({ collections: [data, visits], subscriber: true });
  const changes = (query = "", headers = {}) => api.get(`/api/changes/visits${query}`, headers);
  const list = ({ body }: Answer) => body.data as unknown as Change[];
  const put = async (id: string, name: string) =>
    (await api.put(`/api/visits/${id}`, { name }, WAIT)).headers.get("etag")?.slice(1, -1);

  /** The place at the end of the feed. */
  async function findEnd(): Promise<string> {
    for (let since = ""; ; ) {
      const { body } = await changes(`?limit=1000${since && `&since=${since}`}`);
      since = body.next as string;
      if (body.data.length === 0) return since;
    }
  }

  it("are the last state of each item, in the order in which they were applied, deletes too", async () => {
    const since = await findEnd();
    await put("a", "first");
    const b = await put("b", "second");
    await put("c", "third");
    const a = await put("a", "fourth");
    await api.delete("/api/visits/c", WAIT);
    const answer = await changes(`?since=${since}`);
    const [one, two, three] = list(answer);
    assert.deepEqual(one, { ...one, id: "b", version: b, item: { id: "b", name: "second" } });
    assert.deepEqual(two, { ...two, id: "a", version: a, item: { id: "a", name: "fourth" } });
    assert.deepEqual([three?.id, three?.item], ["c", null]);
    const positions = list(answer).map(({ position }) => position);
    const [first = 0] = positions;
    assert.deepEqual(positions, [first, first + 2, first + 3]);
    const end = await changes(`?since=${answer.body.next}`);
    assert.deepEqual([list(end), end.body.next], [[], answer.body.next]);
    await put("d", "fifth");
    const more = list(await changes(`?since=${end.body.next}`));
    assert.deepEqual(
      more.map(({ id, position }) => [id, position]),
      [["d", first + 4]],
    );
  });

  it("are numbered in receipts, also of the versions that were replaced", async () => {
    const id = mintWriteId();
    const first = await api.put("/api/visits/numbered", { name: "first" });
    const second = await api.put("/api/visits/numbered", { name: "second" });
    const receipts = [first, second].map(({ body }) => body.receipt);
    for (const receipt of receipts) await api.settled(receipt);
    const late = { id, kind: "put" as const, collection: visits, itemId: "numbered" };
    const message = encodeWrite({ ...late, item: { name: "x" }, acceptedAt: getWriteTime(id) });
    await publishByHand(environment, [message]);
    receipts.push(`/api/visits/numbered/writes/${id}`);
    const settled = await Promise.all(receipts.map((receipt) => api.settled(receipt)));
    const [one, two, refused] = settled.map(({ position }) => position as number | undefined);
    assert.ok(one !== undefined && two === one + 1, `${one}, ${two}`);
    assert.equal(refused, undefined);
    assert.equal(settled[2]?.outcome, "superseded");
    const { body } = await api.post("/api/data", { nombre: "x" });
    assert.ok(!("position" in (await api.settled(body.receipt))));
  });

  it("are read page by page, of any size, each once", async () => {
    const begin = await findEnd();
    const records = Array.from({ length: 25 }, (_, index) => ({ id: `p-${index}`, name: "x" }));
    await api.put("/api/visits", records, WAIT);
    for (const limit of [1, 7, 25, 26]) {
      const seen: string[] = [];
      for (let since = begin; ; ) {
        const answer = await changes(`?limit=${limit}&since=${since}`);
        if (list(answer).length === 0) break;
        assert.ok(list(answer).length <= limit);
        seen.push(...list(answer).map(({ id }) => id));
        since = answer.body.next as string;
      }
      assert.equal(seen.length, 25);
      assert.deepEqual(new Set(seen), new Set(records.map(({ id }) => id)));
    }
  });

  it("begin with everything that there is, also what was there before the feed", async () => {
    const version = mintWriteId();
    const now = "2026-01-01 00:00:00.000";
    const rows = ["old-2", "old-1", "old-3"].map((id) => [id, version, "old", now, now, now]);
    const sql =
      "INSERT INTO visits (id, version, name, created_at, updated_at, applied_at) VALUES ?";
    await query(environment.pool, sql, [rows]);
    const seen: Change[] = [];
    for (let since = ""; ; ) {
      const answer = await changes(`?limit=2${since && `&since=${since}`}`);
      if (list(answer).length === 0) break;
      seen.push(...list(answer));
      since = answer.body.next as string;
    }
    assert.deepEqual(
      seen.slice(0, 3).map(({ position, id }) => [position, id]),
      [
        [0, "old-1"],
        [0, "old-2"],
        [0, "old-3"],
      ],
    );
    const positions = seen.slice(3).map(({ position }) => position);
    assert.deepEqual(
      positions,
      [...new Set(positions)].toSorted((one, other) => one - other),
    );
    const listed: string[] = [];
    for (let cursor: string | null = ""; cursor !== null; ) {
      const { body } = await api.get(`/api/visits?limit=2${cursor && `&cursor=${cursor}`}`);
      listed.push(...body.data.map(({ id }) => id));
      cursor = body.next;
    }
    assert.deepEqual(listed.slice(0, 3), ["old-1", "old-2", "old-3"]);
    const items = seen.filter(({ item }) => item !== null).map(({ id }) => id);
    assert.deepEqual(listed.toSorted(), items.toSorted());
  });

  it("begin again with 410 where the place is of another epoch, or was not given yet", async () => {
    const since = await findEnd();
    const [feed] = await query(environment.pool, "SELECT * FROM feeds WHERE collection = 'visits'");
    const set = (column: string, value: unknown) =>
      query(environment.pool, `UPDATE feeds SET ${column} = ? WHERE collection = 'visits'`, [
        value,
      ]);
    await set("epoch", mintWriteId());
    assertProblem(await changes(`?since=${since}`), 410, "lost-place");
    assert.equal((await changes()).status, 200);
    await set("epoch", feed?.epoch);
    assert.equal((await changes(`?since=${since}`)).status, 200);
    await set("position", Number(feed?.position) - 1);
    assertProblem(await changes(`?since=${since}`), 410, "lost-place");
    await set("position", feed?.position);
  });

  it("begin again with 410 where a delete was swept that the reader needs, and nowhere else", async () => {
    const { pool } = environment;
    for (const id of ["s-1", "s-2", "s-3"]) await put(id, "x");
    const knowsAll = await findEnd();
    await api.delete("/api/visits/s-1", WAIT);
    const afterFirst = await findEnd();
    // It has begun, and has not come to the tombstones yet.
    const inWalk = (await changes("?limit=1")).body.next as string;
    const old = "UPDATE visits SET deleted_at = ?, applied_at = ? WHERE id = ?";
    const monthsAgo = "2026-01-01 00:00:00.000";
    const sweepNow = async (id: string) => {
      await query(pool, old, [monthsAgo, monthsAgo, id]);
      const options = { pool, collections: [visits], retentionDays: 30 };
      await until("it is swept", async () => (await sweep(options)) > 0);
      assertProblem(await api.get(`/api/visits/${id}`), 404, "not-found");
    };
    await sweepNow("s-1");
    assertProblem(await changes(`?since=${knowsAll}`), 410, "lost-place");
    for (const place of [afterFirst, inWalk])
      assert.equal((await changes(`?since=${place}`)).status, 200);
    await api.delete("/api/visits/s-2", WAIT);
    await sweepNow("s-2");
    for (const place of [knowsAll, afterFirst, inWalk])
      assertProblem(await changes(`?since=${place}`), 410, "lost-place");
    const end = await findEnd();
    assert.deepEqual(list(await changes(`?since=${end}`)), []);
    await put("s-3", "y");
    assert.deepEqual(
      list(await changes(`?since=${end}`)).map(({ id }) => id),
      ["s-3"],
    );
  });

  it("and the list wait for the write whose receipt the parameter after names", async () => {
    const id = mintWriteId();
    const receipt = `/api/visits/awaited/writes/${id}`;
    const since = await findEnd();
    for (const path of [`/api/changes/visits?since=${since}&`, "/api/visits?order=desc&limit=1&"]) {
      assertProblem(await api.get(`${path}after=${receipt}`), 503, "unavailable");
      const short = await api.get(`${path}after=${receipt}`, { prefer: "wait=0" });
      assertProblem(short, 503, "unavailable");
    }
    const waiting = [
      changes(`?since=${since}&after=${receipt}`, WAIT),
      api.get(
        `/api/visits?order=desc&limit=1&after=${encodeURIComponent(api.url + receipt)}`,
        WAIT,
      ),
    ];
    const write = { id, kind: "put" as const, collection: visits, itemId: "awaited" };
    const item = { name: "x" };
    await publishByHand(environment, [
      encodeWrite({ ...write, item, acceptedAt: getWriteTime(id) }),
    ]);
    for (const answer of await Promise.all(waiting)) {
      assert.equal(answer.status, 200, answer.text);
      assert.equal(answer.headers.get("preference-applied"), "wait=30");
      assert.equal(answer.body.data[0]?.id, "awaited");
    }
    for (const wrong of [
      "x",
      id,
      "",
      `/api/data/awaited/writes/${id}`,
      `/api/visits/awaited/writes/${id}/x`,
      "/api/visits/awaited/writes/x",
    ])
      for (const path of ["/api/changes/visits", "/api/visits"])
        assertProblem(await api.get(`${path}?after=${wrong}`), 400, "malformed-request");
    const { body } = await api.post("/api/data", { nombre: "x" }, { prefer: "wait=0" });
    const found = await api.get(`/api/data?order=desc&limit=1&after=${body.receipt}`, WAIT);
    assert.equal(found.body.data[0]?.id, body.id, "a list without a feed waits too");
  });

  it("tell a write of another item by its id alone, whatever it did there", async () => {
    const put = (id: string) => api.put(`/api/visits/${id}`, { name: "x" }, WAIT);
    const created = await put("found-1");
    const replaced = await put("found-2");
    const current = await put("found-2");
    await put("found-3");
    const gone = await api.delete("/api/visits/found-3", WAIT);
    for (const { headers } of [created, replaced, current, gone]) {
      const [, write = ""] = /\/writes\/(.*)>/.exec(headers.get("link") ?? "") ?? [];
      const after = `/api/visits/another?after=${write}`;
      assertProblem(await api.get(after), 400, "malformed-request");
      assertProblem(await api.get(`/api/visits/another/writes/${write}`), 404, "not-found");
    }
  });

  it("refuse unknown parameters, and what is no place of this feed", async () => {
    const next = (await changes()).body.next as string;
    const decoded = JSON.parse(Buffer.from(next, "base64url").toString()) as unknown[];
    const forge = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");
    const change = (place: number, value: unknown) =>
      forge(decoded.map((part, index) => (index === place ? value : part)));
    const wrong = [
      "x=1",
      "order=desc",
      "limit=0",
      "limit=1001",
      "since=",
      "since=x",
      "since=a&since=b",
      `since=${change(0, "data")}`,
      `since=${change(1, 5)}`,
      `since=${change(2, -1)}`,
      `since=${change(2, 1e99)}`,
      `since=${change(2, "1")}`,
      `since=${change(3, "a/b")}`,
      `since=${change(4, -1)}`,
      `since=${forge({})}`,
      `since=${next.slice(0, -3)}`,
    ];
    for (const search of wrong)
      assertProblem(await changes(`?${search}`), 400, "malformed-request");
    assert.equal((await changes(`?since=${forge(decoded)}`)).status, 200);
  });

  it("need the right to read the collection", async () => {
    const names = ["visits:read", "visits:write", "data:read"];
    const hash = (key: string) => createHash("sha256").update(key).digest("hex");
    const keys = names.map((scope, index) => `key-${index} ${hash(`secret-of-${index}`)} ${scope}`);
    const env = { API_KEYS: keys.join("\n"), ACCESS: "keys" };
    const { url } = await environment.startApi({ collections: [data, visits], env });
    const guarded = createClient(url);
    const ask = async (headers = {}) => (await guarded.get("/api/changes/visits", headers)).status;
    const statuses = names.map((_, index) => ask({ authorization: `Bearer secret-of-${index}` }));
    assert.deepEqual([...(await Promise.all(statuses)), await ask()], [200, 403, 403, 401]);
  });

  it("are a reader's own where only owners read, deletes too", async () => {
    const API_KEYS = formatKeys({ ana: "write", bruno: "write" });
    const options = { collections: [diaries], env: { API_KEYS } };
    const own = createClient((await environment.startApi(options)).url);
    const { stop } = await environment.startSubscriber(options);
    const [ana, bruno] = [showKey("ana"), showKey("bruno")];
    for (const [id, headers] of [
      ["a-1", ana],
      ["b-1", bruno],
      ["a-2", ana],
    ] as const)
      await own.put(`/api/diaries/${id}`, diaries.example, { ...headers, ...WAIT });
    await own.delete("/api/diaries/a-1", { ...ana, ...WAIT });
    const read = async (headers: Record<string, string>) =>
      list(await own.get("/api/changes/diaries", headers)).map(({ id, item }) => [
        id,
        item !== null,
      ]);
    assert.deepEqual(await read(ana), [
      ["a-2", true],
      ["a-1", false],
    ]);
    assert.deepEqual(await read(bruno), [["b-1", true]]);
    assertProblem(await own.get("/api/changes/diaries"), 401, "missing-key");
    const receipt = (
      await own.put("/api/diaries/b-1", diaries.example, { ...bruno, ...WAIT })
    ).headers
      .get("link")
      ?.slice(1, -15);
    const strangers = `/api/changes/diaries?after=${receipt}`;
    assert.equal((await own.get(strangers, bruno)).status, 200);
    assertProblem(await own.get(strangers, ana), 503, "unavailable");
    // Who polls all the time has missed nothing of what others have deleted, and what was swept then.
    let since = (await own.get("/api/changes/diaries", ana)).body.next as string;
    const poll = async () => {
      const { status, body } = await own.get(`/api/changes/diaries?since=${since}`, ana);
      assert.equal(status, 200);
      since = body.next as string;
      return body.data.length;
    };
    for (const id of ["b-1", "b-2"]) {
      await own.put(`/api/diaries/${id}`, diaries.example, { ...bruno, ...WAIT });
      await own.delete(`/api/diaries/${id}`, { ...bruno, ...WAIT });
      assert.equal(await poll(), 0);
      const old = "UPDATE diaries SET deleted_at = ?, applied_at = ? WHERE id = ?";
      const monthsAgo = "2026-01-01 00:00:00.000";
      await query(environment.pool, old, [monthsAgo, monthsAgo, id]);
      const options = { pool: environment.pool, collections: [diaries], retentionDays: 30 };
      await until("it is swept", async () => (await sweep(options)) > 0);
      assert.equal(await poll(), 0);
    }
    await stop();
  });

  it("are there only for GET, and where the collection has a feed", async () => {
    for (const path of ["/api/changes/data", "/api/changes/nothing"])
      assertProblem(await api.get(path), 404, "not-found");
    assert.match((await api.get("/api/changes/data")).body.detail, /data has no feed/);
    for (const method of ["POST", "PUT", "DELETE"]) {
      const answer = await api.send(method, "/api/changes/visits", { body: "{}" });
      assertProblem(answer, 405, "wrong-method");
      assert.equal(answer.headers.get("allow"), "GET, HEAD");
    }
    const options = await api.send("OPTIONS", "/api/changes/visits");
    assert.deepEqual([options.status, options.headers.get("allow")], [204, "GET, HEAD"]);
    assert.equal((await api.send("HEAD", "/api/changes/visits")).status, 200);
    const { body } = await api.get("/openapi.json");
    const paths = Object.keys(body.paths as object).filter((path) => path.includes("changes"));
    assert.deepEqual(paths, ["/api/changes/visits"]);
  });
});
