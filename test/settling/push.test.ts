import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { data } from "../../collections/data.ts";
import { query } from "../../common/database.ts";
import { SETTLE } from "../../common/limits.ts";
import { encodeWrite, type Write } from "../../common/write.ts";
import { getWriteTime, mintWriteId } from "../../common/write-id.ts";
import { startPubsub } from "../../local/pubsub/server.ts";
import { createTestEnvironment, type TestEnvironment } from "../support/environment.ts";
import { type Client, createClient } from "../support/http.ts";
import type { Spawned } from "../support/processes.ts";
import { AUDIENCE, SERVICE_ACCOUNT, startPusher, wrap } from "../support/pusher.ts";
import { until } from "../support/until.ts";

function buildPut(itemId: string, nombre = "pushed"): Write {
  const id = mintWriteId();
  return {
    id,
    kind: "put",
    collection: data,
    itemId,
    acceptedAt: getWriteTime(id),
    item: { nombre },
  };
}

describe("a subscriber that is pushed to", () => {
  let environment: TestEnvironment;
  let api: Client;
  let pusher: Awaited<ReturnType<typeof startPusher>>;
  let subscriber: Spawned;
  let push: Client;

  before(async () => {
    environment = await createTestEnvironment();
    api = createClient((await environment.startApi()).url);
    pusher = await startPusher();
    const env = { ...pusher.env, LOG_FORMAT: "json", LOG_LEVEL: "debug" };
    subscriber = await environment.spawn("subscriber", env);
    push = createClient(subscriber.url);
  });
  after(async () => {
    await environment.close();
    pusher.close();
  });

  const authorized = () => ({ authorization: `Bearer ${pusher.token()}` });
  const deliver = async (
    write: Write,
    path = "/push",
    headers: Record<string, string> = authorized(),
  ) =>
    (await push.send("POST", path, { body: wrap(encodeWrite(write), `m-${write.id}`), headers }))
      .status;
  const waitForReceipt = ({ itemId, id }: Write) => api.settled(`/api/data/${itemId}/writes/${id}`);
  const countLetters = async ({ id }: Write) =>
    (await query(environment.pool, "SELECT 1 FROM dead_letters WHERE write_id = ?", [id])).length;

  it("answers 204 to a valid token once the write is settled", async () => {
    const write = buildPut("p-1");
    assert.equal(await deliver(write), 204);
    const [row] = await query(
      environment.pool,
      "SELECT version, nombre FROM data WHERE id = 'p-1'",
    );
    assert.deepEqual({ ...row }, { version: write.id, nombre: "pushed" });
    assert.equal((await waitForReceipt(write)).outcome, "applied");
  });

  it("settles many concurrent pushes, each with its own answer", async () => {
    const writes = Array.from({ length: 100 }, (_, index) => buildPut(`many-${index}`));
    const statuses = await Promise.all(writes.map((write) => deliver(write)));
    assert.deepEqual(new Set(statuses), new Set([204]));
    for (const write of writes) assert.equal((await waitForReceipt(write)).outcome, "applied");
  });

  it("counts attributes among the bytes of a batch", async () => {
    const writes = Array.from({ length: 40 }, (_, index) => buildPut(`attributes-${index}`));
    const statuses = writes.map(async (write) => {
      const { attributes, data } = encodeWrite(write);
      for (let index = 0; index < 80; index += 1)
        attributes[`googclient_more-${index}`] = "x".repeat(1_000);
      const body = wrap({ attributes, data }, `m-${write.id}`);
      return (await push.send("POST", "/push", { body, headers: authorized() })).status;
    });
    assert.deepEqual(new Set(await Promise.all(statuses)), new Set([204]));
    const readSizes = () =>
      subscriber
        .output()
        .split("\n")
        .filter((line) => line.includes("writes settled"))
        .map((line) => line.split('"attributes-').length - 1);
    const countLogged = () => readSizes().reduce((sum, size) => sum + size, 0);
    await until("all are logged", () => countLogged() === writes.length);
    const mostMessages = SETTLE.maxBytes / (80 * 2 * 1_000);
    for (const size of readSizes()) assert.ok(size <= mostMessages, `a batch of ${size}`);
  });

  it("settles a message once, however often it is delivered", async () => {
    const write = buildPut("p-2");
    const newer = buildPut("p-2", "newer");
    const statuses = await Promise.all([deliver(write), deliver(write), deliver(write)]);
    assert.deepEqual(statuses, [204, 204, 204]);
    const receipt = await waitForReceipt(write);
    assert.equal(await deliver(newer), 204);
    assert.equal(await deliver(write), 204);
    assert.equal((await waitForReceipt(write)).outcome, "applied");
    assert.deepEqual(await waitForReceipt(write), receipt);
    assert.equal((await api.get("/api/data/p-2")).body.nombre, "newer");
    const [count] = await query(
      environment.pool,
      "SELECT COUNT(*) AS receipts FROM writes WHERE item_id = 'p-2'",
    );
    assert.equal(Number(count?.receipts), 1);
  });

  it("refuses every forged token with 401, settles nothing, and logs no part of it", async () => {
    const forged = Object.entries(pusher.forgedTokens());
    for (const path of ["/push", "/push/dead-letters"]) {
      const write = buildPut("forged");
      const body = wrap(encodeWrite(write), "forged");
      for (const [what, authorization] of forged) {
        const answer = await push.send("POST", path, { body, headers: { authorization } });
        assert.equal(answer.status, 401, what);
        assert.equal(answer.headers.get("www-authenticate"), "Bearer");
        for (const part of splitToken(authorization)) assert.ok(!answer.text.includes(part), what);
      }
      assert.equal((await push.send("POST", path, { body })).status, 401, "no token");
      assert.equal(await countLetters(write), 0);
    }
    assert.equal((await api.get("/api/data/forged")).status, 404);
    const refusals = () => subscriber.output().split("a push without a valid token").length - 1;
    await until("all refusals are logged", () => refusals() === 2 * (forged.length + 1));
    for (const [what, authorization] of forged)
      for (const part of splitToken(authorization))
        assert.ok(!subscriber.output().includes(part), `${what} is in the log`);
  });

  it("never logs a valid token either", async () => {
    const headers = authorized();
    const write = buildPut("p-3");
    assert.equal(await deliver(write, "/push", headers), 204);
    await until("it is logged", () => subscriber.output().includes(write.id));
    for (const part of splitToken(headers.authorization))
      assert.ok(!subscriber.output().includes(part));
  });

  it("answers 400 to a request that is not a push, and logs it", async () => {
    const bodies = [
      "",
      "{",
      "null",
      "[]",
      '"x"',
      "{}",
      '{"message":null}',
      '{"message":{}}',
      '{"message":{"messageId":1}}',
      '{"message":{"messageId":"1","data":"not base64!"}}',
      '{"message":{"messageId":"1","attributes":{"a":1}}}',
    ];
    for (const body of bodies) {
      const { status } = await push.send("POST", "/push", { body, headers: authorized() });
      assert.equal(status, 400, body);
    }
    const countRejected = () =>
      readRejections(subscriber).filter(({ status }) => status === 400).length;
    await until("each is logged", () => countRejected() === bodies.length);
  });

  it("answers 413 to a push that is larger than any of Pub/Sub's, and logs it", async () => {
    const body = `"${"x".repeat(14 * 1024 * 1024)}"`;
    const { status } = await push.send("POST", "/push", { body, headers: authorized() });
    assert.equal(status, 413);
    await until("it is logged", () =>
      readRejections(subscriber).some(({ status }) => status === 413),
    );
  });

  it("stores a message that is not a write as a dead letter", async () => {
    const body = wrap({ attributes: { hello: "world" }, data: Buffer.from("") }, "no-write");
    const { status } = await push.send("POST", "/push", { body, headers: authorized() });
    assert.equal(status, 204);
    const find = "SELECT reason FROM dead_letters WHERE message_id = 'no-write'";
    const [letter] = await query(environment.pool, find);
    assert.match(String(letter?.reason), /not a CloudEvent/);
  });

  it("makes a dead-lettered write dead unless it is settled already", async () => {
    const [lost, settled] = [buildPut("lost"), buildPut("kept")];
    assert.equal(await deliver(lost, "/push/dead-letters"), 204);
    const receipt = await waitForReceipt(lost);
    assert.equal(receipt.outcome, "dead");
    assert.match(receipt.reason as string, /used up the delivery attempts/);
    assert.equal((await api.get("/api/data/lost")).status, 404);

    assert.equal(await deliver(settled), 204);
    assert.equal(await deliver(settled, "/push/dead-letters"), 204);
    assert.equal((await waitForReceipt(settled)).outcome, "applied");
    assert.equal(await countLetters(settled), 0);
  });

  it("keeps a dead write dead when it is delivered once more", async () => {
    const write = buildPut("lost-2");
    assert.equal(await deliver(write, "/push/dead-letters"), 204);
    assert.equal(await deliver(write), 204);
    assert.equal(await deliver(write, "/push/dead-letters"), 204);
    assert.equal((await waitForReceipt(write)).outcome, "dead");
    assert.equal((await api.get("/api/data/lost-2")).status, 404);
    assert.equal(await countLetters(write), 1);
  });

  it("tells App Engine that it has started and that it is ready", async () => {
    for (const path of ["/_ah/start", "/health/live"])
      assert.equal((await push.get(path)).status, 200);
    await until("it is ready", async () => (await push.get("/health/ready")).status === 200);
    assert.equal((await push.get("/_ah/warmup")).status, 200);
  });

  it("answers 503, to be pushed to again, while MySQL cannot be reached", async () => {
    const env = {
      ...pusher.env,
      LOG_FORMAT: "json",
      MYSQL_URL: "mysql://nobody:nothing@127.0.0.1:1/none",
    };
    const process = await environment.spawn("subscriber", env);
    const without = createClient(process.url);
    const write = buildPut("later");
    const body = wrap(encodeWrite(write), "later");
    const answer = await without.send("POST", "/push", { body, headers: authorized() });
    assert.equal(answer.status, 503);
    await until("it is logged", () => readRejections(process).length === 1);
    const { severity, status, messageId } = readRejections(process)[0] ?? {};
    assert.deepEqual([severity, status, messageId], ["ERROR", 503, "later"]);
    assert.equal((await without.get("/health/ready")).status, 503);
    assert.equal((await without.get("/health/live")).status, 200);
    assert.equal(await deliver(write), 204);
    assert.equal((await waitForReceipt(write)).outcome, "applied");
  });

  it("answers 503, not 401, while Google's certificates cannot be fetched, and logs no token", async () => {
    const env = { ...pusher.env, LOG_FORMAT: "json", PUSH_CERTS_URL: "http://127.0.0.1:1/certs" };
    const process = await environment.spawn("subscriber", env);
    const headers = authorized();
    const body = wrap(encodeWrite(buildPut("no-certs")), "no-certs");
    const answer = await createClient(process.url).send("POST", "/push", { body, headers });
    assert.equal(answer.status, 503);
    await until("it is logged", () => process.output().includes("cannot fetch token certificates"));
    for (const part of splitToken(headers.authorization))
      assert.ok(!process.output().includes(part));
  });

  it("accepts pushes without a token for the emulator, which sends none", async () => {
    const env = { DELIVERY: "push", PUSH_AUTH: "off" };
    const { port } = await environment.startSubscriber({ env });
    const open = createClient(`http://127.0.0.1:${port}`);
    const write = buildPut("open");
    const body = wrap(encodeWrite(write), "open");
    assert.equal((await open.send("POST", "/push", { body })).status, 204);
    assert.equal((await waitForReceipt(write)).outcome, "applied");
  });
});

it("settles what Pub/Sub pushes by tokens of its own, and nothing by those of another key", async () => {
  const [pubsub, stranger] = await Promise.all([
    startPubsub({ port: 0 }),
    startPubsub({ port: 0 }),
  ]);
  const environment = await createTestEnvironment({ pubsubHost: pubsub.host });
  try {
    const api = createClient((await environment.startApi()).url);
    const env = {
      DELIVERY: "push",
      PUSH_AUDIENCE: AUDIENCE,
      PUSH_SERVICE_ACCOUNT: SERVICE_ACCOUNT,
      PUSH_CERTS_URL: `${pubsub.controlUrl}/certs`,
    };
    const deceived = await environment.startSubscriber({
      env: { ...env, PUSH_CERTS_URL: `${stranger.controlUrl}/certs` },
    });
    const subscriber = await environment.startSubscriber({ env });
    const oidcToken = { serviceAccountEmail: SERVICE_ACCOUNT, audience: AUDIENCE };
    await environment.pushTo(deceived.port ?? 0, oidcToken);
    const ids = await Promise.all(
      Array.from({ length: 200 }, async (_, index) => {
        const { status, body } = await api.post("/api/data", { nombre: `pushed ${index}` });
        assert.equal(status, 202);
        return body.id as string;
      }),
    );
    const count = async () =>
      Number((await query(environment.pool, "SELECT COUNT(*) AS rows_ FROM data"))[0]?.rows_);
    assert.equal(await count(), 0);
    await environment.pushTo(subscriber.port ?? 0, oidcToken);
    await until("all are settled", async () => (await count()) === ids.length);
  } finally {
    await environment.close();
    await Promise.all([pubsub.stop(), stranger.stop()]);
  }
});

/** The lines in a subscriber's log that say that it rejected a push. */
function readRejections(subscriber: Spawned): Record<string, unknown>[] {
  return subscriber
    .output()
    .split("\n")
    .filter((line) => line.includes("push request rejected"))
    .map((line) => JSON.parse(line))
    .map(({ severity, metadata }) => ({ severity, ...metadata }));
}

/** The pieces of a token that are long enough to tell it by. */
function splitToken(authorization: string): string[] {
  const parts = authorization.split(/[ .]/).filter((part) => part.length > 20);
  return authorization.length > 30 ? [...parts, authorization] : parts;
}
