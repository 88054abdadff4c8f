import assert from "node:assert/strict";
import { before, describe, it, mock } from "node:test";
import { createSweep, startSweep } from "../../api/sweep.ts";
import { data } from "../../collections/data.ts";
import { query } from "../../common/database.ts";
import { formatLockName } from "../../common/named-lock.ts";
import { encodeWrite, type Write } from "../../common/write.ts";
import { deriveExpireId, mintWriteId } from "../../common/write-id.ts";
import { seats } from "../collections/seats.ts";
import { startApi } from "../support/api.ts";
import { assertProblem, publishByHand } from "../support/http.ts";
import { createTestLogger } from "../support/logger.ts";
import { startPusher } from "../support/pusher.ts";
import { until } from "../support/until.ts";

const WAIT = { prefer: "wait=30" };
const CRON = { "x-appengine-cron": "true" };
const ITEM = { passenger: "Gabriela" };
const logger = await createTestLogger();

describe("the sweep of expired items", () => {
  // The API's own timer would sweep meanwhile where a busy machine takes a minute for these tests.
  before(() => mock.timers.enable({ apis: ["setInterval"] }));
  const { environment, api } = startApi({ collections: [data, seats], subscriber: true });
  before(() => mock.timers.reset());

  /** Puts an item that expired so many seconds ago, by MySQL's clock; its version and its expiry. */
  async function putExpired(id: string, secondsAgo: number) {
    const put = await api.put(`/api/seats/${id}`, ITEM, WAIT);
    const version = (put.headers.get("etag") as string).replaceAll('"', "");
    const sql = "UPDATE seats SET held_until = UTC_TIMESTAMP(3) - INTERVAL ? SECOND WHERE id = ?";
    await query(environment.pool, sql, [secondsAgo, id]);
    const { heldUntil } = await readRow(id);
    return { version, expiresAt: Date.parse(`${heldUntil.replace(" ", "T")}Z`) };
  }

  async function readRow(id: string) {
    const sql = "SELECT version, held_until, passenger FROM seats WHERE id = ?";
    const [row] = await query(environment.pool, sql, [id]);
    assert.ok(row);
    const { version, held_until: heldUntil, passenger } = row;
    return { version: String(version), heldUntil: String(heldUntil), passenger };
  }

  /** A sweep of its own, and what it publishes. */
  function createOwnSweep(publish: (write: Write) => Promise<void> = async () => {}) {
    const published: Write[] = [];
    const stop = new AbortController();
    const sweep = createSweep({
      pool: environment.pool,
      collections: [data, seats],
      publisher: {
        publish: (write) => {
          published.push(write);
          return publish(write);
        },
      },
      logger,
      stop: stop.signal,
    });
    return { sweep, published, stop };
  }

  it("makes an item that expired a minute ago a tombstone, which has a receipt", async () => {
    const { version, expiresAt } = await putExpired("old", 61);
    await putExpired("young", 50);
    const beforeMs = Date.now();
    assert.equal((await api.get("/_ah/sweep", CRON)).status, 204);
    const expire = deriveExpireId(version, expiresAt);
    const receipt = await api.settled(`/api/seats/old/writes/${expire}`);
    assert.deepEqual([receipt.outcome, receipt.created], ["applied", false]);
    assert.ok(Date.parse(receipt.acceptedAt) >= beforeMs - 1_000, receipt.acceptedAt);
    assert.ok((receipt.lagMs as number) < 60_000);
    const swept = await readRow("old");
    assert.equal(swept.version, expire);
    assert.equal(swept.passenger, null);
    assert.equal(Date.parse(`${swept.heldUntil.replace(" ", "T")}Z`), expiresAt);
    assertProblem(await api.get("/api/seats/old"), 410, "deleted");
    assert.equal((await readRow("young")).passenger, ITEM.passenger);
    const replaced = await api.settled(`/api/seats/old/writes/${version}`);
    assert.deepEqual([replaced.outcome, replaced.created], ["applied", true]);
    const again = await api.put("/api/seats/old", ITEM, WAIT);
    assert.equal(again.status, 201);
    // It is in another table now.
    assert.deepEqual(await api.settled(`/api/seats/old/writes/${expire}`), receipt);
  });

  it("is one write where two sweeps, or a redelivery, publish it twice", async () => {
    const { version } = await putExpired("twice", 100);
    const { sweep, published } = createOwnSweep();
    assert.equal(await sweep("cron"), 1);
    assert.equal(await sweep("cron"), 1);
    const [first, second] = published.map((write) => encodeWrite(write));
    assert.ok(first && second);
    assert.equal(first.attributes["ce-id"], second.attributes["ce-id"]);
    await publishByHand(environment, [first, second, first]);
    const id = first.attributes["ce-id"] as string;
    assert.equal((await api.settled(`/api/seats/twice/writes/${id}`)).outcome, "applied");
    await api.put("/api/seats/after-twice", ITEM, WAIT);
    const sql = "SELECT id, outcome FROM writes WHERE item_id = 'twice'";
    const receipts = await query(environment.pool, sql);
    assert.deepEqual(
      receipts.map((row) => ({ ...row })),
      [{ id: version, outcome: "applied" }],
    );
    assert.equal(await sweep("cron"), 0);
  });

  it("leaves an item that was renewed after it was found", async () => {
    await putExpired("renewed", 100);
    await query(environment.pool, "UPDATE seats SET version = ? WHERE id = 'renewed'", [
      "01900000-0000-7000-8000-000000000001",
    ]);
    const { sweep, published } = createOwnSweep();
    await sweep("cron");
    const renewal = await api.put("/api/seats/renewed", ITEM, WAIT);
    const [late] = published;
    assert.ok(late);
    await publishByHand(environment, [encodeWrite(late)]);
    const settled = await api.settled(`/api/seats/renewed/writes/${late.id}`);
    assert.equal(settled.outcome, "conflict");
    assert.ok(Date.now() - Date.parse(settled.acceptedAt) < 60_000, settled.acceptedAt);
    assert.equal(
      (await api.get("/api/seats/renewed")).headers.get("etag"),
      renewal.headers.get("etag"),
    );
  });

  it("goes through all that has expired, the oldest first, and stops when it is told to", async () => {
    const many = Array.from({ length: 1_203 }, (_, place) => [
      ...[`many-${place}`, mintWriteId(), "x", `2026-03-01 09:30:0${String(place).length}`],
      ...["2026-03-01", "2026-03-01", "2026-03-01"],
    ]);
    const columns = "id, version, passenger, held_until, created_at, updated_at, applied_at";
    await query(environment.pool, `INSERT INTO seats (${columns}) VALUES ?`, [many]);
    const { sweep, published } = createOwnSweep();
    assert.equal(await sweep("cron"), 1_203);
    assert.equal(new Set(published.map(({ itemId }) => itemId)).size, 1_203);
    const lengths = published.map(({ itemId }) => itemId.length);
    assert.deepEqual(
      lengths,
      lengths.toSorted((a, b) => a - b),
    );
    const stopped = createOwnSweep(async () => stopped.stop.abort());
    assert.equal(await stopped.sweep("cron"), 500);
    await query(environment.pool, "DELETE FROM seats WHERE id LIKE 'many-%'");
  });

  it("is one a minute of all processes' timers, and one whenever the cron calls", async () => {
    await putExpired("shared", 100);
    await query(environment.pool, "DELETE FROM sweeps");
    const processes = [createOwnSweep(), createOwnSweep(), createOwnSweep()];
    const counts: number[] = [];
    for (const { sweep } of processes) counts.push(await sweep("timer"));
    assert.deepEqual(counts, [1, 0, 0]);
    assert.equal(await createOwnSweep().sweep("cron"), 1);
    await query(environment.pool, "UPDATE sweeps SET swept_at = swept_at - INTERVAL 55 SECOND");
    const later = await Promise.all(processes.map(({ sweep }) => sweep("timer")));
    assert.equal(
      later.reduce((sum, count) => sum + count),
      1,
    );
    // What could not be published is left to the next timer.
    await query(environment.pool, "UPDATE sweeps SET swept_at = swept_at - INTERVAL 55 SECOND");
    const failing = createOwnSweep(() => Promise.reject(new Error("Pub/Sub is away.")));
    await assert.rejects(failing.sweep("timer"), /Pub\/Sub is away/);
    assert.equal(await createOwnSweep().sweep("timer"), 1);
    await query(environment.pool, "DELETE FROM seats WHERE id = 'shared'");
  });

  it("leaves everything to a sweep that runs elsewhere", async () => {
    await putExpired("elsewhere", 100);
    const connection = await environment.pool.getConnection();
    await query(connection, `SELECT GET_LOCK(${formatLockName("expiry")}, 30)`);
    const { sweep, published } = createOwnSweep();
    assert.equal(await sweep("cron"), 0);
    await query(connection, `SELECT RELEASE_LOCK(${formatLockName("expiry")})`);
    connection.release();
    assert.equal(await sweep("cron"), 1);
    assert.equal(published.length, 1);
  });

  it("gives the lock back where it cannot publish, and runs again a minute later", async (t) => {
    t.mock.timers.enable({ apis: ["setInterval"] });
    let failures = 0;
    const { sweep, published, stop } = createOwnSweep(async () => {
      failures += 1;
      if (failures === 1) throw new Error("Pub/Sub is away.");
    });
    await query(environment.pool, "DELETE FROM sweeps");
    await assert.rejects(sweep("cron"), /Pub\/Sub is away/);
    startSweep(sweep, { logger, stop: stop.signal });
    const countBefore = published.length;
    await until("a later sweep publishes", () => {
      t.mock.timers.tick(60_000);
      return published.length > countBefore;
    });
    stop.abort();
  });

  it("is called by the cron of App Engine only", async () => {
    const others: Record<string, string>[] = [
      {},
      { "x-appengine-cron": "1" },
      { "x-cloudscheduler": "true" },
    ];
    for (const headers of others)
      assertProblem(await api.get("/_ah/sweep", headers), 403, "wrong-scope");
    const pusher = await startPusher();
    const subscriber = await environment.startSubscriber({ env: pusher.env });
    const address = `http://127.0.0.1:${subscriber.port}/_ah/sweep`;
    assert.equal((await fetch(address)).status, 403);
    const sql = "INSERT INTO writes (id, collection, item_id, outcome, settled_at) VALUES (?)";
    const old = "01900000-0000-7000-8000-000000000000";
    await query(environment.pool, sql, [[old, "data", "x", "conflict", "2024-06-01"]]);
    await until("the receipts past their retention are deleted", async () => {
      assert.equal((await fetch(address, { headers: CRON })).status, 204);
      const left = await query(environment.pool, "SELECT id FROM writes WHERE id = ?", [old]);
      return left.length === 0;
    });
    await subscriber.stop();
    pusher.close();
  });
});
