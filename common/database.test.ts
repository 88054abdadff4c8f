import assert from "node:assert/strict";
import { once } from "node:events";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { it } from "node:test";
import { closePool, openPool, query } from "./database.ts";
import { classifyDatabaseError } from "./database-faults.ts";

it("counts a query after the pool was closed as transient", async () => {
  const pool = openPool({ mysqlUrl: new URL("mysql://user@127.0.0.1:1/database"), poolSize: 1 });
  await pool.end();
  await assert.rejects(
    query(pool, "SELECT 1"),
    (error) => classifyDatabaseError(error) === "transient",
  );
});

it("closes a pool whose connection is lost meanwhile", async (t) => {
  const silent = createServer().listen(0, "127.0.0.1");
  t.after(() => silent.close());
  await once(silent, "listening");
  const { port } = silent.address() as AddressInfo;
  const mysqlUrl = new URL(`mysql://user@127.0.0.1:${port}/database`);
  const pool = openPool({ mysqlUrl, poolSize: 1 });
  const refused = assert.rejects(query(pool, "SELECT 1"));
  const [socket] = (await once(silent, "connection")) as [Socket];
  const closed = closePool(pool);
  socket.destroy();
  await closed;
  await refused;
});
