import assert from "node:assert/strict";
import test, { after, before } from "node:test";
import { visits } from "../test/collections/visits.ts";
import { createTestEnvironment, type TestEnvironment } from "../test/support/environment.ts";
import { versionAt } from "../test/support/schedules.ts";
import { until } from "../test/support/until.ts";
import { inTransaction, openPool, query, withConnection } from "./database.ts";
import { selectChanges, sweepTombstones, takePositions } from "./feeds.ts";
import { selectPage } from "./pages.ts";
import { insertRows, type Row } from "./tables.ts";

const ROWS = 2_000;
const PAGE = 10;

let environment: TestEnvironment;

before(async () => {
  environment = await createTestEnvironment({
    migrations: [new URL("../test/migrations/", import.meta.url)],
  });
});
after(() => environment.close());

test("positions are taken without a gap, and given back where the transaction is rolled back", async () => {
  const { pool } = environment;
  const take = (count: number) =>
    inTransaction(pool, (connection) => takePositions(connection, visits, count));
  assert.deepEqual([await take(1), await take(500), await take(2)], [0, 1, 501]);
  const failing = inTransaction(pool, async (connection) => {
    assert.equal(await takePositions(connection, visits, 9), 503);
    throw new Error("The rest has failed.");
  });
  await assert.rejects(failing, /The rest has failed/);
  assert.equal(await take(1), 503);
  const nowhere = { ...visits, name: "nowhere" };
  await assert.rejects(takePositions(pool, nowhere, 1), /no row of nowhere/);
});

test("whoever holds the counter and is silent keeps it for as long as its session may be idle", async () => {
  const mysqlUrl = new URL(environment.env.MYSQL_URL as string);
  const silent = openPool({ mysqlUrl, poolSize: 1, idleSeconds: 1 });
  const connection = await silent.getConnection();
  await query(connection, "START TRANSACTION");
  const held = await takePositions(connection, visits, 7);
  // Another waits for five seconds at most, which on a busy machine may be over before.
  await until("another has it", () =>
    takePositions(environment.pool, visits, 1).then(
      (position) => position === held,
      (error) => {
        assert.equal(error.code, "FEED_LOCKED");
        return false;
      },
    ),
  );
  await assert.rejects(query(connection, "COMMIT"));
  connection.destroy();
  await silent.end();
});

test("a page of changes, and of a list in their order, reads no more rows than it shows", async () => {
  const { pool } = environment;
  const rows = Array.from({ length: ROWS }, (_, index): Row => {
    const deletedAt = index % 3 === 0 ? 5_000 : null;
    const position = 1_000 + index;
    return {
      id: `item-${(index * 7) % ROWS}`,
      version: versionAt(1_000, index),
      item: deletedAt === null ? { name: "x" } : null,
      ...{ createdAt: 1_000, updatedAt: 1_000, appliedAt: 1_000, deletedAt },
      ...{ fingerprint: null, trace: null, created: true, position, createdPosition: position },
    };
  });
  await insertRows(pool, visits, rows);
  await query(pool, "ANALYZE TABLE visits");
  for (const position of [0, 1_500, 2_900]) {
    const expected = rows.filter((row) => (row.position as number) > position);
    const found = await countReads(async (connection) => {
      const ids: string[] = [];
      await selectChanges(connection, visits, { position, id: "zzz", limit: PAGE }, ({ id }) =>
        Boolean(ids.push(id)),
      );
      return ids;
    });
    assert.deepEqual(
      found.ids,
      expected.slice(0, PAGE).map(({ id }) => id),
    );
    assert.ok(found.reads <= 2 * PAGE, `${found.reads} reads of changes after ${position}`);
    const listed = await countReads(async (connection) => {
      const ids: string[] = [];
      const page = { filters: [], newestFirst: false, after: { at: position, id: "zzz" } };
      await selectPage(connection, visits, { ...page, limit: PAGE }, ({ id }) =>
        Boolean(ids.push(id)),
      );
      return ids;
    });
    const items = expected.filter(({ deletedAt }) => deletedAt === null);
    assert.deepEqual(
      listed.ids,
      items.slice(0, PAGE).map(({ id }) => id),
    );
    assert.ok(listed.reads <= 2 * PAGE, `${listed.reads} reads of the list after ${position}`);
  }
});

test("a step of the sweep reads few more tombstones than it deletes, however many are due", async () => {
  const { pool } = environment;
  const count = async () => {
    const [row] = await query(
      pool,
      "SELECT COUNT(*) AS n FROM visits WHERE deleted_at IS NOT NULL",
    );
    return Number(row?.n);
  };
  const due = await count();
  assert.ok(due >= 10 * PAGE);
  const step = { cutoffMs: 10_000, limit: PAGE };
  const { reads } = await countReads(async (connection) => {
    assert.equal(await sweepTombstones(connection, visits, step), PAGE);
    return [];
  });
  assert.equal(await count(), due - PAGE);
  assert.ok(reads <= 5 * PAGE, `${reads} reads`);
  const sweepAll = await countReads(async (connection) => {
    while ((await sweepTombstones(connection, visits, step)) > 0);
    return [];
  });
  assert.equal(await count(), 0);
  assert.ok(sweepAll.reads <= 6 * due, `${sweepAll.reads} reads of ${due}`);
  const [feed] = await query(pool, "SELECT swept FROM feeds WHERE collection = 'visits'");
  const highest = Math.floor((ROWS - 1) / 3) * 3;
  assert.equal(Number(feed?.swept), 1_000 + highest);
});

type Work = Parameters<typeof withConnection<string[]>>[1];

/** Runs work, and counts what the storage engine read for it. */
function countReads(work: Work): Promise<{ ids: string[]; reads: number }> {
  return withConnection(environment.pool, async (connection) => {
    await query(connection, "FLUSH STATUS");
    const ids = await work(connection);
    const status = await query(connection, "SHOW SESSION STATUS LIKE 'Handler_read%'");
    return { ids, reads: status.reduce((sum, { Value }) => sum + Number(Value), 0) };
  });
}
