import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { openPool, type Pool, type PoolConnection, query } from "../../common/database.ts";
import { encodeWrite, type Write, type WriteKind } from "../../common/write.ts";
import { getWriteTime, mintWriteId } from "../../common/write-id.ts";
import { createSettle } from "../../subscriber/settle.ts";
import { visits } from "../collections/visits.ts";
import { createTestEnvironment, type TestEnvironment } from "../support/environment.ts";
import {
  FeedReader,
  judgeFeed,
  judgeList,
  ListReader,
  readToEnd,
} from "../support/feed-readers.ts";
import { type Client, createClient } from "../support/http.ts";
import { createTestLogger } from "../support/logger.ts";
import { checkNumbered } from "../support/settled-invariants.ts";
import { selectAllStored } from "../support/snapshot.ts";
import { until } from "../support/until.ts";

const TEST_MIGRATIONS = new URL("../migrations/", import.meta.url);
const BATCHES = 120;
const HOT_ITEMS = 15;
const LONGEST_HOLD_MS = 20;
const REDELIVERY_MS = 500;

let environment: TestEnvironment;
let api: Client;
const pools: Pool[] = [];
let messages = 0;

before(async () => {
  environment = await createTestEnvironment({ migrations: [TEST_MIGRATIONS] });
  api = createClient((await environment.startApi({ collections: [visits] })).url);
});
after(async () => {
  for (const pool of pools) await pool.end();
  await environment.close();
});

type Statement = { sql: string; values?: unknown[] };
type Subscriber = {
  settle(writes: readonly Write[]): Promise<string[]>;
  /** Called before each statement; it is sent once this has resolved. */
  onStatement: (sql: string) => Promise<unknown> | undefined;
};

/** Settles without Pub/Sub: the test delivers, and holds statements back. */
async function startSubscriber(): Promise<Subscriber> {
  const pool = openPool({ mysqlUrl: new URL(environment.env.MYSQL_URL as string), poolSize: 3 });
  pools.push(pool);
  const subscriber: Subscriber = {
    onStatement: () => undefined,
    async settle(writes) {
      for (;;) {
        const decisions = await settle(writes.map(toMessage));
        const decided = decisions.flatMap((one) => (one instanceof Error ? [] : [one]));
        if (decided.length === writes.length)
          return decided.map((one) => (one.kind === "settled" ? one.outcome : one.kind));
        // On a busy machine a lock may be waited for in vain; Pub/Sub would deliver again.
        await sleep(REDELIVERY_MS);
      }
    },
  };
  const watched = watchStatements(pool, (sql) => subscriber.onStatement(sql));
  const settle = createSettle({
    pool: watched,
    collections: [visits],
    logger: await createTestLogger(),
    holdMs: 60_000,
    stop: new AbortController().signal,
  });
  return subscriber;
}

function watchStatements(pool: Pool, onStatement: (sql: string) => Promise<unknown> | undefined) {
  const watched = new WeakSet<PoolConnection>();
  const borrow = pool.getConnection.bind(pool);
  pool.getConnection = async () => {
    const connection = await borrow();
    if (watched.has(connection)) return connection;
    watched.add(connection);
    const run = connection.query.bind(connection);
    const send = async (statement: Statement) => {
      await onStatement(statement.sql);
      return run({ ...statement, values: statement.values ?? [] });
    };
    connection.query = send as unknown as typeof connection.query;
    return connection;
  };
  return pool;
}

function toMessage(write: Write) {
  messages += 1;
  return { ...encodeWrite(write), messageId: `m-${messages}` };
}

function makeWrite(kind: WriteKind, itemId: string): Write {
  const id = mintWriteId();
  const item = kind === "delete" ? {} : { item: { name: `of ${id}` } };
  return { id, kind, collection: visits, itemId, acceptedAt: getWriteTime(id), ...item };
}

const get = (path: string) => api.get(path);

describe("readers of a collection with a feed, while two subscribers settle and commits are late", () => {
  it("miss and repeat nothing, from the first write to the last", async () => {
    const subscribers = await Promise.all([startSubscriber(), startSubscriber()]);
    for (const subscriber of subscribers)
      subscriber.onStatement = (sql) =>
        sql === "COMMIT" && Math.random() < 0.5
          ? sleep(Math.random() * LONGEST_HOLD_MS)
          : undefined;
    const list = new ListReader(get, "visits", 5);
    const feed = new FeedReader(get, "visits", 7);
    let isOver = false;
    const reading = [list, feed].map(async (reader) => {
      while (!isOver) await reader.step();
      await readToEnd(reader);
    });
    let left = BATCHES;
    const batches = subscribers.flatMap(({ settle }) =>
      [1, 2, 3].map(async () => {
        while (left-- > 0) await settle(drawBatch());
      }),
    );
    await Promise.all(batches);
    isOver = true;
    await Promise.all(reading);
    const stored = await selectAllStored(environment.pool, visits);
    assert.deepEqual(judgeFeed(feed, stored.rows), []);
    assert.deepEqual(judgeList(list.ids, stored), []);
    checkNumbered(stored);
  });

  it("see a change only after all that were given a lower position", async () => {
    const [late, early] = await Promise.all([startSubscriber(), startSubscriber()]);
    const list = new ListReader(get, "visits", 10);
    const feed = new FeedReader(get, "visits", 10);
    await Promise.all([list, feed].map(readToEnd));
    const held = Promise.withResolvers<void>();
    const reached = Promise.withResolvers<void>();
    late.onStatement = (sql) => {
      if (sql !== "COMMIT") return undefined;
      reached.resolve();
      return held.promise;
    };
    const settling = late.settle([makeWrite("create", "held"), makeWrite("delete", "hot-1")]);
    await reached.promise;
    let isDone = false;
    const other = early.settle([makeWrite("create", "free"), makeWrite("put", "hot-2")]);
    other.finally(() => {
      isDone = true;
    });
    await until("it waits for the counter, or is done", async () => {
      const sql =
        "SELECT 1 FROM information_schema.PROCESSLIST WHERE info LIKE 'UPDATE feeds SET position%'";
      return isDone || (await query(environment.pool, sql)).length > 0;
    });
    await Promise.all([list, feed].map(readToEnd));
    held.resolve();
    assert.deepEqual((await settling)[0], "applied");
    assert.deepEqual(await other, ["applied", "applied"]);
    await Promise.all([list, feed].map(readToEnd));
    const stored = await selectAllStored(environment.pool, visits);
    assert.deepEqual(judgeFeed(feed, stored.rows), []);
    assert.deepEqual(judgeList(list.ids, stored), []);
    const created = list.ids.filter((id) => id === "held" || id === "free");
    assert.deepEqual(created, ["held", "free"]);
  });
});

/** Creates, puts and deletes of few items, each batch with another item of each one at most. */
function drawBatch(): Write[] {
  const hot = Array.from({ length: HOT_ITEMS }, (_, number) => `hot-${number}`)
    .map((id) => ({ id, order: Math.random() }))
    .sort((one, other) => one.order - other.order)
    .slice(0, Math.floor(Math.random() * 6));
  const kinds: WriteKind[] = ["put", "put", "delete"];
  const writes = hot.map(({ id }) =>
    makeWrite(kinds[Math.floor(Math.random() * kinds.length)] as WriteKind, id),
  );
  const creates = Array.from({ length: 1 + Math.floor(Math.random() * 8) }, () =>
    makeWrite("create", mintWriteId()),
  );
  return [...writes, ...creates];
}
