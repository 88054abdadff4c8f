import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { query } from "../../common/database.ts";
import { encodeWrite, type Write } from "../../common/write.ts";
import { getWriteTime, mintWriteId } from "../../common/write-id.ts";
import { drafts } from "../collections/drafts.ts";
import { notes } from "../collections/notes.ts";
import { startApi } from "../support/api.ts";
import { type Answer, assertProblem, publishByHand } from "../support/http.ts";
import { formatKeys, showKey } from "../support/keys.ts";

const API_KEYS = formatKeys({ ana: "write", bruno: "write", admin: "write-any" });
const WAIT = { prefer: "wait=30" };
const ANA = { ...showKey("ana"), ...WAIT };
const BRUNO = { ...showKey("bruno"), ...WAIT };
const ADMIN = { ...showKey("admin"), ...WAIT };
const DRAFT = { text: "secret" };
/** Headers that differ from one answer to the next, whatever is asked. */
const ACCIDENTAL = new Set(["date", "x-request-id"]);

describe("a collection that only owners read", () => {
  const { environment, api } = startApi({
    collections: [drafts, notes],
    env: { API_KEYS },
    subscriber: true,
  });

  /** All that an answer tells, but for the names that were asked for. */
  function tell({ status, headers, text }: Answer, ...names: string[]): unknown {
    const told = [...headers].filter(([name]) => !ACCIDENTAL.has(name));
    return names.reduce(
      (whole, name) => whole.replaceAll(name, "NAME"),
      JSON.stringify([status, told, text]),
    );
  }

  it("needs a key for reads too", async () => {
    for (const path of [
      "/api/drafts",
      "/api/drafts/x",
      `/api/drafts/x/writes/${mintWriteId()}`,
      "/",
    ])
      assertProblem(await api.get(path, { accept: "application/json" }), 401, "missing-key");
    assert.equal((await api.get("/api/notes")).status, 200, "others are read as before");
  });

  it("shows an item to its owner, and tells a stranger what it tells of one that never was", async () => {
    const { headers } = await api.put("/api/drafts/mine", DRAFT, ANA);
    const write = version(headers);
    const own = await api.get("/api/drafts/mine", ANA);
    assert.deepEqual(own.body, { id: "mine", ...DRAFT, author: "key:ana" });
    const ask = async (id: string, more: Record<string, string> = {}, after = "") =>
      tell(await api.get(`/api/drafts/${id}${after}`, { ...showKey("bruno"), ...more }), id);
    const conditions: Record<string, string>[] = [
      {},
      { "if-none-match": "*" },
      { "if-none-match": `"${write}"` },
      { "if-match": `"${write}"` },
      { "if-modified-since": new Date(0).toUTCString() },
    ];
    const compare = async () => {
      for (const condition of conditions)
        assert.deepEqual(await ask("mine", condition), await ask("absent", condition));
      for (const named of [write, mintWriteId()])
        assert.deepEqual(
          await ask("mine", {}, `?after=${named}`),
          await ask("absent", {}, `?after=${mintWriteId()}`),
        );
    };
    await compare();
    await api.delete("/api/drafts/mine", ANA);
    assertProblem(await api.get("/api/drafts/mine", ANA), 410, "deleted");
    await compare();
  });

  it("shows a receipt to who has written, whatever became of it, and to nobody else", async () => {
    const first = await api.put("/api/drafts/receipts", DRAFT, ANA);
    const second = await api.put("/api/drafts/receipts", DRAFT, ANA);
    const strangers = makeWrite({ itemId: "receipts", subject: "key:bruno" });
    const dead = makeWrite({ itemId: "receipts", subject: "key:ana" });
    await publishByHand(environment, [
      encodeWrite(strangers),
      encodeWrite({ ...dead, item: { text: "" } }),
    ]);
    const path = (id: string) => `/api/drafts/receipts/writes/${id}`;
    const expected: [string, typeof ANA, typeof ANA, string, string | null][] = [
      [version(first.headers), ANA, BRUNO, "applied", null],
      [version(second.headers), ANA, BRUNO, "applied", null],
      [strangers.id, BRUNO, ANA, "conflict", "not-owner"],
      [dead.id, ANA, BRUNO, "dead", null],
    ];
    for (const [id, own, other, outcome, code] of expected) {
      const { body } = await api.get(path(id), own);
      assert.deepEqual([body.status, body.outcome, body.code], ["settled", outcome, code]);
      assertProblem(await api.get(path(id), other), 404, "not-found");
      assert.equal((await api.get(path(id), ADMIN)).body.outcome, outcome);
    }
    // In flight, as far as anybody knows.
    assert.equal((await api.get(path(mintWriteId()), showKey("bruno"))).body.status, "accepted");
    const elsewhere = `/api/drafts/other/writes/${version(first.headers)}`;
    const unknown = `/api/drafts/other/writes/${mintWriteId()}`;
    for (const who of ["ana", "bruno"]) {
      const [of, ofNone] = await Promise.all([
        api.get(elsewhere, showKey(who)),
        api.get(unknown, showKey(who)),
      ]);
      assert.deepEqual([of.status, of.body.status], [ofNone.status, ofNone.body.status]);
    }
    const note = `/api/notes/other/writes/${version(first.headers)}`;
    assert.equal((await api.get(note, showKey("bruno"))).body.status, "accepted");
  });

  it("lists one's own items, by the index of owners, with a filter and from page to page", async () => {
    const put = (id: string, folder: string, who: typeof ANA) =>
      api.put(`/api/drafts/${id}`, { ...DRAFT, folder }, who);
    for (let number = 0; number < 3; number += 1) {
      await put(`list-a-${number}`, "f", ANA);
      await put(`list-b-${number}`, "f", BRUNO);
    }
    const list = async (who: typeof ANA, more = "") => {
      const ids: string[] = [];
      for (let next: string | null = ""; next !== null; ) {
        const cursor = next === "" ? "" : `&cursor=${next}`;
        const { body } = await api.get(`/api/drafts?limit=2${more}${cursor}`, who);
        ids.push(...body.data.map(({ id }) => id));
        next = body.next;
      }
      return ids.filter((id) => id.startsWith("list-"));
    };
    for (const more of ["", "&folder=f", "&order=asc&folder=f"]) {
      assert.deepEqual(await list(ANA, more), ["list-a-0", "list-a-1", "list-a-2"]);
      assert.deepEqual(await list(BRUNO, more), ["list-b-0", "list-b-1", "list-b-2"]);
    }
    assert.deepEqual(await list(BRUNO, "&order=desc"), ["list-b-2", "list-b-1", "list-b-0"]);
    assert.deepEqual(await list(ADMIN), []);
    const home = await api.get("/", { ...showKey("bruno"), accept: "application/json" });
    const ids = (home.body.data as unknown as string[][]).map(([id]) => id);
    assert.ok(ids.includes("list-b-0") && !ids.includes("list-a-0"));
    const [plan] = await query(
      environment.pool,
      "EXPLAIN FORMAT=TRADITIONAL SELECT /*+ INDEX(drafts newest) */ id FROM drafts" +
        " WHERE deleted_at IS NULL AND owner = 'key:ana' ORDER BY created_at, id LIMIT 2",
    );
    assert.equal(plan?.key, "newest");
    assert.doesNotMatch(String(plan?.Extra), /filesort/);
  });

  it("tells whoever writes to another's id that it is taken, and nothing else", async () => {
    await api.put("/api/drafts/taken", { text: "long ago" }, ANA);
    const { headers } = await api.put("/api/drafts/taken", DRAFT, ANA);
    const conditions: Record<string, string>[] = [
      {},
      { "if-none-match": "*" },
      { "if-match": "*" },
      { "if-match": headers.get("etag") as string },
      { "if-match": `"${mintWriteId()}"` },
      { "if-unmodified-since": new Date(0).toUTCString() },
      { "if-unmodified-since": new Date(Date.now() + 60_000).toUTCString() },
    ];
    const answers = async () => {
      const told = new Set<unknown>();
      for (const condition of conditions) {
        const all = { ...BRUNO, ...condition };
        told.add(tell(await api.put("/api/drafts/taken", DRAFT, all)));
        told.add(tell(await api.delete("/api/drafts/taken", all)));
        told.add(tell(await api.delete(`/api/drafts/taken?after=${version(headers)}`, all)));
      }
      return [...told];
    };
    const [told, ...others] = await answers();
    assert.deepEqual(others, [], "each answer is the same");
    assert.match(String(told), /^\[403/);
    assert.doesNotMatch(String(told), /secret|ana|etag/);
    await api.delete("/api/drafts/taken", ANA);
    assert.deepEqual(await answers(), [told], "and the same of one that was deleted");
  });

  it("shows what write-any has stored in the answer to it, and not what others have", async () => {
    const put = await api.put("/api/drafts/by-admin", { ...DRAFT, author: "key:ana" }, ADMIN);
    assert.deepEqual([put.status, put.body.author], [201, "key:ana"]);
    assert.equal((await api.get("/api/drafts/by-admin", ANA)).status, 200);
    assertProblem(await api.get("/api/drafts/by-admin", ADMIN), 404, "not-found");
    assert.equal((await api.get(readReceipt(put), ADMIN)).body.outcome, "applied");
  });

  it("settles a keyed create that is repeated, and shows it to its owner alone", async () => {
    const send = (who: typeof ANA) =>
      api.post("/api/drafts", DRAFT, { ...who, "idempotency-key": "k" });
    const [created, again, other] = [await send(ANA), await send(ANA), await send(BRUNO)];
    assert.deepEqual([created.status, again.status, other.status], [201, 200, 201]);
    assert.deepEqual(again.body, created.body);
    assert.notEqual(other.body.id, created.body.id);
    assertProblem(await api.get(`/api/drafts/${created.body.id}`, BRUNO), 404, "not-found");
  });
});

function makeWrite(more: Partial<Write> & { itemId: string }): Write {
  const id = mintWriteId();
  const item = { ...DRAFT, author: more.subject };
  return { id, kind: "put", collection: drafts, acceptedAt: getWriteTime(id), item, ...more };
}

function version(headers: Headers): string {
  return headers.get("etag")?.slice(1, -1) as string;
}

function readReceipt({ headers }: Answer): string {
  return /^<([^>]+)>/.exec(headers.get("link") ?? "")?.[1] as string;
}
