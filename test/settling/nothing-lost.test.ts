import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { query } from "../../common/database.ts";
import { createTestEnvironment, type TestEnvironment } from "../support/environment.ts";
import { assertNothingLost, Load } from "../support/load.ts";
import type { Spawned } from "../support/processes.ts";
import { readSnapshot } from "../support/snapshot.ts";
import { until } from "../support/until.ts";

const KILLS = 5;
/** Between two kills more than one batch holds, so that each kill leaves writes unsettled. */
const WRITES = 4_000;
/** Writes for a process that ends: more than it can do before. */
const UNDER_LOAD = 4_000;
/**
 * By its own clock a process stops within STOP_DEADLINE_MS. This is for one that hangs: on a busy
 * machine App Engine's two seconds may pass before it runs at all.
 */
const HANG_MS = 60_000;

let environment: TestEnvironment;
before(async () => {
  environment = await createTestEnvironment();
});
after(() => environment.close());

test("reads of one snapshot do not see what is settled between them", async () => {
  const count = "SELECT COUNT(*) AS count FROM writes";
  const receipt = [["w", "data", "x", "conflict", "2026-01-01"]];
  const insert = "INSERT INTO writes (id, collection, item_id, outcome, settled_at) VALUES ?";
  const [before, after] = await readSnapshot(environment.pool, async (connection) => {
    const before = await query(connection, count);
    await query(environment.pool, insert, [receipt]);
    return [before, await query(connection, count)];
  });
  await query(environment.pool, "DELETE FROM writes WHERE id = 'w'");
  assert.deepEqual(after, before);
});

test("five kills of the subscriber in 4,000 writes lose, double and overwrite nothing", async () => {
  const api = await environment.spawn("api");
  const load = new Load(api.url, WRITES);
  let kills = 0;
  // The load waits for each kill, so that all of them happen under load.
  const running = load.run(32, () => load.sent < ((kills + 1) * WRITES) / (KILLS + 1));
  let subscriber = await environment.spawn("subscriber");
  for (; kills < KILLS; kills += 1) {
    await until("it settles", () => subscriber.output().includes("writes settled"));
    assert.equal(await subscriber.end("SIGKILL"), null);
    await load.pauseFor(() => environment.renewSubscription());
    subscriber = await environment.spawn("subscriber");
  }
  await running;
  assert.deepEqual([...load.failures], []);
  assert.equal(load.accepted.length, WRITES);
  await assertNothingLost(environment.pool, load.accepted);
  const [{ items } = { items: 0 }] = await query(
    environment.pool,
    "SELECT COUNT(*) AS items FROM data",
  );
  assert.equal(items, new Set(load.accepted.map(({ id }) => id)).size, "an item was doubled");
  await Promise.all([api.end(), subscriber.end()]);
});

test("every accepted write is settled, though the API was killed under load", async () => {
  await environment.renewSubscription();
  const subscriber = await environment.spawn("subscriber");
  const accepted = [];
  for (let kill = 0; kill < 3; kill += 1) {
    const api = await environment.spawn("api");
    const load = new Load(api.url, 50_000);
    const running = load.run(32);
    await until("writes are accepted", () => load.accepted.length >= 500);
    await api.end("SIGKILL");
    load.stop();
    await running;
    accepted.push(...load.accepted);
  }
  await assertNothingLost(environment.pool, accepted);
  await subscriber.end();
});

test("SIGTERM under load ends either process with 0, and loses nothing", async () => {
  await environment.renewSubscription();
  let [api, subscriber] = await Promise.all([
    environment.spawn("api"),
    environment.spawn("subscriber"),
  ]);
  const load = new Load(api.url, 200_000);
  let running = load.run(32);
  await until("it settles", () => subscriber.output().includes("writes settled"));
  load.allow(UNDER_LOAD);
  assert.equal(await terminate(subscriber), 0);
  await load.pauseFor(() => environment.renewSubscription());
  subscriber = await environment.spawn("subscriber");
  load.allow(UNDER_LOAD);
  await until("it settles again", () => subscriber.output().includes("writes settled"));
  load.allow(UNDER_LOAD);
  assert.equal(await terminate(api), 0);
  load.stop();
  await running;
  assert.deepEqual(
    [...load.failures.keys()].filter((status) => status !== 0),
    [],
  );
  await assertNothingLost(environment.pool, load.accepted);

  api = await environment.spawn("api");
  const second = new Load(api.url, 100);
  running = second.run(4);
  await running;
  await assertNothingLost(environment.pool, [...load.accepted, ...second.accepted]);
  await Promise.all([api.end(), subscriber.end()]);
});

/** Sends SIGTERM; the exit code, or null where the process hung and was killed. */
async function terminate(process: Spawned): Promise<number | null> {
  const timer = setTimeout(() => process.child.kill("SIGKILL"), HANG_MS);
  const code = await process.end("SIGTERM");
  clearTimeout(timer);
  await until("it says that it has stopped", () => process.output().includes("stopped"));
  return code;
}
