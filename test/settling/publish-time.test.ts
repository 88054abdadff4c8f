import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { data } from "../../collections/data.ts";
import { encodeWrite, type Write } from "../../common/write.ts";
import { getWriteTime, mintWriteId } from "../../common/write-id.ts";
import { planReplay, selectLetters } from "../../ops/replay.ts";
import { seats } from "../collections/seats.ts";
import { createTestEnvironment, type TestEnvironment } from "../support/environment.ts";
import { type Client, createClient, publishByHand } from "../support/http.ts";
import { startPusher, wrap } from "../support/pusher.ts";

const COLLECTIONS = [data, seats];

let environment: TestEnvironment;
let api: Client;

before(async () => {
  const migrations = [new URL("../migrations/", import.meta.url)];
  environment = await createTestEnvironment({ migrations });
  api = createClient((await environment.startApi({ collections: COLLECTIONS })).url);
});
after(() => environment.close());

/** Accepted by an API whose clock is wrong by a minute: its id says so. */
function buildHold(itemId: string, heldUntilMs: number, skewMs: number): Write {
  const minted = mintWriteId();
  const ms = getWriteTime(minted) + skewMs;
  const hex = ms.toString(16).padStart(12, "0");
  const id = `${hex.slice(0, 8)}-${hex.slice(8)}${minted.slice(13)}`;
  const item = { passenger: "Gabriela", heldUntil: new Date(heldUntilMs).toISOString() };
  return { id, kind: "put", collection: seats, itemId, acceptedAt: getWriteTime(id), item };
}

async function readCode({ itemId, id }: Write): Promise<string | null> {
  const { outcome, code } = await api.settled(`/api/seats/${itemId}/writes/${id}`);
  return (code ?? outcome) as string | null;
}

test("by push, a write is judged by the publish time of its message, to the millisecond", async () => {
  const pusher = await startPusher();
  const subscriber = await environment.startSubscriber({
    collections: COLLECTIONS,
    env: pusher.env,
  });
  const push = createClient(`http://127.0.0.1:${subscriber.port}`);
  const headers = { authorization: `Bearer ${pusher.token()}` };
  const heldUntil = Date.now() + 60_000;
  const deliver = async (write: Write, publishTime: string) => {
    const body = wrap(encodeWrite(write), `m-${write.id}`).replace(
      /"publishTime":"[^"]*"/,
      `"publishTime":"${publishTime}"`,
    );
    assert.equal((await push.send("POST", "/push", { body, headers })).status, 204);
    return readCode(write);
  };
  const at = (ms: number) => new Date(ms).toISOString();
  // As Pub/Sub sends them, with nanoseconds.
  const late = at(heldUntil).replace("Z", "000001Z");
  const early = at(heldUntil - 1).replace("Z", "999999Z");
  for (const skewMs of [-60_000, 0, 60_000]) {
    assert.equal(await deliver(buildHold(`late${skewMs}`, heldUntil, skewMs), late), "expired");
    assert.equal(await deliver(buildHold(`early${skewMs}`, heldUntil, skewMs), early), "applied");
  }
  await subscriber.stop();
  pusher.close();
});

test("a replay has the publish time of the dead write among those of other writes", async (context) => {
  const pusher = await startPusher();
  const { port, stop } = await environment.startSubscriber({
    collections: COLLECTIONS,
    env: pusher.env,
  });
  context.after(() => Promise.all([stop(), pusher.close()]));
  const push = createClient(`http://127.0.0.1:${port}`);
  const headers = { authorization: `Bearer ${pusher.token()}` };
  const deliver = async (write: Write, path: string, publishedAt: number, given = {}) => {
    const { attributes, data: item } = encodeWrite(write);
    const message = { attributes: { ...attributes, ...given }, data: item, publishedAt };
    const body = wrap(message, `m-${write.id}`);
    assert.equal((await push.send("POST", path, { body, headers })).status, 204);
    return readCode(write);
  };
  const now = Date.now();
  const diedAt = now - 90_000;
  const dead = buildHold("replayed", now + 60_000, -90_000);
  const CloudPubSubDeadLetterSourceTopicPublishTime = new Date(diedAt).toISOString();
  const given = { CloudPubSubDeadLetterSourceTopicPublishTime };
  const outcome = await deliver(dead, "/push/dead-letters", now - 20_000, given);
  assert.equal(outcome, "dead");
  const [letter] = await selectLetters(environment.pool, "WHERE write_id = ?", [dead.id]);
  assert.equal(letter?.publishedAt, new Date(diedAt).toISOString());
  const unknown = { ...letter, publishedAt: null };
  assert.deepEqual(await planReplay(environment.pool, unknown, COLLECTIONS, 30), {
    obstacle: "its items expire, and it is not known when it was published",
  });
  const planned = await planReplay(environment.pool, letter, COLLECTIONS, 30);
  assert.ok("write" in planned, JSON.stringify(planned));
  // Published before the replay, and delivered after it.
  const renewal = buildHold("replayed", now + 120_000, -80_000);
  assert.equal(await deliver(planned.write, "/push", now), "applied");
  assert.equal(await deliver(renewal, "/push", now - 80_000), "applied");
});

test("by pull, a write is judged by Pub/Sub's clock, not by that of its API", async () => {
  const subscriber = await environment.startSubscriber({ collections: COLLECTIONS });
  for (const skewMs of [-60_000, 0, 60_000]) {
    const now = Date.now();
    const late = buildHold(`pulled-late${skewMs}`, now - 1, skewMs);
    const early = buildHold(`pulled-early${skewMs}`, now + 60_000, skewMs);
    await publishByHand(environment, [encodeWrite(late), encodeWrite(early)]);
    assert.deepEqual([await readCode(late), await readCode(early)], ["expired", "applied"]);
  }
  await subscriber.stop();
});
