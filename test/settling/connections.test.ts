import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, describe, it } from "node:test";
import { inTransaction, openPool, type Pool, query } from "../../common/database.ts";
import { createTestEnvironment, type TestEnvironment } from "../support/environment.ts";

/** More than any statement may take. */
const LONG_SECONDS = 30;

describe("the connection of a transaction that fails", () => {
  let environment: TestEnvironment;
  let pool: Pool;

  before(async () => {
    environment = await createTestEnvironment();
  });
  after(() => environment.close());
  beforeEach(() => {
    const mysqlUrl = new URL(environment.env.MYSQL_URL as string);
    pool = openPool({ mysqlUrl, poolSize: 1 });
  });
  afterEach(() => pool.end());

  /** The connection that the pool's next transaction gets. */
  const getId = () =>
    inTransaction(pool, async (connection) => {
      const [row] = await query(connection, "SELECT CONNECTION_ID() AS id");
      return row?.id;
    });
  const fail = (code: string, sqlState: string) =>
    assert.rejects(
      inTransaction(pool, () => Promise.reject(Object.assign(new Error(code), { code, sqlState }))),
      { code },
    );

  it("is used again where a value was refused", async () => {
    const id = await getId();
    await fail("ER_DATA_TOO_LONG", "22001");
    assert.equal(await getId(), id);
  });

  it("is not used again where the server, or what is between, was at fault", async () => {
    for (const [code, sqlState] of [
      ["ER_LOCK_DEADLOCK", "40001"],
      ["PROTOCOL_SEQUENCE_TIMEOUT", ""],
      ["ER_OPTION_PREVENTS_STATEMENT", "HY000"],
    ] as const) {
      const id = await getId();
      await fail(code, sqlState);
      assert.notEqual(await getId(), id, code);
    }
  });

  it("is given up where a statement takes too long, and the next one has another", async () => {
    const id = await getId();
    const statement = (sql: string) => inTransaction(pool, (connection) => query(connection, sql));
    await assert.rejects(statement(`SELECT SLEEP(${LONG_SECONDS})`));
    assert.notEqual(await getId(), id);
    await assert.rejects(query(pool, `SELECT SLEEP(${LONG_SECONDS})`));
  });
});
