import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { data } from "../../collections/data.ts";
import { query } from "../../common/database.ts";
import { DAY_MS } from "../../common/limits.ts";
import { encodeWrite, type Write } from "../../common/write.ts";
import { deriveNextId, getWriteTime, mintWriteId } from "../../common/write-id.ts";
import { DEAD_LETTERS } from "../../ops/dead-letters.ts";
import { planReplay, selectLetters } from "../../ops/replay.ts";
import { startApi } from "../support/api.ts";
import { runInProcess } from "../support/commands.ts";
import { assertProblem, publishByHand } from "../support/http.ts";
import { versionAt } from "../support/schedules.ts";

const WAIT = { prefer: "wait=20" };
const RETENTION_DAYS = 30;

describe("the replay of a dead write", () => {
  const { environment, api } = startApi({ subscriber: true });

  function makeWrite(itemId: string, more: Partial<Write> = {}): Write {
    const id = more.id ?? mintWriteId();
    const item = more.kind === "delete" ? undefined : { nombre: `by ${id}` };
    const acceptedAt = getWriteTime(id);
    return { id, kind: "put", collection: data, itemId, item, acceptedAt, ...more };
  }

  /** Files the letter of a write, as that of one that Pub/Sub gave up. */
  async function bury(write: Write): Promise<void> {
    const { attributes, data } = encodeWrite(write);
    await query(
      environment.pool,
      "INSERT INTO dead_letters (message_id, write_id, attributes, data, reason, first_seen," +
        " last_seen) VALUES (?, ?, ?, ?, 'given up', NOW(3), NOW(3))",
      [`of ${write.id}`, write.id, JSON.stringify(attributes), data],
    );
  }

  const replay = (...args: string[]) =>
    runInProcess(DEAD_LETTERS, ["replay", ...args], { env: environment.env });

  async function plan({ id }: Write) {
    const [letter] = await selectLetters(environment.pool, "WHERE write_id = ?", [id]);
    assert.ok(letter);
    return planReplay(environment.pool, letter, [data], RETENTION_DAYS);
  }

  async function planWrite(dead: Write): Promise<Write> {
    const planned = await plan(dead);
    assert.ok("write" in planned, JSON.stringify(planned));
    return planned.write;
  }

  /** Publishes a write as the API does; its outcome. */
  async function deliver(write: Write): Promise<string | null> {
    await publishByHand(environment, [encodeWrite(write)]);
    return (await api.settled(`/api/data/${write.itemId}/writes/${write.id}`)).outcome;
  }

  it("does not overwrite a delete that is in flight meanwhile, whichever is delivered first", async () => {
    for (const isReplayFirst of [true, false]) {
      const itemId = `in-flight-${isReplayFirst}`;
      await api.put(`/api/data/${itemId}`, { nombre: "first" }, WAIT);
      const dead = makeWrite(itemId);
      await bury(dead);
      const inFlight = makeWrite(itemId, { kind: "delete" });
      const again = await planWrite(dead);
      const order = isReplayFirst ? [again, inFlight] : [inFlight, again];
      const outcomes: unknown[] = [];
      for (const write of order) outcomes.push(await deliver(write));
      assert.deepEqual(outcomes, ["applied", isReplayFirst ? "applied" : "superseded"]);
      assertProblem(await api.get(`/api/data/${itemId}`), 410, "deleted");
    }
  });

  it("has the effect that the dead write would have had, under the next id", async () => {
    const fingerprint = "a".repeat(64);
    const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    const created = await api.put("/api/data/named", { nombre: "x" }, WAIT);
    const ifMatch = created.headers.get("etag")?.replaceAll('"', "");
    for (const dead of [
      makeWrite("plain", { traceparent }),
      makeWrite("keyed", { kind: "create", fingerprint }),
      makeWrite("named", { ifMatch }),
      makeWrite("named", { kind: "delete", ifMatch: "*" }),
      makeWrite("not-there", { ifNoneMatch: true }),
    ]) {
      await bury(dead);
      const again = await planWrite(dead);
      const { id, acceptedAt } = again;
      assert.equal(id, deriveNextId(dead.id));
      assert.equal(acceptedAt, dead.acceptedAt);
      const { attributes, data } = encodeWrite(again);
      const first = encodeWrite(dead);
      assert.deepEqual({ ...attributes, "ce-id": dead.id }, first.attributes);
      assert.deepEqual(data, first.data);
      assert.equal(await deliver(again), "applied", JSON.stringify(dead.itemId));
    }
  });

  it("is one write, however often it is published", async () => {
    const dead = makeWrite("doubled");
    await bury(dead);
    const forget = () =>
      query(
        environment.pool,
        "UPDATE dead_letters SET replayed_at = NULL, replayed_as = NULL WHERE write_id = ?",
        [dead.id],
      );
    const again = await planWrite(dead);
    assert.deepEqual(await planWrite(dead), again);
    assert.equal((await replay(dead.id)).status, 0);
    // The command ended before it had noted it.
    await forget();
    assert.equal(await deliver(again), "applied");
    const { status, err } = await replay(dead.id);
    assert.equal(status, 1);
    assert.equal(err, `${dead.id}: not replayed: it was replayed as ${again.id}\n`);
    await deliver(makeWrite("doubled"));
    assert.match((await replay(dead.id)).err, /not replayed: A newer write was applied first: /);
    const counts = await query(environment.pool, "SELECT COUNT(*) AS n FROM writes WHERE id = ?", [
      again.id,
    ]);
    assert.equal(counts[0]?.n, 1);
  });

  it("is refused where a newer version is on the row or the tombstone", async () => {
    for (const kind of ["put", "delete"] as const) {
      const dead = makeWrite(`newer-${kind}`);
      await bury(dead);
      const newer = makeWrite(dead.itemId, { kind });
      await deliver(newer);
      const { err } = await replay(dead.id);
      assert.equal(
        err,
        `${dead.id}: not replayed: A newer write was applied first: ${newer.id}.\n`,
      );
    }
  });

  it("is refused where the tombstone of a newer delete may be gone, or its id is from the future", async () => {
    const at = (ms: number) => makeWrite("forgotten", { id: versionAt(ms, 1) });
    const limitMs = Date.now() - (RETENTION_DAYS - 1) * DAY_MS;
    const [old, young] = [at(limitMs - 60_000), at(limitMs + 60_000)];
    const future = at(Date.now() + DAY_MS);
    for (const [dead, obstacle] of [
      [old, "it is older than the retention, in which newer deletes are known"],
      [future, "its id is from the future"],
    ] as const) {
      await bury(dead);
      const { status, err } = await replay(dead.id);
      assert.deepEqual([status, err], [1, `${dead.id}: not replayed: ${obstacle}\n`]);
    }
    await bury(young);
    assert.equal((await planWrite(young)).id, deriveNextId(young.id));
  });

  it("that is dead again can be replayed again", async () => {
    const dead = makeWrite("again");
    await bury(dead);
    const second = await planWrite(dead);
    await bury(second);
    const third = await planWrite(second);
    const next = makeWrite("again");
    assert.ok(dead.id < second.id && second.id < third.id && third.id < next.id);
    assert.equal(await deliver(third), "applied");
  });
});
