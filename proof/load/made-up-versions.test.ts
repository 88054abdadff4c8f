import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { mintWriteId } from "../../common/write-id.ts";
import { notes } from "../../test/collections/notes.ts";
import { createTestEnvironment } from "../../test/support/environment.ts";
import { createClient } from "../../test/support/http.ts";
import { formatKeys, showKey } from "../../test/support/keys.ts";

/**
 * A second: what a principal may send with the default rate limit, and ten times as many without one; more
 * of them and their client, in the API's own process here, would be what slows the others.
 */
const FLOODS = [20, 200];
const FLOOD_SECONDS = 10;
const QUIET_SECONDS = 5;
/** What a waiting write that is given back costs at most, of Pub/Sub's pauses. */
const MOST_P95_MS = 500;

for (const delivery of ["pull", "push"] as const)
  test(`deletes of made-up ids, by ${delivery}, leave the lag of others as it was`, async () => {
    const migrations = [new URL("../../test/migrations/", import.meta.url)];
    const environment = await createTestEnvironment({ migrations });
    try {
      const collections = [notes];
      const env = {
        API_KEYS: formatKeys({ ana: "write", mallory: "write" }),
        RATE_LIMIT_PER_MINUTE: "0",
      };
      const api = createClient((await environment.startApi({ collections, env })).url);
      const subscriberEnv = { DELIVERY: delivery, PUSH_AUTH: "off" };
      const subscriber = await environment.startSubscriber({ collections, env: subscriberEnv });
      if (delivery === "push")
        await environment.pushTo(subscriber.port as number, {
          serviceAccountEmail: "push@example.com",
          audience: "subscriber",
        });
      /** Milliseconds from a request to its outcome, sorted, of one put after the other. */
      const measureLags = async (seconds: number) => {
        const lags: number[] = [];
        for (const endMs = Date.now() + seconds * 1_000; Date.now() < endMs; await sleep(20)) {
          const startedAt = performance.now();
          const headers = { ...showKey("ana"), prefer: "wait=30" };
          const { status } = await api.put(`/api/notes/n${lags.length}`, { text: "x" }, headers);
          assert.ok(status === 201 || status === 200, String(status));
          lags.push(performance.now() - startedAt);
        }
        return lags.sort((a, b) => a - b);
      };
      await measureLags(QUIET_SECONDS);
      report("quiet", await measureLags(QUIET_SECONDS));
      for (const perSecond of FLOODS) {
        const answers = new Map<number, number>();
        const flood = sendDeletes(perSecond, async (id) => {
          const headers = { ...showKey("mallory"), "if-match": `"${mintWriteId()}"` };
          const { status } = await api.delete(`/api/notes/${id}`, headers);
          answers.set(status, (answers.get(status) ?? 0) + 1);
        });
        const lags = await measureLags(FLOOD_SECONDS + QUIET_SECONDS);
        await flood;
        report(`${perSecond} deletes a second, ${JSON.stringify([...answers])}`, lags);
        assert.ok(getQuantile(lags, 0.95) < MOST_P95_MS, `by ${delivery}, ${perSecond} a second`);
      }
    } finally {
      await environment.close();
    }

    function report(what: string, lags: number[]): void {
      const [p50, p95] = [0.5, 0.95].map((share) => getQuantile(lags, share).toFixed(0));
      console.log(`${delivery}, ${what}: p50 ${p50} ms, p95 ${p95} ms, ${lags.length} writes`);
    }
  });

/** Sends deletes for {@link FLOOD_SECONDS}, ten times a second, and waits for their answers. */
async function sendDeletes(perSecond: number, send: (id: string) => Promise<void>): Promise<void> {
  const sent: Promise<void>[] = [];
  for (let tick = 0; tick < FLOOD_SECONDS * 10; tick += 1) {
    for (let index = 0; index < perSecond / 10; index += 1) sent.push(send(`x${sent.length}`));
    await sleep(100);
  }
  await Promise.all(sent);
}

function getQuantile(sorted: readonly number[], share: number): number {
  return sorted[Math.floor(share * (sorted.length - 1))] as number;
}
