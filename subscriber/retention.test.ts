import assert from "node:assert/strict";
import test, { after, before } from "node:test";
import { openPool, query } from "../common/database.ts";
import { insertDeadLetters } from "../common/dead-letters.ts";
import { DAY_MS } from "../common/limits.ts";
import { formatLockName } from "../common/named-lock.ts";
import { insertReceipts, type Receipt } from "../common/receipts.ts";
import { insertRows, type Row } from "../common/tables.ts";
import { courses } from "../test/collections/courses.ts";
import { teachers } from "../test/collections/teachers.ts";
import { visits } from "../test/collections/visits.ts";
import { createTestEnvironment, type TestEnvironment } from "../test/support/environment.ts";
import { createTestLogger } from "../test/support/logger.ts";
import { selectRows } from "../test/support/rows.ts";
import { versionAt } from "../test/support/schedules.ts";
import { until } from "../test/support/until.ts";
import { startRetention, sweep } from "./retention.ts";

const LOCK_NAME = formatLockName("retention");
const OLD_MS = Date.now() - 31 * DAY_MS;
const YOUNG_MS = Date.now() - 29 * DAY_MS;
const RETENTION = { collections: [teachers, courses], retentionDays: 30 };

let environment: TestEnvironment;

before(async () => {
  environment = await createTestEnvironment({
    migrations: [new URL("../test/migrations/", import.meta.url)],
  });
});
after(() => environment.close());

test("receipts older than the retention go, and young ones stay", async (t) => {
  // More than two steps of the sweep.
  const old = Array.from({ length: 2_345 }, (_, serial) => receipt(OLD_MS, serial));
  // The id of an expire has the time of the version that it ended.
  const settledLately = { ...receipt(OLD_MS - DAY_MS), settledAt: YOUNG_MS };
  const young = [settledLately, receipt(YOUNG_MS), receipt(YOUNG_MS + DAY_MS)];
  await insertReceipts(environment.pool, [...old, ...young]);
  t.after(() => query(environment.pool, "DELETE FROM writes WHERE id = ?", [settledLately.write]));
  const isSwept = async () => (await getIds("writes")).length === young.length;
  assert.equal(await sweepUntil(isSwept), old.length);
  assert.deepEqual(
    await getIds("writes"),
    young.map(({ write }) => write),
  );
});

test("dead letters older than the retention go, replayed or not, and young ones stay", async () => {
  const letter = (messageId: string) => ({
    messageId,
    writeId: null,
    attributes: {},
    data: Buffer.from("x"),
    reason: "It is bad.",
  });
  await insertDeadLetters(environment.pool, [letter("old"), letter("old, replayed")], OLD_MS);
  await insertDeadLetters(environment.pool, [letter("old, but seen again")], OLD_MS);
  await insertDeadLetters(environment.pool, ["young", "old, but seen again"].map(letter), YOUNG_MS);
  await query(
    environment.pool,
    "UPDATE dead_letters SET replayed_at = NOW(3) WHERE message_id = 'old, replayed'",
  );
  const getLetters = async () =>
    (
      await query(environment.pool, "SELECT message_id AS id FROM dead_letters ORDER BY message_id")
    ).map(({ id }) => id);
  await sweepUntil(async () => (await getLetters()).length <= 2);
  assert.deepEqual(await getLetters(), ["old, but seen again", "young"]);
});

test("tombstones older than the retention go; young ones and items stay, however old", async () => {
  const rows = [
    row("old tombstone", { deletedAt: OLD_MS }),
    row("young tombstone", { deletedAt: YOUNG_MS }),
    row("old item", { deletedAt: null }),
    // Settled late: what it must outlive may be on its way still.
    { ...row("old tombstone, applied lately", { deletedAt: OLD_MS }), appliedAt: YOUNG_MS },
  ];
  await insertRows(environment.pool, teachers, rows);
  await insertRows(environment.pool, courses, [row("old course", { deletedAt: OLD_MS })]);
  await sweepUntil(async () => (await getIds("courses")).length === 0);
  assert.deepEqual(await getIds("teachers"), [
    "old item",
    "old tombstone, applied lately",
    "young tombstone",
  ]);
  assert.deepEqual(await selectRows(environment.pool, teachers, ["old item"]), [rows[2]]);
});

test("the tombstones of a feed go by position once they were applied long ago, and raise its mark", async () => {
  const { pool } = environment;
  const old = (id: string, position: number, more: Partial<Row> = {}) => {
    return { ...row(id, { deletedAt: OLD_MS }), item: null, position, createdPosition: 0, ...more };
  };
  const readMark = async () => {
    const [feed] = await query(pool, "SELECT swept FROM feeds WHERE collection = 'visits'");
    return Number(feed?.swept);
  };
  const many = Array.from({ length: 2_345 }, (_, index) => old(`many-${index}`, 3 + index));
  await insertRows(pool, visits, [
    ...many,
    old("applied lately", 5_000, { appliedAt: YOUNG_MS }),
    old("deleted lately", 5_001, { deletedAt: YOUNG_MS }),
    { ...old("item", 5_002, { deletedAt: null }), item: { name: "Gabriela" } },
    old("from before the feed", 0),
  ]);
  assert.equal(await readMark(), 0);
  const getLeft = () => getIds("visits");
  const swept = await sweepUntil(async () => (await getLeft()).length <= 3, [visits]);
  assert.equal(swept, many.length + 1);
  assert.deepEqual(await getLeft(), ["applied lately", "deleted lately", "item"]);
  assert.equal(await readMark(), 2 + many.length);
  await insertRows(pool, visits, [old("lower", 1)]);
  await sweepUntil(async () => (await getLeft()).length <= 3, [visits]);
  assert.equal(await readMark(), 2 + many.length, "it is the highest");
});

test("only the collections that are declared are swept", async () => {
  await insertRows(environment.pool, courses, [row("kept", { deletedAt: OLD_MS })]);
  await insertRows(environment.pool, teachers, [row("gone", { deletedAt: OLD_MS })]);
  await sweepUntil(async () => !(await getIds("teachers")).includes("gone"), [teachers]);
  assert.deepEqual(await getIds("courses"), ["kept"]);
  await sweepUntil(async () => (await getIds("courses")).length === 0);
});

test("while one subscriber sweeps, another leaves everything to it", async () => {
  await insertReceipts(environment.pool, [receipt(OLD_MS, 1)]);
  const connection = await environment.pool.getConnection();
  await query(connection, `SELECT GET_LOCK(${LOCK_NAME}, 30)`);
  assert.equal(await sweep({ pool: environment.pool, ...RETENTION }), 0);
  assert.ok((await getIds("writes")).includes(receipt(OLD_MS, 1).write));
  await query(connection, `SELECT RELEASE_LOCK(${LOCK_NAME})`);
  connection.release();
  assert.equal(await sweepUntilEmpty("writes", OLD_MS), 1);
});

test("the sweep of another database on the same server is not waited for", async () => {
  const another = await createTestEnvironment();
  await insertReceipts(environment.pool, [receipt(OLD_MS, 8)]);
  const connection = await another.pool.getConnection();
  await query(connection, `SELECT GET_LOCK(${LOCK_NAME}, 0)`);
  assert.equal(await sweep({ pool: environment.pool, ...RETENTION }), 1);
  connection.release();
  await another.close();
});

test("a sweep gives the lock back when it is done", async () => {
  await insertReceipts(environment.pool, [receipt(OLD_MS, 7)]);
  await sweepUntilEmpty("writes", OLD_MS);
  const mysqlUrl = new URL(environment.env.MYSQL_URL as string);
  const another = openPool({ mysqlUrl, poolSize: 1 });
  const [lock] = await query(another, `SELECT GET_LOCK(${LOCK_NAME}, 8) AS held`);
  await another.end();
  assert.equal(lock?.held, 1);
});

test("a sweep that has failed leaves the lock to the next one", async () => {
  await insertReceipts(environment.pool, [receipt(OLD_MS, 2)]);
  const nowhere = { ...teachers, name: "nowhere" };
  await until("a sweep has held the lock and failed", () =>
    sweep({ pool: environment.pool, collections: [nowhere], retentionDays: 30 }).then(
      () => false,
      (error) => error.code === "ER_NO_SUCH_TABLE",
    ),
  );
  await insertReceipts(environment.pool, [receipt(OLD_MS, 3)]);
  assert.equal(await sweepUntilEmpty("writes", OLD_MS), 1);
});

test("a table that cannot be swept keeps no other from it", async () => {
  const nowhere = { ...teachers, name: "nowhere" };
  await insertRows(environment.pool, teachers, [row("after it", { deletedAt: OLD_MS })]);
  await until("the other is swept", async () => {
    const sweeping = sweep({
      pool: environment.pool,
      ...RETENTION,
      collections: [nowhere, teachers],
    });
    await sweeping.catch(({ code }) => assert.equal(code, "ER_NO_SUCH_TABLE"));
    return !(await getIds("teachers")).includes("after it");
  });
});

test("a stopped subscriber does not sweep", async () => {
  await insertReceipts(environment.pool, [receipt(OLD_MS, 4)]);
  assert.equal(await sweep({ pool: environment.pool, ...RETENTION, stop: AbortSignal.abort() }), 0);
  assert.equal(await sweepUntilEmpty("writes", OLD_MS), 1);
});

test("a subscriber sweeps by itself, and again an hour later", async (t) => {
  const logger = await createTestLogger();
  t.mock.timers.enable({ apis: ["setInterval"] });
  const stop = new AbortController();
  const isSwept = async () => (await getIds("writes")).every((id) => id >= versionAt(YOUNG_MS));
  await insertReceipts(environment.pool, [receipt(OLD_MS, 5)]);
  startRetention({ pool: environment.pool, ...RETENTION, logger, stop: stop.signal });
  const anHourLater = async () => {
    if (await isSwept()) return true;
    t.mock.timers.tick(60 * 60 * 1000);
    return false;
  };
  await until("the first sweep is done", anHourLater);
  await insertReceipts(environment.pool, [receipt(OLD_MS, 6)]);
  await until("a later sweep is done", anHourLater);
  stop.abort();
});

/** Sweeps until `isDone`; returns the number of rows that were deleted. */
async function sweepUntil(
  isDone: () => Promise<boolean>,
  collections = RETENTION.collections,
): Promise<number> {
  let rows = 0;
  await until("the sweep is done", async () => {
    rows += await sweep({ pool: environment.pool, ...RETENTION, collections });
    return isDone();
  });
  return rows;
}

function sweepUntilEmpty(table: string, ms: number): Promise<number> {
  return sweepUntil(async () => (await getIds(table)).every((id) => id >= versionAt(ms + DAY_MS)));
}

async function getIds(table: string): Promise<string[]> {
  return (await query(environment.pool, `SELECT id FROM ${table} ORDER BY id`)).map(
    ({ id }) => id as string,
  );
}

function receipt(ms: number, serial = 0): Receipt {
  return {
    write: versionAt(ms, serial),
    collection: "teachers",
    itemId: "gabriela",
    outcome: "applied",
    code: null,
    reason: null,
    created: true,
    acceptedAt: ms,
    settledAt: ms,
    trace: null,
    subject: null,
  };
}

function row(id: string, { deletedAt }: { deletedAt: number | null }): Row {
  return {
    id,
    version: versionAt(OLD_MS),
    item: deletedAt === null ? { name: "Gabriela" } : null,
    createdAt: OLD_MS,
    updatedAt: OLD_MS,
    appliedAt: OLD_MS,
    deletedAt,
    fingerprint: null,
    trace: null,
    created: true,
  };
}
