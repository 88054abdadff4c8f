import assert from "node:assert/strict";
import type { Socket } from "node:net";
import { after, afterEach, before, beforeEach, describe, it } from "node:test";
import {
  type Connection,
  closePool,
  openPool,
  query,
  withConnection,
} from "../../common/database.ts";
import { classifyDatabaseError } from "../../common/database-faults.ts";
import { IDLE_SECONDS } from "../../common/limits.ts";
import { TcpProxy } from "../../proof/support/tcp-proxy.ts";
import { createTestEnvironment, type TestEnvironment } from "../support/environment.ts";
import { assertProblem, type Client, createClient } from "../support/http.ts";
import { until } from "../support/until.ts";

/** A promise that is never settled is a failure, too. */
const TIMEOUT = { timeout: 180_000 };
const WRITES = 20;

describe("connections to MySQL on which nothing passes any more, though none is closed", () => {
  let environment: TestEnvironment;
  /** An API that is connected without the proxy. */
  let api: Client;
  let proxy: TcpProxy;
  let throughProxy: { MYSQL_URL: string };

  before(async () => {
    environment = await createTestEnvironment();
    api = createClient((await environment.startApi()).url);
  });
  after(() => environment.close());
  beforeEach(async () => {
    const url = new URL(environment.env.MYSQL_URL as string);
    proxy = await TcpProxy.open([Number(url.port)]);
    url.port = String(proxy.port);
    throughProxy = { MYSQL_URL: url.href };
  });
  afterEach(() => proxy.close());

  const write = async (name: string) => {
    const { body } = await api.put(`/api/data/${name}`, { nombre: name });
    return body.receipt;
  };
  const writeMany = (name: string) =>
    Promise.all(Array.from({ length: WRITES }, (_, index) => write(`${name}-${index}`)));
  const assertApplied = async (receipts: readonly string[]) => {
    for (const receipt of receipts) assert.equal((await api.settled(receipt)).outcome, "applied");
  };

  for (const delivery of ["pull", "push"] as const) {
    const start = async () => {
      const env = { ...throughProxy, DELIVERY: delivery, PUSH_AUTH: "off" };
      const subscriber = await environment.startSubscriber({ env });
      if (delivery === "push")
        await environment.pushTo(subscriber.port as number, {
          serviceAccountEmail: "push@example.com",
          audience: "subscriber",
        });
      return subscriber;
    };

    it(`are replaced by a subscriber with ${delivery}, which settles all`, TIMEOUT, async () => {
      const subscriber = await start();
      await assertApplied([await write(`${delivery}-before`)]);
      proxy.silence();
      await assertApplied(await writeMany(delivery));
      await subscriber.stop();
    });

    it(
      `are replaced where they are silent from the first statement on, with ${delivery}`,
      TIMEOUT,
      async () => {
        proxy.silenceAt = "SET SESSION";
        const subscriber = await start();
        const receipts = await writeMany(`${delivery}-first`);
        await until("it has tried again", () => proxy.silenced > 5);
        proxy.silenceAt = undefined;
        await assertApplied(receipts);
        await subscriber.stop();
      },
    );
  }

  it("are replaced by the API, which answers 503 until then", TIMEOUT, async () => {
    await query(
      environment.pool,
      "INSERT INTO data (id, version, nombre, created_at, updated_at, applied_at)" +
        " VALUES ('there', 'v', 'x', NOW(3), NOW(3), NOW(3))",
    );
    const reader = createClient((await environment.startApi({ env: throughProxy })).url);
    const paths = ["/api/data/there", "/api/data?limit=1", "/"];
    const getAll = async () => {
      const answers = await Promise.all(paths.map((path) => reader.get(path)));
      for (const answer of answers)
        if (answer.status !== 200) assertProblem(answer, 503, "unavailable");
      return answers.filter(({ status }) => status === 200).length;
    };
    assert.equal(await getAll(), paths.length);
    proxy.silence();
    await until("all can be read again", async () => (await getAll()) === paths.length);
    proxy.silenceAt = "SET SESSION";
    proxy.silence();
    assert.equal(await getAll(), 0);
    proxy.silenceAt = undefined;
    await until("all can be read again", async () => (await getAll()) === paths.length);
  });

  it("are replaced where the server has ended them for being idle, which it does", async () => {
    const pool = openPool({ mysqlUrl: new URL(environment.env.MYSQL_URL as string), poolSize: 1 });
    const idle = async (connection: Connection) => {
      const sql = "SELECT CONNECTION_ID() AS id, @@wait_timeout AS seconds";
      const [session] = await query(connection, sql);
      assert.equal(session?.seconds, IDLE_SECONDS);
      await query(connection, "SET SESSION wait_timeout = 1");
      await until("it has ended", async () => {
        const sessions = "SELECT id FROM information_schema.processlist WHERE id = ?";
        return (await query(environment.pool, sessions, [session?.id])).length === 0;
      });
    };
    await idle(pool);
    assert.deepEqual(await query(pool, "SELECT 1 AS one"), [{ one: 1 }]);
    const inUse = withConnection(pool, async (connection) => {
      await idle(connection);
      return query(connection, "SELECT 1 AS one");
    });
    await assert.rejects(inUse, (error) => classifyDatabaseError(error) === "transient");
    assert.deepEqual(await query(pool, "SELECT 1 AS one"), [{ one: 1 }]);
    await closePool(pool);
  });

  it("are not kept by a request that has ended before its connection came", TIMEOUT, async () => {
    const pool = openPool({ mysqlUrl: new URL(environment.env.MYSQL_URL as string), poolSize: 1 });
    const only = await pool.getConnection();
    const late = withConnection(pool, async () => "too late", { deadlineMs: 10 });
    await assert.rejects(late, { code: "ETIMEDOUT" });
    only.release();
    assert.deepEqual(await query(pool, "SELECT 1 AS one"), [{ one: 1 }]);
    await pool.end();
  });

  it("do not stay in the pool after a statement without a transaction", TIMEOUT, async () => {
    const pool = openPool({ mysqlUrl: new URL(throughProxy.MYSQL_URL), poolSize: 1 });
    await query(pool, "SELECT 1");
    proxy.silence();
    await assert.rejects(query(pool, "SELECT 1"), { code: "ETIMEDOUT" });
    assert.deepEqual(await query(pool, "SELECT 1 AS one"), [{ one: 1 }]);
    await pool.end();
  });

  it("do not keep a process from ending after its pool was closed", TIMEOUT, async () => {
    const pool = openPool({ mysqlUrl: new URL(throughProxy.MYSQL_URL), poolSize: 1 });
    const connection = await pool.getConnection();
    const { stream } = connection.connection as unknown as { stream: Socket };
    connection.release();
    proxy.silence();
    await closePool(pool);
    assert.ok(stream.destroyed);
  });
});
