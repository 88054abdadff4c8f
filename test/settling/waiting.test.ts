import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { v7 } from "uuid";
import { data } from "../../collections/data.ts";
import { type Pool, query } from "../../common/database.ts";
import { selectSettled } from "../../common/receipts.ts";
import { encodeWrite, type Write } from "../../common/write.ts";
import { getWriteTime } from "../../common/write-id.ts";
import { createSettle } from "../../subscriber/settle.ts";
import { startApi } from "../support/api.ts";
import { createTestEnvironment, type TestEnvironment } from "../support/environment.ts";
import { publishByHand } from "../support/http.ts";
import { createTestLogger } from "../support/logger.ts";
import { selectRows } from "../support/rows.ts";
import { endWaits } from "../support/waits.ts";

/** MySQL was away for so long: ten times as long as a write waits. */
const AWAY_MS = 10 * 60_000;
const LINKS = 6;

describe("a write that waits for another one", () => {
  let environment: TestEnvironment;

  before(async () => {
    environment = await createTestEnvironment();
  });
  after(() => environment.close());

  it("is applied in its turn, where a chain is delivered backwards after MySQL was away for long", async () => {
    const settle = await start(environment.pool);
    const chain = makeChain("chain");
    for (const write of chain.slice(1).reverse())
      assert.deepEqual(await settle(write), ["not-yet"]);
    assert.equal(await countWaiting(), LINKS - 1);
    for (const write of chain) assert.deepEqual(await settle(write), ["applied"]);
    const [row] = await selectRows(environment.pool, data, ["chain"]);
    assert.equal(row?.version, chain.at(-1)?.id);
    assert.equal(await countWaiting(), 0);
  });

  it("is a conflict once its wait is over, counted from when it was first found to wait", async () => {
    const settle = await start(environment.pool);
    const another = await start(environment.pool);
    const [, orphan] = makeChain("orphan") as [Write, Write];
    for (const subscriber of [settle, another, settle])
      assert.deepEqual(await subscriber(orphan), ["not-yet"]);
    assert.equal(await countWaiting(), 1);
    await endWaits(environment.pool);
    assert.deepEqual(await another(orphan), ["conflict"]);
    assert.equal(await countWaiting(), 0);
    const [receipt] = await selectSettled(environment.pool, [orphan.id]);
    assert.deepEqual([receipt?.outcome, receipt?.code], ["conflict", null]);
    assert.deepEqual(await settle(orphan), ["settled-before"]);
  });

  it("waits from then on, though the transaction that found it first was rolled back", async () => {
    const [, orphan] = makeChain("rolled-back") as [Write, Write];
    const fail = await start(cut(environment.pool, "COMMIT"));
    assert.deepEqual(await fail(orphan), ["error"]);
    assert.equal(await countWaiting(), 0);
    const settle = await start(environment.pool);
    assert.deepEqual(await settle(orphan), ["not-yet"]);
    assert.equal(await countWaiting(), 1);
    await endWaits(environment.pool);
    assert.deepEqual(await settle(orphan), ["conflict"]);
  });

  it("is forgotten where it is dead, or found settled", async () => {
    const settle = await start(environment.pool);
    const [, dead] = makeChain("dead") as [Write, Write];
    assert.deepEqual(await settle(dead), ["not-yet"]);
    assert.deepEqual(await settle({ ...dead, deliveryExhausted: "Too many attempts." }), ["dead"]);
    const [first, second] = makeChain("late") as [Write, Write];
    assert.deepEqual(await settle(first, second), ["applied", "applied"]);
    // As another subscriber does that has read the row before this one made it.
    await query(environment.pool, "INSERT INTO waiting VALUES (?, UTC_TIMESTAMP(3))", [second.id]);
    assert.deepEqual(await settle(second), ["settled-before"]);
    assert.equal(await countWaiting(), 0);
  });

  it("costs no statement where nothing waits", async () => {
    const sent: string[] = [];
    const settle = await start(watch(environment.pool, sent));
    const [create, put] = makeChain("counted") as [Write, Write];
    // The first batch also looks at the table.
    await settle(...makeChain("other").slice(0, 1));
    sent.length = 0;
    assert.deepEqual(await settle(create), ["applied"]);
    const plain = sent.splice(0);
    assert.deepEqual(await settle(put), ["applied"]);
    assert.equal(sent.filter((sql) => sql.includes("waiting")).length, 1, "with the receipts");
    assert.deepEqual(
      plain.filter((sql) => sql.includes("waiting")),
      [],
    );
    const writing = sent.filter((sql) => /^(INSERT|DELETE)/.test(sql) && sql.includes("waiting"));
    assert.deepEqual(writing, []);
  });

  async function countWaiting(): Promise<number> {
    const [row] = await query(environment.pool, "SELECT COUNT(*) AS waits FROM waiting");
    return Number(row?.waits);
  }
});

describe("a chain of writes that Pub/Sub delivers backwards", () => {
  const { environment, api } = startApi();

  it("is applied, however old it is, and the receipts say so", async () => {
    const chain = makeChain("backwards");
    const subscriber = await environment.startSubscriber();
    for (const write of chain.toReversed()) await publishByHand(environment, [encodeWrite(write)]);
    for (const { id } of chain) {
      const { outcome, code } = await api.settled(`/api/data/backwards/writes/${id}`);
      assert.deepEqual([outcome, code], ["applied", null]);
    }
    assert.equal((await api.get("/api/data/backwards")).body.nombre, `link ${LINKS - 1}`);
    await subscriber.stop();
  });

  it("is not refused by the API, which may read an old row while the rest is in flight", async () => {
    const [first, second] = makeChain("backlog") as [Write, Write];
    await publishByHand(environment, [encodeWrite(first)]);
    const subscriber = await environment.startSubscriber();
    await api.settled(`/api/data/backlog/writes/${first.id}`);
    const headers = { "if-match": `"${second.id}"` };
    const put = await api.put("/api/data/backlog", { nombre: "third" }, headers);
    assert.equal(put.status, 202);
    await publishByHand(environment, [encodeWrite(second)]);
    assert.equal((await api.settled(put.body.receipt)).outcome, "applied");
    await subscriber.stop();
  });
});

/** Puts of one item, each of the version before, which were accepted while MySQL was away. */
function makeChain(itemId: string): Write[] {
  const writes: Write[] = [];
  for (let link = 0; link < LINKS; link += 1) {
    const id = v7({ msecs: Date.now() - AWAY_MS + link });
    const ifMatch = writes.at(-1)?.id;
    const item = { nombre: `link ${link}` };
    const common = { id, kind: "put" as const, collection: data, itemId, item };
    writes.push({ ...common, acceptedAt: getWriteTime(id), ifMatch });
  }
  return writes;
}

/** A subscriber without Pub/Sub, which answers what became of each write. */
async function start(pool: Pool) {
  const settle = createSettle({
    pool,
    collections: [data],
    logger: await createTestLogger(),
    holdMs: 0,
    stop: new AbortController().signal,
  });
  return async (...writes: (Write & { deliveryExhausted?: string })[]): Promise<string[]> => {
    const messages = writes.map(({ deliveryExhausted, ...write }) => ({
      ...encodeWrite(write),
      messageId: `of ${write.id}`,
      ...(deliveryExhausted === undefined ? {} : { deliveryExhausted }),
    }));
    const decisions = await settle(messages);
    return decisions.map((decision) => {
      if (decision instanceof Error) return "error";
      return decision.kind === "settled" ? decision.outcome : decision.kind;
    });
  };
}

/** A pool whose statements are noted before they are sent. */
function watch(pool: Pool, sent: string[]): Pool {
  return intercept(pool, (sql) => void sent.push(sql));
}

/** A pool on which this statement fails, as where the connection is lost. */
function cut(pool: Pool, statement: string): Pool {
  return intercept(pool, (sql) => {
    if (sql === statement) throw Object.assign(new Error("cut"), { code: "ECONNRESET" });
  });
}

function intercept(pool: Pool, onStatement: (sql: string) => void): Pool {
  const getConnection = async () => {
    const connection = await pool.getConnection();
    const run = connection.query.bind(connection);
    const watched = async (...args: Parameters<typeof run>) => {
      onStatement((args[0] as unknown as { sql: string }).sql);
      return run(...args);
    };
    connection.query = watched as unknown as typeof connection.query;
    return connection;
  };
  return { getConnection } as unknown as Pool;
}
