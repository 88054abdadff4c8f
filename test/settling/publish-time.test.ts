import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { data } from "../../collections/data.ts";
import { encodeWrite, type Write } from "../../common/write.ts";
import { getWriteTime, mintWriteId } from "../../common/write-id.ts";
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
