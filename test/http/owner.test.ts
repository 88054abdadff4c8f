import assert from "node:assert/strict";
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { describe, it } from "node:test";
import { query } from "../../common/database.ts";
import { FOLLOWING_WRITES } from "../../common/limits.ts";
import { encodeWrite, type Write } from "../../common/write.ts";
import { getWriteTime, mintWriteId } from "../../common/write-id.ts";
import { planReplay } from "../../ops/replay.ts";
import { notes } from "../collections/notes.ts";
import { startApi } from "../support/api.ts";
import { buildLetter } from "../support/dead-letter.ts";
import {
  type Answer,
  assertProblem,
  assertProblemBody,
  createClient,
  publishByHand,
} from "../support/http.ts";
import { formatKeys, showKey } from "../support/keys.ts";
import { until } from "../support/until.ts";
import { endWaits } from "../support/waits.ts";

const API_KEYS = formatKeys({
  ana: "write",
  bruno: "write",
  admin: "write-any",
  reader: "read",
});
const WAIT = { prefer: "wait=30" };
const ANA = { ...showKey("ana"), ...WAIT };
const BRUNO = { ...showKey("bruno"), ...WAIT };
const ADMIN = { ...showKey("admin"), ...WAIT };
const NOTE = { text: "x" };

describe("a collection with an owner, with a subscriber running", () => {
  const { environment, api } = startApi({
    collections: [notes],
    env: { API_KEYS },
    subscriber: true,
  });

  it("fills the field with who has written, and shows it to readers", async () => {
    const created = await api.post("/api/notes", NOTE, ANA);
    assert.equal(created.status, 201);
    assert.equal(created.body.user, "key:ana");
    const path = `/api/notes/${created.body.id}`;
    assert.deepEqual((await api.get(path)).body, { id: created.body.id, ...NOTE, user: "key:ana" });
    const { body } = await api.get("/api/notes");
    assert.ok(body.data.some(({ id, user }) => id === created.body.id && user === "key:ana"));
    const put = await api.put(path, { text: "y", user: "key:ana" }, ANA);
    assert.deepEqual([put.status, put.body.text, put.body.user], [200, "y", "key:ana"]);
  });

  it("needs a key for each write, and lets a body name nobody else", async () => {
    for (const answer of [
      await api.post("/api/notes", NOTE),
      await api.put("/api/notes/n", NOTE),
      await api.delete("/api/notes/n"),
    ])
      assertProblem(answer, 401, "missing-key");
    assertProblem(await api.post("/api/notes", NOTE, showKey("reader")), 403, "wrong-scope");
    for (const user of ["key:bruno", "", "ñ", "a b", "x".repeat(256), null, 1])
      for (const answer of [
        await api.post("/api/notes", { ...NOTE, user }, ANA),
        await api.put("/api/notes/n", { ...NOTE, user }, ANA),
      ])
        assertProblem(answer, 422, "invalid-item", ["/user"]);
  });

  it("answers 403 at once to another's write, whatever its condition, and leaves the item", async () => {
    const { headers } = await api.put("/api/notes/anas", NOTE, ANA);
    const etag = headers.get("etag") as string;
    const conditions: Record<string, string>[] = [
      {},
      { "if-match": etag },
      { "if-match": "*" },
      { "if-match": `"${mintWriteId()}"` },
      { "if-none-match": "*" },
      { "if-unmodified-since": new Date().toUTCString() },
    ];
    for (const isDeleted of [false, true]) {
      if (isDeleted) assert.equal((await api.delete("/api/notes/anas", ANA)).status, 204);
      for (const condition of conditions) {
        const put = await api.put("/api/notes/anas", NOTE, { ...BRUNO, ...condition });
        const deleted = await api.delete("/api/notes/anas", { ...BRUNO, ...condition });
        for (const answer of [put, deleted]) {
          assertProblem(answer, 403, "not-owner");
          assert.equal(answer.body.detail, "The item belongs to another.");
          assert.equal(answer.headers.get("link"), null);
        }
      }
    }
    assertProblem(await api.get("/api/notes/anas"), 410, "deleted");
    assert.equal((await api.put("/api/notes/anas", NOTE, ANA)).status, 201);
  });

  it("tells a write that was settled as another's by its receipt, and whoever waits by 403", async () => {
    const first = await api.put("/api/notes/settled", NOTE, ANA);
    const id = mintWriteId();
    const write = makeWrite({ id, itemId: "settled", subject: "key:bruno" });
    await publishByHand(environment, [encodeWrite(write)]);
    const receipt = await api.settled(`/api/notes/settled/writes/${id}`);
    assert.deepEqual(
      [receipt.outcome, receipt.code, receipt.reason, receipt.version],
      ["conflict", "not-owner", "The item belongs to another.", null],
    );
    const own = await api.get(readReceipt(first));
    assert.deepEqual([own.body.outcome, own.body.code], ["applied", null]);
  });

  it("answers 404 to a delete of what is not there, unless it names a write in flight", async () => {
    assertProblem(await api.delete("/api/notes/none", ANA), 404, "not-found");
    assertProblem(
      await api.delete("/api/notes/none", { ...ANA, "if-match": "*" }),
      404,
      "not-found",
    );
    assertProblem(await api.delete("/api/notes/none?after=x", ANA), 400, "malformed-request");
    const settled = await api.put("/api/notes/gone", NOTE, ANA);
    await query(environment.pool, "DELETE FROM notes WHERE id = 'gone'");
    await query(
      environment.pool,
      "INSERT INTO writes (id, collection, item_id, outcome, settled_at) VALUES (?, 'notes', 'gone', 'applied', NOW(3))",
      [version(settled)],
    );
    assertProblem(
      await api.delete(`/api/notes/gone?after=${version(settled)}`, ANA),
      404,
      "not-found",
    );
    const put = makeWrite({ id: mintWriteId(), itemId: "coming", subject: "key:ana" });
    const follow = { ...showKey("ana") };
    const byAfter = await api.delete(`/api/notes/coming?after=${put.id}`, follow);
    assert.equal(byAfter.status, 202);
    await publishByHand(environment, [encodeWrite(put)]);
    assert.equal((await api.settled(`/api/notes/coming/writes/${put.id}`)).outcome, "applied");
    assert.equal((await api.settled(byAfter.body.receipt)).outcome, "applied");
    assertProblem(await api.get("/api/notes/coming"), 410, "deleted");
  });

  it("settles a delete that finds no item as a conflict, and leaves no tombstone", async () => {
    const headers = { ...showKey("ana"), prefer: "wait=30" };
    const waiting = api.delete(`/api/notes/never?after=${mintWriteId()}`, headers);
    for (let settled = false; !settled; ) {
      settled =
        (await Promise.race([waiting.then(() => true), endWaits(environment.pool)])) === true;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    const answer = await waiting;
    assertProblem(answer, 404, "not-found");
    const receipt = await api.settled(readReceipt(answer));
    assert.deepEqual([receipt.outcome, receipt.code], ["conflict", null]);
    assertProblem(await api.get("/api/notes/never"), 404, "not-found");
    assert.equal((await api.put("/api/notes/never", NOTE, BRUNO)).status, 201);
  });

  it("lets write-any name the owner, and keeps that of an item that is there", async () => {
    const named = await api.put("/api/notes/given", { ...NOTE, user: "issuer:b-1" }, ADMIN);
    assert.deepEqual([named.status, named.body.user], [201, "issuer:b-1"]);
    for (const user of [undefined, "key:ana"]) {
      const put = await api.put("/api/notes/given", { text: "by admin", user }, ADMIN);
      assert.deepEqual([put.status, put.body.user], [200, "issuer:b-1"]);
    }
    assert.equal((await api.get("/api/notes/given")).body.user, "issuer:b-1");
    assert.equal((await api.delete("/api/notes/given", ADMIN)).status, 204);
    const again = await api.put("/api/notes/given", NOTE, ADMIN);
    assert.deepEqual([again.status, again.body.user], [201, "issuer:b-1"]);
    const own = await api.post("/api/notes", NOTE, ADMIN);
    assert.deepEqual([own.status, own.body.user], [201, "key:admin"]);
  });

  it("settles the records of one request each for itself", async () => {
    await api.put("/api/notes/bulk-b", NOTE, BRUNO);
    const records = ["bulk-a", "bulk-b", "bulk-c"].map((id) => ({ id, ...NOTE }));
    const foreign = { id: "bulk-d", ...NOTE, user: "key:bruno" };
    const { status, body } = await api.put("/api/notes", [...records, foreign], ANA);
    assert.equal(status, 207);
    const [a, b, c, d] = body.results;
    assert.deepEqual([a?.status, c?.status], [201, 201]);
    assertProblemBody(b as Answer["body"], 403, "not-owner");
    assertProblemBody(d as Answer["body"], 422, "invalid-item", ["/user"]);
    const both = await Promise.all([
      api.put("/api/notes", [{ id: "both", text: "ana's" }], ANA),
      api.put("/api/notes", [{ id: "both", text: "bruno's" }], BRUNO),
    ]);
    const { body: item } = await api.get("/api/notes/both");
    const statuses = both.map((answer) => answer.body.results?.[0]?.status ?? answer.status);
    assert.deepEqual(statuses.toSorted(), [201, 403]);
    const winner = statuses[0] === 201 ? ["ana's", "key:ana"] : ["bruno's", "key:bruno"];
    assert.deepEqual([item.text, item.user], winner);
  });

  it("has keys of idempotency for each principal", async () => {
    const send = (who: typeof ANA, text = "keyed") =>
      api.post("/api/notes", { text }, { ...who, "idempotency-key": "1" });
    const [ana, bruno] = [await send(ANA), await send(BRUNO)];
    assert.deepEqual([ana.status, bruno.status], [201, 201]);
    assert.notEqual(ana.body.id, bruno.body.id);
    assert.equal((await send(ANA)).body.id, ana.body.id);
    assertProblem(await send(ANA, "another"), 422, "reused-key");
  });

  it("replays a dead letter as its writer's, and none on another's item", async () => {
    await api.put("/api/notes/replayed-b", NOTE, BRUNO);
    const dead = ["replayed", "replayed-b"].map((itemId) =>
      makeWrite({ id: mintWriteId(), itemId, subject: "key:ana", anyOwner: undefined }),
    );
    const plans: Awaited<ReturnType<typeof planReplay>>[] = [];
    for (const write of dead)
      plans.push(await planReplay(environment.pool, buildLetter(write), [notes], 30));
    const [planned, refused] = plans;
    assert.deepEqual(refused, { obstacle: "The item belongs to another." });
    assert.ok(planned && "write" in planned);
    assert.equal(planned.write.subject, "key:ana");
    await publishByHand(environment, [encodeWrite(planned.write)]);
    const receipt = await api.settled(`/api/notes/replayed/writes/${planned.write.id}`);
    assert.deepEqual([receipt.outcome, receipt.created], ["applied", true]);
    assert.equal((await api.get("/api/notes/replayed")).body.user, "key:ana");
  });

  it("has a dead letter for a message that does not say who has written, or names another", async () => {
    const anonymous = makeWrite({ id: mintWriteId(), itemId: "dead" });
    const forged = makeWrite({ id: mintWriteId(), itemId: "dead", subject: "key:ana" });
    const messages = [anonymous, { ...forged, item: { ...NOTE, user: "key:bruno" } }];
    await publishByHand(environment, messages.map(encodeWrite));
    for (const { id } of messages) {
      const { outcome, reason } = await api.settled(`/api/notes/dead/writes/${id}`);
      assert.equal(outcome, "dead");
      assert.match(reason ?? "", id === anonymous.id ? /have owners/ : /is not the subject/);
    }
  });
});

describe("a collection with an owner, while MySQL does not have its rows yet", () => {
  const { environment, api } = startApi({ collections: [notes], env: { API_KEYS } });

  it("is settled by whoever's write is settled first, and each is told so", async () => {
    const put = (who: string, text: string) => api.put("/api/notes/first", { text }, showKey(who));
    const accepted = [await put("ana", "ana's"), await put("bruno", "bruno's")];
    for (const { status } of accepted) assert.equal(status, 202);
    const subscriber = await environment.startSubscriber({ collections: [notes] });
    const receipts = await Promise.all(accepted.map(({ body }) => api.settled(body.receipt)));
    const outcomes = receipts.map(({ outcome, code }) => code ?? outcome);
    assert.deepEqual(outcomes.toSorted(), ["applied", "not-owner"]);
    const created = receipts.map((receipt) => receipt.created);
    assert.deepEqual(
      created,
      outcomes.map((outcome) => outcome === "applied"),
    );
    await subscriber.stop();
  });
});

describe("a collection with an owner, where anybody may write", () => {
  it("is refused at the start", async () => {
    const { createTestEnvironment } = await import("../support/environment.ts");
    const environment = await createTestEnvironment();
    await assert.rejects(environment.startApi({ collections: [notes] }), /notes.*have owners/);
    await environment.close();
  });
});

function makeWrite({ id, ...more }: Partial<Write> & { id: string; itemId: string }): Write {
  const item = { ...NOTE, user: more.subject ?? "key:ana" };
  return { id, kind: "put", collection: notes, acceptedAt: getWriteTime(id), item, ...more };
}

function readReceipt({ headers }: Answer): string {
  return /^<([^>]+)>/.exec(headers.get("link") ?? "")?.[1] as string;
}

function version({ headers }: Answer): string {
  return headers.get("etag")?.slice(1, -1) as string;
}

describe("writes that name another one which may be in flight", () => {
  const { environment, api } = startApi({ collections: [notes], env: { API_KEYS } });

  it("are 20 of one caller at most, until they are settled", async () => {
    const [ana, bruno] = [showKey("ana"), showKey("bruno")];
    const receipts: string[] = [];
    const follow = (id: string, who = ana) =>
      api.delete(`/api/notes/${id}`, { ...who, "if-match": `"${mintWriteId()}"` });
    for (let index = 0; index < FOLLOWING_WRITES.perCaller; index += 1) {
      const answer = await follow(`made-up-${index}`);
      assert.equal(answer.status, 202);
      receipts.push(answer.body.receipt);
    }
    const condition = { ...ana, "if-match": `"${mintWriteId()}"` };
    for (const answer of [
      await follow("one-more"),
      await api.delete(`/api/notes/one-more?after=${mintWriteId()}`, ana),
      await api.put("/api/notes/one-more", NOTE, condition),
    ]) {
      assertProblem(answer, 503, "unavailable");
      assert.match(
        answer.body.detail,
        /^Of your writes, 20 wait for others.* Nothing was accepted\.$/,
      );
    }
    const put = await api.put("/api/notes/plain", NOTE, ana);
    assert.equal(put.status, 202);
    assert.equal((await follow("another", bruno)).status, 202);
    await environment.startSubscriber({ collections: [notes] });
    assert.equal((await api.settled(put.body.receipt)).outcome, "applied");
    // What names the row's own version waits for nothing.
    const version = put.body.write;
    const own = await api.put("/api/notes/plain", NOTE, { ...ana, "if-match": `"${version}"` });
    assert.equal(own.status, 202);
    const countWaiting = async () => {
      const [row] = await query(environment.pool, "SELECT COUNT(*) AS waits FROM waiting");
      return Number(row?.waits);
    };
    await until("all are found to wait", async () => (await countWaiting()) > receipts.length);
    await endWaits(environment.pool);
    for (const receipt of receipts) assert.equal((await api.settled(receipt)).outcome, "conflict");
    await until("there is room again", async () => (await follow("later")).status === 202);
  });

  it("are not those that could not be published", async () => {
    const broken = createServer((socket) => socket.destroy()).listen(0, "127.0.0.1");
    await once(broken, "listening");
    const { port } = broken.address() as AddressInfo;
    const env = { API_KEYS, PUBSUB_EMULATOR_HOST: `127.0.0.1:${port}` };
    const { url, stop } = await environment.startApi({ collections: [notes], env });
    const away = createClient(url);
    const follow = () =>
      away.delete("/api/notes/away", { ...showKey("bruno"), "if-match": `"${mintWriteId()}"` });
    const answers = await Promise.all(Array.from({ length: FOLLOWING_WRITES.perCaller }, follow));
    for (const answer of [...answers, await follow()]) {
      assertProblem(answer, 503, "unavailable");
      assert.doesNotMatch(answer.body.detail, /wait for others/);
    }
    await stop();
    broken.close();
  });
});
