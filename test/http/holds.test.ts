import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { data } from "../../collections/data.ts";
import { query } from "../../common/database.ts";
import { fromDateTime } from "../../common/date-times.ts";
import { FOLLOWING_WRITES } from "../../common/limits.ts";
import { encodeWrite, type Write } from "../../common/write.ts";
import { deriveExpireId, getWriteTime } from "../../common/write-id.ts";
import { berths, cabins } from "../collections/berths.ts";
import { startApi } from "../support/api.ts";
import { assertProblem, publishByHand } from "../support/http.ts";
import { formatKeys, showKey } from "../support/keys.ts";
import { versionAt } from "../support/schedules.ts";
import { until } from "../support/until.ts";

const WAIT = { prefer: "wait=30" };
const ANA = { ...WAIT, ...showKey("ana") };
const BERTA = { ...WAIT, ...showKey("berta") };
const IF_NONE = { "if-none-match": "*" };
const ITEM = { note: "By the window." };

describe("what is held by one of several subjects", () => {
  const { environment, api } = startApi({
    collections: [data, berths, cabins],
    subscriber: true,
    env: { API_KEYS: formatKeys({ ana: "write", berta: "write", carla: "write" }) },
  });

  /** Has ana's berth expire so many seconds from now, by MySQL's clock. */
  async function hold(id: string, inSeconds: number): Promise<string> {
    const put = await api.put(`/api/berths/${id}`, ITEM, ANA);
    assert.equal(put.status, 201, put.text);
    const sql = "UPDATE berths SET held_until = UTC_TIMESTAMP(3) + INTERVAL ? SECOND WHERE id = ?";
    await query(environment.pool, sql, [inSeconds, id]);
    return put.headers.get("etag") as string;
  }

  const readReceipt = (headers: Headers) =>
    /<(.*)>; rel="status"/.exec(headers.get("link") ?? "")?.[1] ?? "";
  const put = (id: string, headers: Record<string, string>) =>
    api.put(`/api/berths/${id}`, ITEM, headers);

  it("is refused to another at once while it is far from its expiry", async () => {
    await hold("far", 200);
    assertProblem(await put("far", BERTA), 403, "not-owner");
    assertProblem(await api.delete("/api/berths/far", BERTA), 403, "not-owner");
    assert.equal((await put("far", ANA)).status, 200);
  });

  it("is refused to another by settlement within a minute of its expiry", async () => {
    await hold("near", 30);
    const { body, status } = await put("near", showKey("berta"));
    assert.equal(status, 202);
    const settled = await api.settled(body.receipt);
    assert.deepEqual([settled.outcome, settled.code], ["conflict", "not-owner"]);
    assertProblem(await put("near", { ...BERTA, ...IF_NONE }), 403, "not-owner");
    assert.equal((await api.get("/api/berths/near")).body.user, "key:ana");
  });

  it("is another's to take once it has expired, and then no more the first one's", async () => {
    for (const [id, secondsAgo] of [
      ["just", 5],
      ["long", 300],
    ] as const) {
      await hold(id, -secondsAgo);
      assertProblem(await api.get(`/api/berths/${id}`), 410, "deleted");
      const taken = await put(id, { ...BERTA, ...IF_NONE });
      assert.deepEqual([taken.status, taken.body.user], [201, "key:berta"]);
      assertProblem(await put(id, ANA), 403, "not-owner");
    }
  });

  it("may be taken again by its owner at once, and begins a new life then", async () => {
    await hold("again", -0.5);
    const again = await put("again", { ...ANA, ...IF_NONE });
    assert.deepEqual([again.status, again.body.user], [201, "key:ana"]);
  });

  it("is free a second after its release", async () => {
    await hold("released", 200);
    assert.equal((await api.delete("/api/berths/released", ANA)).status, 204);
    assertProblem(await api.get("/api/berths/released"), 410, "deleted");
    const [row] = await query(
      environment.pool,
      "SELECT held_until > UTC_TIMESTAMP(3) - INTERVAL 60 SECOND AS is_now, owner FROM berths" +
        " WHERE id = 'released'",
    );
    assert.deepEqual({ ...row }, { is_now: 1, owner: "key:ana" });
    const sql = "UPDATE berths SET held_until = held_until - INTERVAL 2 SECOND WHERE id = ?";
    await query(environment.pool, sql, ["released"]);
    const taken = await put("released", { ...BERTA, ...IF_NONE });
    assert.deepEqual([taken.status, taken.body.user], [201, "key:berta"]);
  });

  it("is to a DELETE not there a while after its end, whosever it was", async () => {
    await hold("ended", -70);
    for (const who of [ANA, BERTA])
      assertProblem(await api.delete("/api/berths/ended", who), 404, "not-found");
    // While clocks may differ, only settlement knows; such deletes are bounded as all that wait.
    await hold("ending", -30);
    const answers = [];
    for (let index = 0; index <= FOLLOWING_WRITES.perCaller; index += 1)
      answers.push(await api.delete("/api/berths/ending", showKey("carla")));
    const statuses = answers.map(({ status }) => status);
    assert.deepEqual(statuses, [...Array(FOLLOWING_WRITES.perCaller).fill(202), 503]);
  });

  it("is kept by a renewal with its version, and lost where another took it before", async () => {
    const etag = await hold("renewed", 30);
    const renewed = await put("renewed", { ...ANA, "if-match": etag });
    assert.equal(renewed.status, 200);
    const lost = await hold("lost", -5);
    assert.equal((await put("lost", BERTA)).status, 201);
    assertProblem(await put("lost", { ...ANA, "if-match": lost }), 403, "not-owner");
  });

  it("is renewed, and taken after its expiry, though an API that is 30 s fast accepted it", async () => {
    for (const itemId of ["fast-renewed", "fast-taken"]) {
      const id = versionAt(Date.now() + 30_000, 1);
      const heldUntil = new Date(Date.now() + 100_000).toISOString();
      const write: Write = {
        id,
        kind: "put",
        collection: berths,
        itemId,
        acceptedAt: getWriteTime(id),
        item: { ...ITEM, user: "key:ana", heldUntil },
        subject: "key:ana",
      };
      await publishByHand(environment, [encodeWrite(write)]);
      assert.equal((await api.settled(`/api/berths/${itemId}/writes/${id}`)).outcome, "applied");
    }
    const renewed = await put("fast-renewed", ANA);
    assert.equal(renewed.status, 200);
    assert.equal((await api.settled(readReceipt(renewed.headers))).outcome, "applied");
    const sql = "UPDATE berths SET held_until = UTC_TIMESTAMP(3) - INTERVAL 5 SECOND WHERE id = ?";
    await query(environment.pool, sql, ["fast-taken"]);
    const taken = await put("fast-taken", { ...BERTA, ...IF_NONE });
    assert.deepEqual([taken.status, taken.body.user], [201, "key:berta"]);
  });

  it("is told to strangers as another's only: no receipt of theirs says until when", async () => {
    await hold("secret", 30);
    const answer = await put("secret", BERTA);
    assertProblem(answer, 403, "not-owner");
    assert.doesNotMatch(answer.text, /heldUntil|expire|20\d\d-/);
  });

  it("is seen by its owner alone where only owners read, expired, swept or taken", async () => {
    const cabin = "/api/cabins/mine";
    const created = await api.put(cabin, ITEM, ANA);
    assert.equal(created.status, 201);
    const sql =
      "UPDATE cabins SET held_until = UTC_TIMESTAMP(3) - INTERVAL 90 SECOND WHERE id = 'mine'";
    await query(environment.pool, sql);
    const read = async (key: string) => (await api.get(cabin, showKey(key))).status;
    assert.deepEqual([await read("ana"), await read("berta")], [410, 404]);
    for (const key of ["ana", "berta"])
      assert.deepEqual((await api.get("/api/cabins", showKey(key))).body.data, []);
    const version = (created.headers.get("etag") as string).replaceAll('"', "");
    const [row] = await query(environment.pool, "SELECT held_until FROM cabins WHERE id = 'mine'");
    const expire = deriveExpireId(version, fromDateTime(String(row?.held_until)));
    assert.equal((await api.get("/_ah/sweep", { "x-appengine-cron": "true" })).status, 204);
    await until("it is swept", async () => {
      const { body } = await api.get(`${cabin}/writes/${expire}`, showKey("ana"));
      return body.outcome === "applied";
    });
    assert.deepEqual([await read("ana"), await read("berta")], [410, 404]);
    assertProblem(await api.get(`${cabin}/writes/${expire}`, showKey("berta")), 404, "not-found");
    assert.equal((await api.put(cabin, ITEM, { ...BERTA, ...IF_NONE })).status, 201);
    assert.deepEqual([await read("ana"), await read("berta")], [404, 200]);
    assert.equal((await api.get(`${cabin}/writes/${expire}`, showKey("ana"))).status, 200);
  });
});
