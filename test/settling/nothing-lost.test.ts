import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { query } from "../../common/database.ts";
import { createTestEnvironment, type TestEnvironment } from "../support/environment.ts";
import { assertNothingLost, Load } from "../support/load.ts";
import type { Spawned } from "../support/processes.ts";
import { until } from "../support/until.ts";

/** App Engine's patience between SIGTERM and SIGKILL. */
const TERM_TO_KILL_MS = 2_000;

let environment: TestEnvironment;
before(async () => {
  environment = await createTestEnvironment();
});
after(() => environment.close());

test("ten kills of the subscriber in 20,000 writes lose, double and age nothing", async () => {
  const KILLS = 10;
  const WRITES = 20_000;
  const api = await environment.spawn("api");
  const load = new Load(api.url, WRITES);
  let kills = 0;
  // The load waits for the kills, so that all of them fall into it.
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

test("what a client was told is settled, though the API was killed under load", async () => {
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

test("SIGTERM under load ends either process with 0 inside two seconds, and loses nothing", async () => {
  await environment.renewSubscription();
  let [api, subscriber] = await Promise.all([
    environment.spawn("api"),
    environment.spawn("subscriber"),
  ]);
  const load = new Load(api.url, 200_000);
  let running = load.run(32);
  await until("it settles", () => subscriber.output().includes("writes settled"));
  assert.equal(await terminate(subscriber), 0);
  await load.pauseFor(() => environment.renewSubscription());
  subscriber = await environment.spawn("subscriber");
  await until("it settles again", () => subscriber.output().includes("writes settled"));
  const answered = terminate(api);
  assert.equal(await answered, 0);
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

/** Ends a process as App Engine does; its exit code, or null where it had to be killed. */
async function terminate(process: Spawned): Promise<number | null> {
  const timer = setTimeout(() => process.child.kill("SIGKILL"), TERM_TO_KILL_MS);
  const code = await process.end("SIGTERM");
  clearTimeout(timer);
  return code;
}
