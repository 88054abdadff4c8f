import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { createReader } from "../../api/reader.ts";
import { data } from "../../collections/data.ts";
import { type Pool, query } from "../../common/database.ts";
import { toDateTime } from "../../common/date-times.ts";
import { createMetrics } from "../../common/telemetry/metrics.ts";
import { encodeWrite, type Write } from "../../common/write.ts";
import { getWriteTime, mintWriteId } from "../../common/write-id.ts";
import { createSettle } from "../../subscriber/settle.ts";
import { createTestEnvironment, type TestEnvironment } from "../support/environment.ts";
import { createTestLogger } from "../support/logger.ts";

/** More than the reader sends for one receipt. */
const STATEMENTS = 6;
const KEYED = { kind: "create", fingerprint: "a".repeat(64) } as const;

let environment: TestEnvironment;
let settle: ReturnType<typeof createSettle>;

before(async () => {
  environment = await createTestEnvironment();
  settle = createSettle({
    pool: environment.pool,
    collections: [data],
    logger: await createTestLogger(),
    holdMs: 0,
    stop: new AbortController().signal,
  });
});
after(() => environment.close());

// A client that repeats its create while the first one is in flight was told that the item was deleted.
test("whenever they are settled between the reader's statements, a receipt comes with its item", async () => {
  const histories: [string, (itemId: string) => Write[]][] = [
    ["duplicate", (id) => [makeWrite(id, KEYED), makeWrite(id, KEYED)]],
    ["superseded", (id) => [makeWrite(id), makeWrite(id)].reverse()],
    ["conflict", (id) => [makeWrite(id), makeWrite(id, { ifNoneMatch: true })]],
  ];
  for (const [outcome, makeHistory] of histories) {
    let found = 0;
    for (let statement = 0; statement < STATEMENTS; statement += 1) {
      const itemId = `${outcome}-${statement}`;
      const writes = makeHistory(itemId);
      const last = writes.at(-1) as Write;
      const reader = createReader({
        pool: interrupt(environment.pool, statement, async () => {
          for (const write of writes) await settle([toMessage(write)]);
        }),
        poolSize: 1,
        collections: [data],
        metrics: createMetrics(),
      });
      const { receipt, row } = await reader.receipt(data, itemId, last.id);
      if (!receipt) continue;
      found += 1;
      assert.equal(receipt.outcome, outcome);
      assert.equal(row?.version, (writes[0] as Write).id, `before statement ${statement}`);
    }
    assert.ok(found > 1, `${outcome} was found ${found} times`);
  }
});

/** A pool on whose connections `work` is done once, before this statement. */
function interrupt(pool: Pool, statement: number, work: () => Promise<void>): Pool {
  let sent = 0;
  const getConnection = async () => {
    const connection = await pool.getConnection();
    const run = connection.query.bind(connection);
    const watched = async (...args: Parameters<typeof run>) => {
      if (sent === statement) await work();
      sent += 1;
      return run(...args);
    };
    connection.query = watched as unknown as typeof connection.query;
    return connection;
  };
  return { getConnection } as unknown as Pool;
}

test("the release before this one can still write, and what it wrote has an unknown `created`", async () => {
  const write = makeWrite("older-release");
  const time = toDateTime(write.acceptedAt);
  await query(
    environment.pool,
    "INSERT INTO data (id, version, nombre, created_at, updated_at, applied_at) VALUES (?)",
    [[write.itemId, write.id, "x", time, time, time]],
  );
  const reader = createReader({
    pool: environment.pool,
    poolSize: 1,
    collections: [data],
    metrics: createMetrics(),
  });
  const before = await reader.receipt(data, write.itemId, write.id);
  assert.deepEqual([before.receipt?.outcome, before.receipt?.created], ["applied", null]);
  const newer = makeWrite(write.itemId);
  await settle([toMessage(newer)]);
  const moved = await reader.receipt(data, write.itemId, write.id);
  assert.deepEqual(moved.receipt, before.receipt);
  assert.equal((await reader.receipt(data, write.itemId, newer.id)).receipt?.created, false);
});

function makeWrite(itemId: string, more: Partial<Write> = {}): Write {
  const id = mintWriteId();
  const item = { nombre: `by ${id}` };
  const common = { id, collection: data, itemId, item, acceptedAt: getWriteTime(id) };
  return { kind: "put", ...common, ...more };
}

function toMessage(write: Write) {
  return { ...encodeWrite(write), messageId: `of ${write.id}` };
}
