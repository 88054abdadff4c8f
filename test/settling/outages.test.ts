import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { startLocalPubsub } from "../../local/local-pubsub.ts";
import { type Mysql, startMysql } from "../../local/mysql.ts";
import { type Emulator, startEmulator } from "../../local/official-emulator.ts";
import { findAnyPort } from "../../local/ports.ts";
import { residentMb } from "../../proof/support/process-usage.ts";
import { createTestEnvironment, type TestEnvironment } from "../support/environment.ts";
import { assertNothingLost, Load, send } from "../support/load.ts";
import { until } from "../support/until.ts";

/** What the API may grow by while nothing can be published: its queue is bounded. */
const MAX_GROWTH_MB = 200;

/** Writes at each step of an outage. */
const WRITES = 2_000;

let folder: string;
let mysql: Mysql;
let pubsub: Emulator;
let environment: TestEnvironment;
const engine = process.env.TEST_ENGINE === "mariadb" ? "mariadb" : "mysql";
const say = () => {};

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "constancia-"));
  mysql = await startMysql({ folder, port: findAnyPort, engine, say });
  const startPubsub = process.env.TEST_PUBSUB === "emulator" ? startEmulator : startLocalPubsub;
  const logFile = join(folder, "pubsub.log");
  pubsub = await startPubsub({ port: await findAnyPort(), logFile, say });
  process.env.PUBSUB_EMULATOR_HOST = pubsub.host;
  environment = await createTestEnvironment({ mysqlUrl: mysql.url });
});
after(async () => {
  await environment.close();
  await pubsub.stop();
  await mysql.stop();
  await rm(folder, { recursive: true, force: true });
});

test("without credentials for Pub/Sub the API logs it, refuses writes and keeps running", async () => {
  const noneThere = {
    ACCESS: "public",
    PUBSUB_EMULATOR_HOST: "",
    GOOGLE_APPLICATION_CREDENTIALS: "/nowhere.json",
  };
  const api = await environment.spawn("api", noneThere);
  for (let time = 1; time <= 2; time += 1) {
    const { status, headers } = await send("POST", `${api.url}/api/data`, '{"nombre":"x"}');
    assert.equal(status, 503);
    assert.ok(Number(headers["retry-after"]) > 0);
  }
  assert.match(api.output(), /connecting to Pub\/Sub failed.*nowhere\.json/s);
  assert.equal((await send("GET", `${api.url}/health/live`)).status, 200);
});

test("without MySQL the API accepts, reads answer 503, and the backlog drains after", async () => {
  await environment.renewSubscription();
  let [api, subscriber] = await Promise.all([
    environment.spawn("api"),
    environment.spawn("subscriber"),
  ]);
  const load = new Load(api.url, 50_000);
  const running = load.run(16);
  await until("it settles", () => subscriber.output().includes("writes settled"));
  const { port } = mysql;
  load.allow(WRITES);
  await mysql.stop();
  load.allow(WRITES);
  const before = load.accepted.length;
  const isRead503 = async (path: string) => {
    const { status, headers } = await send("GET", api.url + path);
    return status === 503 && Number(headers["retry-after"]) > 0;
  };
  await until("an item answers 503", () => isRead503("/api/data/hot-0"));
  await until("the list answers 503", () => isRead503("/api/data"));
  await until("writes go on", () => load.accepted.length > before + 1_000);
  const conditional = await send("PUT", `${api.url}/api/data/only-once`, '{"nombre":"x"}', {
    "if-none-match": "*",
  });
  assert.equal(conditional.status, 202, "a verdict that needs the row is left to settlement");
  // Pub/Sub redelivers its unsettled messages to the next one.
  assert.equal(await subscriber.end("SIGTERM"), 0);
  await load.pauseFor(() => environment.renewSubscription());
  subscriber = await environment.spawn("subscriber");
  mysql = await startMysql({ folder, port, engine, say });
  load.allow(WRITES);
  await until("the item can be read", async () => {
    return (await send("GET", `${api.url}/api/data/hot-0`)).status === 200;
  });
  load.stop();
  await running;
  assert.deepEqual([...load.failures], []);
  await assertNothingLost(environment.pool, load.accepted);
  assert.equal((await send("GET", `${api.url}/api/data/only-once`)).status, 200);
  await Promise.all([api.end(), subscriber.end()]);
});

test("while MySQL stands still, writes that need no MySQL do not wait for it, and reads end", async () => {
  await environment.renewSubscription();
  const [api, subscriber] = await Promise.all([
    environment.spawn("api"),
    environment.spawn("subscriber"),
  ]);
  const item = `${api.url}/api/data/stands-still`;
  const before = await send("PUT", item, '{"nombre":"before"}', { prefer: "wait=30" });
  assert.match(String(before.status), /^20[01]$/);
  const match = { "if-match": String(before.headers.etag) };
  const order: string[] = [];
  const call = async (name: string, ...request: Parameters<typeof send>) => {
    const { status, body } = await send(...request);
    order.push(name);
    return { status, body };
  };
  const keyed = () =>
    call("keyed", "POST", `${api.url}/api/data`, '{"nombre":"x"}', { "idempotency-key": "k-1" });
  await freeze(mysql.pid);
  let accepted: { status: number; body: string }[];
  try {
    const reads = [
      call("read", "GET", item),
      call("list", "GET", `${api.url}/api/data`),
      call("newest", "GET", api.url),
    ];
    const others = [
      keyed(),
      call("conditional", "PUT", item, '{"nombre":"after"}', match),
      call("waiting", "PUT", `${api.url}/api/data/other`, '{"nombre":"x"}', { prefer: "wait=1" }),
    ];
    accepted = await Promise.all(others);
    const { receipt } = JSON.parse(accepted[0]?.body ?? "{}");
    const waited = await call("receipt", "GET", api.url + receipt, undefined, { prefer: "wait=1" });
    assert.equal(JSON.parse(waited.body).status, "accepted");
    assert.deepEqual(
      new Set((await Promise.all(reads)).map(({ status }) => status)),
      new Set([503]),
    );
    // The reads, which were first, ended by their own deadline, when the others had been answered.
    assert.deepEqual(order.slice(0, 4).sort(), ["conditional", "keyed", "receipt", "waiting"]);
  } finally {
    process.kill(mysql.pid, "SIGCONT");
  }
  assert.deepEqual(new Set(accepted.map(({ status }) => status)), new Set([202]));
  for (const { body } of accepted) {
    const receipt = api.url + JSON.parse(body).receipt;
    await until("it is settled", async () => {
      const answer = await send("GET", receipt, undefined, { prefer: "wait=10" });
      return answer.status === 200 && JSON.parse(answer.body).outcome === "applied";
    });
  }
  assert.equal(JSON.parse((await send("GET", item)).body).nombre, "after");
  assert.equal((await keyed()).status, 202);
  await Promise.all([api.end(), subscriber.end()]);
});

test("a frozen Pub/Sub is answered 503 in time, in bounded memory, and recovers", async (t) => {
  await environment.renewSubscription();
  const [api, subscriber] = await Promise.all([
    environment.spawn("api"),
    environment.spawn("subscriber"),
  ]);
  const load = new Load(api.url, 500_000);
  const running = load.run(256);
  t.after(() => load.stop());
  await until("writes are accepted", () => load.accepted.length > 2_000);
  const memoryMb = residentMb(api.child.pid as number).now;
  await freeze(pubsub.pid);
  try {
    // Twice as many refusals as clients: the first were in flight, the second came afterwards,
    // and all of them were answered while nothing could answer but the deadline.
    await until("every client is refused twice", () => (load.failures.get(503) ?? 0) >= 512);
  } finally {
    process.kill(pubsub.pid, "SIGCONT");
  }
  const grownMb = residentMb(api.child.pid as number).now - memoryMb;
  assert.ok(grownMb < MAX_GROWTH_MB, `the API grew by ${grownMb} MB`);
  const accepted = load.accepted.length;
  await until("writes are accepted again", () => load.accepted.length > accepted + 1_000);
  load.stop();
  await running;
  assert.deepEqual([...load.failures.keys()], [503]);
  await assertNothingLost(environment.pool, load.accepted);
  await Promise.all([api.end(), subscriber.end()]);
});

/** Sends SIGSTOP, and waits until each thread has stopped, where Linux tells: some run a moment longer. */
async function freeze(pid: number): Promise<void> {
  process.kill(pid, "SIGSTOP");
  const isStopped = (file: string) => / [Tt] /.test(readFileSync(file, "utf8"));
  await until("it stands still", () => globSync(`/proc/${pid}/task/*/stat`).every(isStopped));
}
