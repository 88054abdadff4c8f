import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { data } from "../../collections/data.ts";
import { query } from "../../common/database.ts";
import { toDateTime } from "../../common/date-times.ts";
import { DAY_MS } from "../../common/limits.ts";
import { mintWriteId } from "../../common/write-id.ts";
import { findCompetingItems } from "../../ops/restore/competition.ts";
import { readDatabase } from "../../ops/restore/database.ts";
import { RESTORE } from "../../ops/restore/main.ts";
import { visits } from "../collections/visits.ts";
import { startApi } from "../support/api.ts";
import { runInProcess } from "../support/commands.ts";
import { createTestEnvironment } from "../support/environment.ts";
import { publishByHand } from "../support/http.ts";
import { versionAt } from "../support/schedules.ts";
import { until } from "../support/until.ts";

const WAIT = { prefer: "wait=20" };

describe("npm run ops -- restore", () => {
  const { environment, api } = startApi({ subscriber: true });
  const restore = (...args: string[]) => runInProcess(RESTORE, args, { env: environment.env });

  async function readFeed() {
    const [feed] = await query(environment.pool, "SELECT epoch, position FROM feeds");
    return { epoch: String(feed?.epoch), position: Number(feed?.position) };
  }

  const countWaiting = async () =>
    (await query(environment.pool, "SELECT write_id FROM waiting")).length;

  const hasLetter = async () =>
    (await query(environment.pool, "SELECT message_id FROM dead_letters")).length > 0;

  /** Writes, and a dead letter, settled after the returned time, which the database then loses. */
  async function loseWrites(): Promise<{ time: string; receipts: string[] }> {
    const { pool } = environment;
    await api.put("/api/data/older", { nombre: "kept" }, WAIT);
    await query(pool, "CREATE TABLE kept_data AS SELECT * FROM data");
    await query(pool, "CREATE TABLE kept_writes AS SELECT * FROM writes");
    const [clock] = await query(pool, "SELECT UTC_TIMESTAMP(3) AS now");
    const time = `${String(clock?.now).replace(" ", "T")}Z`;
    const receipts: string[] = [];
    const add = async (answer: ReturnType<typeof api.put>) =>
      receipts.push((await answer).body.receipt);
    await add(api.post("/api/data", { nombre: "alone" }));
    await add(api.put("/api/data/contested", { nombre: "first" }));
    await add(api.put("/api/data/contested", { nombre: "second" }));
    await add(api.put("/api/data/older", { nombre: "replaced" }));
    for (const receipt of receipts) await api.settled(receipt);
    const topic = environment.env.PUBSUB_TOPIC?.replace(/-writes$/, "-dead") as string;
    const deadLetters = { ...environment, env: { ...environment.env, PUBSUB_TOPIC: topic } };
    await publishByHand(deadLetters, [{ attributes: {}, data: Buffer.from("given up") }]);
    await until("the letter is kept", hasLetter);
    await query(pool, "DELETE FROM dead_letters");
    for (const table of ["data", "writes"]) {
      await query(pool, `DELETE FROM ${table}`);
      await query(pool, `INSERT INTO ${table} SELECT * FROM kept_${table}`);
      await query(pool, `DROP TABLE kept_${table}`);
    }
    return { time, receipts };
  }

  it("does nothing at first, then has every lost write settled again, and names what competed", async () => {
    const { pool } = environment;
    const { time, receipts } = await loseWrites();
    await query(pool, "INSERT INTO feeds VALUES ('data', UUID(), 17, 3)");
    await query(pool, "INSERT INTO waiting VALUES (?, UTC_TIMESTAMP(3))", [mintWriteId()]);
    const before = await readFeed();

    const planned = await restore(time);
    assert.equal(planned.status, 0, planned.err);
    assert.match(planned.out, /1 feeds begin a new epoch/);
    assert.match(planned.out, /^\S+-settle is sought back to \d{4}-/m);
    assert.match(planned.out, /^\S+-dead-keep is sought back to \d{4}-/m);
    assert.match(planned.out, /Nothing was done\. With --seek, it is\.\n$/);
    assert.deepEqual([await readFeed(), await countWaiting()], [before, 1]);

    const done = await restore(time, "--seek");
    assert.equal(done.status, 0, done.err);
    const [, command = ""] = /npm run ops -- restore (.+ --report .+)/.exec(done.out) ?? [];
    const outcomes = [];
    for (const receipt of receipts) outcomes.push((await api.settled(receipt)).outcome);
    assert.equal(outcomes[0], "applied");
    await until("the lost letter is kept again", hasLetter);
    assert.equal((await api.get("/api/data/contested")).body.nombre, "second");
    assert.equal((await api.get("/api/data/older")).body.nombre, "replaced");
    const after = await readFeed();
    assert.notEqual(after.epoch, before.epoch);
    assert.ok(after.position > before.position + 1e9, "old positions are given again");
    assert.equal(await countWaiting(), 0);

    const { status, out } = await restore(...command.split(" "));
    assert.equal(status, 0);
    assert.deepEqual(out.match(/^\/api\/.*$/gm), [
      `/api/data/contested  ${outcomes[1] === "applied" ? "2 applied" : "1 applied, 1 superseded"}`,
    ]);
    assert.match(out, /Their writers may have been\ntold other outcomes/);
    const none = await restore(new Date().toISOString(), "--report");
    assert.match(none.out, /^No item has more than one write that was settled since /);
  });

  it("refuses what cannot be restored, in a sentence, and does nothing", async () => {
    const before = await readFeed();
    const tooOld = new Date(Date.now() - 3_600_000).toISOString();
    const refused = await restore(tooOld, "--seek", "--again");
    assert.equal(refused.status, 1);
    assert.match(refused.err, /-settle are kept since \S+ only\. What was accepted between/);
    const notRestored = await restore(new Date(Date.now() - 300_000).toISOString(), "--seek");
    assert.equal(notRestored.status, 1, notRestored.out);
    assert.match(notRestored.err, /Either MYSQL_URL names a database that was not restored/);
    const ahead = await restore(new Date(Date.now() + 3_600_000).toISOString(), "--seek");
    assert.equal(ahead.status, 1);
    assert.match(ahead.err, /is in the future/);
    assert.match(ahead.err, /Nothing was done\.\n$/);
    assert.deepEqual(await readFeed(), before);
  });

  it("takes a time with its zone, and says what is wrong with its options", async () => {
    for (const [args, sentence] of [
      [["yesterday"], /^TIME must be a time with its zone, such as .+, not "yesterday"\./],
      [["2026-11-28T10:00:00"], /^TIME must be a time with its zone/],
      [["2026-11-31T25:00:00Z"], /^TIME must be a time with its zone/],
      [[], /^Give one time: the one to which MySQL was restored\./],
      [["2026-11-28T10:00:00Z", "--seek", "--report"], /^Give either --seek or --report\./],
      [["2026-11-28T10:00:00Z", "--until", "x"], /^--until is only for --report\./],
      [["2026-11-28T10:00:00Z", "--report", "--again"], /^--from and --again are not for/],
    ] as const) {
      const { status, err } = await restore(...args);
      assert.equal(status, 2);
      assert.match(err, sentence);
    }
    const { status, err } = await runInProcess(RESTORE, ["2026-11-28T10:00:00Z"], {
      env: { ...environment.env, PUBSUB_SUBSCRIPTION: "nowhere" },
    });
    assert.deepEqual([status, err.split(":")[0]], [1, "The subscription nowhere cannot be read"]);
  });
});

it("restore refuses while Pub/Sub pushes, and says how to pause and to resume it", async (t) => {
  const environment = await createTestEnvironment();
  t.after(() => environment.close());
  const push = { serviceAccountEmail: "push@some-project", audience: "some-audience" };
  await environment.pushTo(9, push);
  const time = new Date().toISOString();
  const { status, err } = await runInProcess(RESTORE, [time, "--seek"], { env: environment.env });
  assert.equal(status, 1);
  const endpoint = "http://127.0.0.1:9/push";
  assert.match(err, new RegExp(`^Pub/Sub pushes \\S+-settle to ${endpoint}, `, "m"));
  assert.match(
    err,
    /^ {2}gcloud pubsub subscriptions modify-push-config \S+-settle --push-endpoint=""$/m,
  );
  assert.match(
    err,
    new RegExp(
      `-settle --push-endpoint=${endpoint} --push-auth-service-account=push@some-project` +
        " --push-auth-token-audience=some-audience$",
      "m",
    ),
  );
});

describe("the report of a restore", () => {
  const { environment } = startApi();
  const timeMs = Date.parse("2026-11-21T10:00:00Z");
  const untilMs = timeMs + 60_000;
  const serials = new Array(100).keys();

  /** A write that was accepted and settled so many seconds after the restored time. */
  type Timed = { accepted: number; settled: number };

  /** Stores an item's writes as settling leaves them: the last one is the row. */
  async function store(itemId: string, writes: readonly Timed[]): Promise<void> {
    const stored = writes.map(({ accepted, settled }) => ({
      id: versionAt(timeMs + accepted * 1_000, serials.next().value),
      settledAt: toDateTime(timeMs + settled * 1_000),
    }));
    for (const { id, settledAt } of stored.slice(0, -1))
      await query(
        environment.pool,
        "INSERT INTO writes (id, collection, item_id, outcome, settled_at)" +
          " VALUES (?, 'data', ?, 'conflict', ?)",
        [id, itemId, settledAt],
      );
    const { id, settledAt } = stored.at(-1) ?? assert.fail();
    await query(
      environment.pool,
      "INSERT INTO data (id, version, nombre, created_at, updated_at, applied_at)" +
        " VALUES (?, ?, 'x', ?, ?, ?)",
      [itemId, id, settledAt, settledAt, settledAt],
    );
  }

  it("lists what was settled again beside another write, also one that was accepted since", async () => {
    const [first, second] = [
      { accepted: 1, settled: 101 },
      { accepted: 2, settled: 102 },
    ];
    await store("two", [first, second]);
    await store("in-flight", [{ accepted: -3_600, settled: 100 }, first]);
    await store("overtaken", [first, { accepted: 61, settled: 101 }]);
    await store("alone", [second]);
    await store("kept", [{ accepted: -20, settled: -10 }, second]);
    await store("below-kept", [
      { accepted: -30, settled: 100 },
      { accepted: -20, settled: -10 },
    ]);
    await store("replaced-since", [first, { accepted: 61, settled: 101.001 }]);
    await store("all-since", [
      { accepted: 61, settled: 62 },
      { accepted: 62, settled: 63 },
    ]);
    const { items, isCut } = await findCompetingItems(environment.pool, [data], {
      acceptedFromMs: timeMs - DAY_MS,
      acceptedUntilMs: untilMs,
      settledAfterMs: timeMs,
    });
    const outcomes = { conflict: 1, applied: 1 };
    assert.deepEqual(
      items.toSorted((one, other) => (one.itemId < other.itemId ? -1 : 1)),
      ["in-flight", "overtaken", "two"].map((itemId) => ({ collection: "data", itemId, outcomes })),
    );
    assert.equal(isCut, false);
  });
});

describe("what a restore reads of the database", () => {
  const { environment, api } = startApi({ collections: [data, visits], subscriber: true });

  it("is when the newest write was settled, by a feed's positions too", async () => {
    for (const collection of [data, visits]) {
      const path = `/api/${collection.name}/one`;
      const item = collection === data ? { nombre: "x" } : { name: "x" };
      await api.put(path, item, WAIT);
      const { headers } = await api.put(path, item, WAIT);
      const receipt = await api.get(`${path}/writes/${headers.get("etag")?.replaceAll('"', "")}`);
      const { settledAtMs } = await readDatabase(environment.pool, [collection]);
      assert.equal(new Date(settledAtMs ?? 0).toISOString(), receipt.body.settledAt);
    }
  });
});
