import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { seats } from "../test/collections/seats.ts";
import { createTestEnvironment, type TestEnvironment } from "../test/support/environment.ts";
import { versionAt } from "../test/support/schedules.ts";
import { type PoolConnection, query, withConnection } from "./database.ts";
import { selectPage } from "./pages.ts";
import { selectStates, selectStatesForUpdate } from "./row-states.ts";
import { insertRows, type Row, selectRowsWithin, updateRows } from "./tables.ts";

const EXPIRES_AT = Date.parse("2026-03-01T09:30:00.123Z");

let environment: TestEnvironment;

before(async () => {
  const migrations = [new URL("../test/migrations/", import.meta.url)];
  environment = await createTestEnvironment({ migrations });
});
after(() => environment.close());

/** A connection whose MySQL has this time. */
function at(ms: number, work: (connection: PoolConnection) => Promise<void>): Promise<void> {
  return withConnection(environment.pool, async (connection) => {
    await query(connection, "SET time_zone = '+05:30', timestamp = ?", [ms / 1_000]);
    try {
      await work(connection);
    } finally {
      await query(connection, "SET time_zone = '+00:00', timestamp = DEFAULT");
    }
  });
}

const row: Row = {
  id: "seat-1",
  version: versionAt(EXPIRES_AT - 60_000),
  item: { passenger: "Gabriela", heldUntil: new Date(EXPIRES_AT).toISOString() },
  createdAt: EXPIRES_AT - 60_000,
  updatedAt: EXPIRES_AT - 60_000,
  appliedAt: EXPIRES_AT - 59_000,
  deletedAt: null,
  fingerprint: null,
  trace: null,
  created: true,
  expiresAt: EXPIRES_AT,
  publishedAt: EXPIRES_AT - 59_990,
};

test("an item is there until the millisecond of its expiry by MySQL's clock, and then gone", async () => {
  const always: Row = { ...row, id: "seat-2", item: { passenger: "Lucila" }, expiresAt: null };
  await insertRows(environment.pool, seats, [row, always]);
  const ids = [row.id, always.id];
  for (const [ms, isThere] of [
    [EXPIRES_AT - 1, true],
    [EXPIRES_AT, false],
    [EXPIRES_AT + 1, false],
  ] as const)
    await at(ms, async (connection) => {
      const gone = { ...row, item: null, deletedAt: EXPIRES_AT, isExpired: true };
      const expected = [isThere ? row : gone, always];
      const { rows } = await selectRowsWithin(connection, seats, ids, 1_000_000);
      assert.deepEqual(rows, expected);
      assert.deepEqual(
        await selectStates(connection, seats, ids),
        expected.map(({ item: _, ...state }) => state),
      );
      const listed: string[] = [];
      for (const filters of [[], [{ field: seats.filters[0] as never, value: "Gabriela" }]]) {
        const page = { filters, newestFirst: false, limit: 10 };
        await selectPage(connection, seats, page, ({ id }) => listed.push(id) > 0);
      }
      assert.deepEqual(listed, isThere ? [...ids, row.id] : [always.id]);
    });
});

test("settlement reads the row as it stands, whatever the time is", async () => {
  const [state] = await selectStatesForUpdate(environment.pool, seats, [row.id]);
  const { item: _, ...expected } = row;
  assert.deepEqual(state, expected);
});

test("a tombstone keeps when it was deleted as its expiry", async () => {
  const tombstone = { ...row, item: null, deletedAt: EXPIRES_AT - 5, expiresAt: EXPIRES_AT - 7 };
  await updateRows(environment.pool, seats, [tombstone]);
  await withConnection(environment.pool, async (connection) => {
    const { rows } = await selectRowsWithin(connection, seats, [row.id], 1_000);
    assert.deepEqual(rows, [tombstone]);
  });
});
