import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, beforeEach, describe, it } from "node:test";
import { pathToFileURL } from "node:url";
import { data } from "../../collections/data.ts";
import type { Collection } from "../../common/collection.ts";
import {
  closePool,
  openPool,
  type Pool,
  type PoolConnection,
  query,
} from "../../common/database.ts";
import { insertDeadLetters } from "../../common/dead-letters.ts";
import { DAY_MS } from "../../common/limits.ts";
import { encodeWrite, type WriteKind } from "../../common/write.ts";
import { getWriteTime, mintWriteId } from "../../common/write-id.ts";
import { migrate } from "../../ops/migrate.ts";
import type { Message } from "../../subscriber/message.ts";
import { createSettle } from "../../subscriber/settle.ts";
import { teachers } from "../collections/teachers.ts";
import { visits } from "../collections/visits.ts";
import { createTestEnvironment, type TestEnvironment } from "../support/environment.ts";
import { assertProblem, createClient } from "../support/http.ts";
import { createTestLogger } from "../support/logger.ts";
import { versionAt } from "../support/schedules.ts";
import { until } from "../support/until.ts";

const COLLECTIONS = [data, teachers, visits];
const ITEMS: Record<string, object> = {
  data: { nombre: "x" },
  teachers: { name: "Gabriela" },
  visits: { name: "Pablo" },
};
const TIMEOUT = { timeout: 180_000 };

/** A message that puts or creates an item. */
function toMessage(collection: Collection, itemId: string, kind: WriteKind = "put"): Message {
  const id = mintWriteId();
  const item = { ...ITEMS[collection.name] };
  const write = { id, kind, collection, itemId, acceptedAt: getWriteTime(id), item };
  return { ...encodeWrite(write), messageId: id };
}

describe("a fault of one table, or of one row, in a batch with others", () => {
  let environment: TestEnvironment;
  let settle: (messages: Message[]) => Promise<string[]>;
  /** As the subscriber's, but it waits for a lock for one second. */
  let pool: Pool;
  /** Of somebody who is not one of our processes. */
  let stranger: PoolConnection;

  before(async () => {
    environment = await createTestEnvironment({
      migrations: [new URL("../migrations/", import.meta.url)],
    });
  });
  before(() => {
    pool = openPool({ mysqlUrl: new URL(environment.env.MYSQL_URL as string), poolSize: 5 });
    pool.pool.on("connection", (connection) => {
      connection.query("SET SESSION innodb_lock_wait_timeout = 1, SESSION lock_wait_timeout = 1");
    });
  });
  after(async () => {
    await closePool(pool);
    await environment.close();
  });
  beforeEach(async () => {
    const logger = await createTestLogger("emerg");
    const run = createSettle({
      pool,
      collections: COLLECTIONS,
      logger,
      // Far longer than this test waits: a batch that is held does not pass.
      holdMs: 3_600_000,
      cooldownMs: 1_000,
      stop: new AbortController().signal,
    });
    settle = async (messages) =>
      (await run(messages)).map((decision) =>
        decision instanceof Error
          ? "given back"
          : decision.kind === "settled"
            ? decision.outcome
            : decision.kind,
      );
    stranger = await environment.pool.getConnection();
  });

  it(
    "gives back what is for a table that lacks a column, and settles the others",
    TIMEOUT,
    async () => {
      await query(stranger, "ALTER TABLE teachers RENAME COLUMN name TO other");
      const batch = ["a", "b"].flatMap((id) => [toMessage(data, id), toMessage(teachers, id)]);
      assert.deepEqual(await settle(batch), ["applied", "given back", "applied", "given back"]);
      await query(stranger, "ALTER TABLE teachers RENAME COLUMN other TO name");
      stranger.release();
      await until("they are settled, too", async () =>
        (await settle(batch)).every((outcome) => outcome !== "given back"),
      );
    },
  );

  it("gives back what is for a row that somebody else has locked", TIMEOUT, async () => {
    const all = Array.from({ length: 50 }, (_, index) => `row-${index}`);
    await settle(all.map((id) => toMessage(data, id)));
    await query(stranger, "START TRANSACTION");
    await query(stranger, "UPDATE data SET nombre = 'mine' WHERE id IN ('row-7', 'row-33')");
    const batch = [...all.map((id) => toMessage(data, id)), toMessage(teachers, "row-7")];
    const outcomes = await settle(batch);
    const givenBack = [...outcomes.keys()].filter((place) => outcomes[place] === "given back");
    assert.deepEqual(givenBack, [7, 33]);
    assert.equal(outcomes.filter((outcome) => outcome === "applied").length, 49);
    await query(stranger, "ROLLBACK");
    stranger.release();
    const again = givenBack.map((place) => batch[place] as Message);
    assert.deepEqual(await settle(again), ["applied", "applied"]);
  });

  it(
    "gives back what a feed would number whose counter somebody else has locked",
    TIMEOUT,
    async () => {
      const older = toMessage(visits, "numbered");
      assert.deepEqual(await settle([toMessage(visits, "numbered")]), ["applied"]);
      await query(stranger, "START TRANSACTION");
      await query(stranger, "SELECT position FROM feeds WHERE collection = 'visits' FOR UPDATE");
      assert.deepEqual(await settle([older]), ["superseded"], "nothing is numbered");
      const batch = [data, visits, teachers].map((collection) => toMessage(collection, "numbered"));
      assert.deepEqual(await settle(batch), ["applied", "given back", "applied"]);
      await query(stranger, "ROLLBACK");
      stranger.release();
      await until("it is settled, too", async () =>
        (await settle(batch)).every((outcome) => outcome !== "given back"),
      );
    },
  );

  it(
    "gives back what is for a row that somebody else has inserted and not committed",
    TIMEOUT,
    async () => {
      await query(stranger, "START TRANSACTION");
      await query(
        stranger,
        "INSERT INTO data (id, version, nombre, created_at, updated_at, applied_at)" +
          " VALUES ('new', 'v', 'x', NOW(3), NOW(3), NOW(3))",
      );
      const batch = [toMessage(data, "new", "create"), toMessage(data, "other", "create")];
      assert.deepEqual(await settle(batch), ["given back", "applied"]);
      await query(stranger, "ROLLBACK");
      stranger.release();
      assert.deepEqual(await settle(batch), ["applied", "settled-before"]);
    },
  );

  it(
    "gives back what is for a table that somebody else has locked, and leaves it alone for a while",
    TIMEOUT,
    async () => {
      await query(stranger, "LOCK TABLES teachers WRITE");
      const batch = (name: string) => [toMessage(data, name), toMessage(teachers, name)];
      assert.deepEqual(await settle(batch("t-1")), ["applied", "given back"]);
      // Without a statement on that table, which would wait.
      const others = await settle(batch("t-2"));
      assert.deepEqual(others, ["applied", "given back"]);
      await query(stranger, "UNLOCK TABLES");
      stranger.release();
      await until("it is tried again", async () => {
        const [outcome] = await settle([toMessage(teachers, "t-3")]);
        return outcome === "applied";
      });
    },
  );

  it(
    "has no migration waiting for a table that somebody uses, with all others behind it",
    TIMEOUT,
    async () => {
      const folder = pathToFileURL(`${await mkdtemp(join(tmpdir(), "migrations-"))}/`);
      await writeFile(
        new URL("9999-note.sql", folder),
        "ALTER TABLE teachers ADD COLUMN note TEXT NULL",
      );
      const url = new URL(environment.env.MYSQL_URL as string);
      const folders = ["../../migrations/", "../migrations/"].map(
        (path) => new URL(path, import.meta.url),
      );
      await query(stranger, "START TRANSACTION");
      await query(stranger, "SELECT * FROM teachers");
      await assert.rejects(
        migrate(url, [...folders, folder]),
        /9999-note failed: Lock wait timeout/,
      );
      assert.deepEqual(await settle([toMessage(teachers, "during")]), ["applied"]);
      await query(stranger, "ROLLBACK");
      stranger.release();
      assert.deepEqual(await migrate(url, [...folders, folder]), ["9999-note"]);
      await rm(folder, { recursive: true });
    },
  );

  it("waits for no dead letter between a condition's old version and now", TIMEOUT, async () => {
    const day = (days: number) => versionAt(Date.now() - days * DAY_MS);
    const version = day(10);
    const old = toMessage(data, "old");
    old.attributes["ce-id"] = version;
    assert.deepEqual(await settle([old]), ["applied"]);
    const letter = { messageId: "between", writeId: day(5), attributes: {}, data: Buffer.alloc(0) };
    await insertDeadLetters(environment.pool, [{ ...letter, reason: "It is bad." }], Date.now());
    await query(stranger, "START TRANSACTION");
    await query(stranger, "SELECT 1 FROM dead_letters WHERE message_id = 'between' FOR UPDATE");
    await query(stranger, "UPDATE dead_letters SET write_id = ? WHERE message_id = 'between'", [
      day(4),
    ]);
    const put = toMessage(data, "old");
    put.attributes["if-match"] = version;
    assert.deepEqual(await settle([put, toMessage(data, "another")]), ["applied", "applied"]);
    await query(stranger, "ROLLBACK");
    stranger.release();
  });

  it(
    "waits for no dead letter of another write, and gives back only its own",
    TIMEOUT,
    async () => {
      const before = toMessage(data, "before");
      const own = toMessage(data, "own");
      const between = mintWriteId();
      const later = [toMessage(data, "after"), toMessage(teachers, "after")];
      for (const writeId of [own.messageId, between]) {
        const letter = { messageId: writeId, writeId, attributes: {}, data: Buffer.alloc(0) };
        await insertDeadLetters(
          environment.pool,
          [{ ...letter, reason: "It is bad." }],
          Date.now(),
        );
      }
      const lock = (id: string) =>
        query(stranger, "SELECT 1 FROM dead_letters WHERE message_id = ? FOR UPDATE", [id]);
      await query(stranger, "START TRANSACTION");
      await lock(between);
      assert.deepEqual(await settle([before, ...later]), ["applied", "applied", "applied"]);
      await lock(own.messageId);
      const batch = [toMessage(data, "another"), own, toMessage(teachers, "another")];
      assert.deepEqual(await settle(batch), ["applied", "given back", "applied"]);
      await query(stranger, "ROLLBACK");
      stranger.release();
      assert.deepEqual(await settle([own]), ["settled-before"]);
    },
  );

  it(
    "gives back only the collection whose receipts wait for somebody else's lock",
    TIMEOUT,
    async () => {
      assert.deepEqual(await settle([toMessage(data, "replaced")]), ["applied"]);
      // The next transaction locks gaps, too: no receipt can be inserted.
      await query(stranger, "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ");
      await query(stranger, "START TRANSACTION");
      await query(stranger, "SELECT 1 FROM writes FORCE INDEX (PRIMARY) FOR UPDATE");
      const batch = [toMessage(data, "replaced"), toMessage(teachers, "needs-no-receipt")];
      assert.deepEqual(await settle(batch), ["given back", "applied"]);
      await query(stranger, "ROLLBACK");
      stranger.release();
      assert.deepEqual(await settle(batch), ["applied", "settled-before"]);
    },
  );

  it("holds up no other collection, as its clients see it", TIMEOUT, async () => {
    const options = { collections: COLLECTIONS };
    const api = createClient((await environment.startApi(options)).url);
    await until("it is ready", async () => (await api.get("/health/ready")).status === 200);
    const subscriber = await environment.startSubscriber(options);
    await query(stranger, "ALTER TABLE teachers RENAME COLUMN name TO other");
    const receipts: string[] = [];
    for (let round = 0; round < 5; round += 1) {
      const { body: late } = await api.put("/api/teachers/late", ITEMS.teachers);
      const { body } = await api.put(`/api/data/round-${round}`, ITEMS.data);
      assert.equal((await api.settled(body.receipt)).outcome, "applied");
      receipts.push(late.receipt);
    }
    const paths = ["/api/data/round-0", "/api/teachers/late"];
    const reads = Array.from({ length: 100 }, (_, index) => api.get(paths[index % 2] as string));
    const statuses = (await Promise.all(reads)).map(({ status }) => status);
    assert.deepEqual(
      statuses,
      statuses.map((_, index) => (index % 2 === 0 ? 200 : 503)),
      "reads of both are batched together",
    );
    await query(stranger, "ALTER TABLE teachers RENAME COLUMN other TO name");
    stranger.release();
    const outcomes = await Promise.all(receipts.map((receipt) => api.settled(receipt)));
    assert.equal(outcomes.at(-1)?.outcome, "applied");
    for (const { outcome } of outcomes) assert.match(outcome ?? "", /^(applied|superseded)$/);
    await subscriber.stop();
  });

  it(
    "holds up reads of no other collection while somebody has locked a table",
    TIMEOUT,
    async () => {
      const api = createClient((await environment.startApi({ collections: COLLECTIONS })).url);
      await until("it is ready", async () => (await api.get("/health/ready")).status === 200);
      const write = toMessage(data, "free");
      assert.deepEqual(await settle([write, toMessage(teachers, "stuck")]), ["applied", "applied"]);
      const listPaths = (collection: string, id: string, receipt: string) => [
        `/api/${collection}/${id}`,
        `/api/${collection}?limit=1`,
        `/api/${collection}/${id}/writes/${receipt}`,
      ];
      const free = listPaths("data", "free", write.messageId);
      const stuck = listPaths("teachers", "stuck", mintWriteId());
      await query(stranger, "LOCK TABLES teachers WRITE");
      // More than there are connections, and together with the reads of the other collection.
      const ask = () => [...free, ...stuck].map((path) => api.get(path));
      const answers = await Promise.all(Array.from({ length: 20 }, ask).flat());
      await query(stranger, "UNLOCK TABLES");
      stranger.release();
      for (const [index, answer] of answers.entries())
        if (index % 6 < 3) assert.equal(answer.status, 200, `${free[index % 6]}: ${answer.text}`);
        else assertProblem(answer, 503, "unavailable");
      await until("the table is read again", async () => {
        return (await api.get("/api/teachers/stuck")).status === 200;
      });
    },
  );
});
