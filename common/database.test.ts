import assert from "node:assert/strict";
import { it } from "node:test";
import { classifyDatabaseError, openPool, query } from "./database.ts";

it("counts a query after the pool was closed as transient", async () => {
  const pool = openPool({ mysqlUrl: new URL("mysql://user@127.0.0.1:1/database"), poolSize: 1 });
  await pool.end();
  await assert.rejects(
    query(pool, "SELECT 1"),
    (error) => classifyDatabaseError(error) === "transient",
  );
});
