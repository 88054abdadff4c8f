import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { data } from "../../collections/data.ts";
import { computeFingerprint } from "../../common/fingerprint.ts";
import { encodeWrite, type Write } from "../../common/write.ts";
import { deriveItemId, getWriteTime, mintWriteId } from "../../common/write-id.ts";
import { planReplay } from "../../ops/replay.ts";
import { startApi } from "../support/api.ts";
import { buildLetter } from "../support/dead-letter.ts";
import { type Answer, assertProblem, publishByHand } from "../support/http.ts";

const WAIT = { prefer: "wait=20" };
/** Pairs of requests that are sent at once. */
const PAIRS = 40;

describe("the answer to a write that waits", () => {
  const { environment, api } = startApi({ subscriber: true });

  const getReceipt = async ({ headers }: Answer) =>
    api.settled(/^<([^>]+)>; rel="status"$/.exec(headers.get("link") ?? "")?.[1] as string);

  /** The status and what the receipt says, of which both must agree. */
  async function check(answer: Answer): Promise<number> {
    const { outcome, created } = await getReceipt(answer);
    assert.equal(created, answer.status === 201, `${answer.status}, ${outcome}`);
    if (answer.status === 201) assert.equal(outcome, "applied");
    return answer.status;
  }

  it("is 201 to one of two creates of one key that are sent at once, and the same item to both", async () => {
    for (let pair = 0; pair < PAIRS; pair += 1) {
      const headers = { ...WAIT, "idempotency-key": `at-once-${pair}` };
      const send = () => api.post("/api/data", { nombre: `key ${pair}` }, headers);
      const answers = await Promise.all([send(), send()]);
      assert.deepEqual((await Promise.all(answers.map(check))).toSorted(), [200, 201]);
      const [one, other] = answers;
      assert.deepEqual(one.body, { id: one.body.id, nombre: `key ${pair}` });
      assert.deepEqual(other.body, one.body);
      assert.equal(other.headers.get("etag"), one.headers.get("etag"));
    }
  });

  it("is 201 to one of two puts of one new item that are sent at once", async () => {
    for (let pair = 0; pair < PAIRS; pair += 1) {
      const put = (nombre: string) => api.put(`/api/data/pair-${pair}`, { nombre }, WAIT);
      const answers = await Promise.all([put("left"), put("right")]);
      assert.deepEqual((await Promise.all(answers.map(check))).toSorted(), [200, 201]);
    }
  });

  it("is 201 to a put after a delete, whose item is a new one, and 200 to the next", async () => {
    const put = (nombre: string) => api.put("/api/data/anew", { nombre }, WAIT);
    const answers = [await put("first")];
    assert.equal(await check(await api.delete("/api/data/anew", WAIT)), 204);
    answers.push(await put("second"), await put("third"));
    assert.deepEqual(await Promise.all(answers.map(check)), [201, 201, 200]);
  });

  it("is 201 to one record of a request that names one new id three times", async () => {
    const records = ["a", "b", "c"].map((nombre) => ({ id: "thrice", nombre }));
    const { body } = await api.put("/api/data", records, WAIT);
    const statuses = body.results.map(({ status }) => status);
    assert.deepEqual(statuses.toSorted(), [200, 200, 201]);
    for (const { receipt, status, outcome } of body.results) {
      const settled = await api.settled(receipt);
      assert.deepEqual([settled.created, settled.outcome], [status === 201, outcome]);
    }
    const again = await api.put("/api/data", records, WAIT);
    assert.deepEqual(
      again.body.results.map(({ status }) => status),
      [200, 200, 200],
    );
  });

  it("is 201 to each record of a keyed request, 200 to its repetition, and 410 once it was deleted", async () => {
    const records = ["a", "b"].map((nombre) => ({ nombre }));
    const headers = { ...WAIT, "idempotency-key": "many" };
    const send = async () => (await api.post("/api/data", records, headers)).body.results;
    const first = await send();
    await api.delete(`/api/data/${first[0]?.id}`, WAIT);
    const again = await send();
    for (const [results, statuses, outcome] of [
      [first, [201, 201], "applied"],
      [again, [410, 200], "duplicate"],
    ] as const)
      for (const [place, { receipt, status, id }] of results.entries()) {
        assert.equal(status, statuses[place]);
        assert.equal(id, first[place]?.id);
        const settled = await api.settled(receipt);
        assert.deepEqual([settled.outcome, settled.created], [outcome, status === 201]);
      }
  });

  it("is told by the receipt where nobody waits, and of the write that replays a dead one", async () => {
    const { body } = await api.put("/api/data/unwaited", { nombre: "x" });
    assert.equal((await api.settled(body.receipt)).created, true);
    for (const [itemId, created] of [
      ["unwaited", false],
      ["replayed", true],
    ] as const) {
      const letter = { ...buildLetter(makeWrite(itemId)), writeId: null };
      const planned = await planReplay(environment.pool, letter, [data], 30);
      assert.ok("write" in planned);
      await publishByHand(environment, [encodeWrite(planned.write)]);
      const receipt = await api.settled(`/api/data/${itemId}/writes/${planned.write.id}`);
      assert.deepEqual([receipt.outcome, receipt.created], ["applied", created]);
    }
  });

  it("is 201 though an older write of the item comes later, and the older one has created nothing", async () => {
    const older = makeWrite("overtaken");
    const newer = await api.put("/api/data/overtaken", { nombre: "newer" }, WAIT);
    await publishByHand(environment, [encodeWrite(older)]);
    const late = await api.settled(`/api/data/overtaken/writes/${older.id}`);
    assert.deepEqual([late.outcome, late.created], ["superseded", false]);
    assert.equal(await check(newer), 201);
    const next = await api.put("/api/data/overtaken", { nombre: "newest" }, WAIT);
    assert.deepEqual([await check(next), await check(newer)], [200, 201]);
  });

  it("is 200 to a retried create, though a write that followed the first one was delivered before it", async () => {
    const nombre = "as the create has it";
    for (const kind of ["put", "delete"] as const) {
      const key = `overtaken-${kind}`;
      const itemId = deriveItemId([data.name, "", key, -1]);
      const fingerprint = computeFingerprint({ nombre });
      const first = makeWrite(itemId, { kind: "create", item: { nombre }, fingerprint });
      await publishByHand(environment, [encodeWrite(makeWrite(itemId, { kind }))]);
      const retry = () => api.post("/api/data", { nombre }, { ...WAIT, "idempotency-key": key });
      const answers = [await retry()];
      await publishByHand(environment, [encodeWrite(first)]);
      const receipt = await api.settled(`/api/data/${itemId}/writes/${first.id}`);
      assert.deepEqual([receipt.outcome, receipt.created], ["duplicate", false]);
      answers.push(await retry());
      for (const { status, body, headers } of answers) {
        assert.equal(status, kind === "put" ? 200 : 410);
        if (kind === "put") assert.deepEqual(body, { id: itemId, nombre: "older" });
        const link = /^<([^>]+)>/.exec(headers.get("link") ?? "")?.[1] as string;
        assert.equal((await api.settled(link)).outcome, "duplicate");
      }
      const other = await api.post("/api/data", { nombre: "x" }, { "idempotency-key": key });
      assertProblem(other, 422, "reused-key");
    }
  });

  it("is not 201 to a write that is refused, or that deletes", async () => {
    const created = await api.put("/api/data/there", { nombre: "x" }, WAIT);
    const version = created.headers.get("etag") as string;
    const race = await Promise.all([
      api.put("/api/data/there", { nombre: "y" }, { ...WAIT, "if-match": version }),
      api.put("/api/data/there", { nombre: "z" }, { ...WAIT, "if-match": version }),
    ]);
    assert.deepEqual(race.map(({ status }) => status).toSorted(), [200, 412]);
    const nothing = await api.delete("/api/data/never-was", WAIT);
    assert.equal(await check(nothing), 204);
  });
});

function makeWrite(itemId: string, more: Partial<Write> = {}): Write {
  const id = mintWriteId();
  const item = more.kind === "delete" ? undefined : { nombre: "older" };
  const acceptedAt = getWriteTime(id);
  return { id, kind: "put", collection: data, itemId, item, acceptedAt, ...more };
}
