import assert from "node:assert/strict";
import { once } from "node:events";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { it } from "node:test";
import { closePool, openPool, query, withConnection } from "./database.ts";
import { classifyDatabaseError } from "./database-faults.ts";
import { POOL_QUEUE } from "./limits.ts";

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

it("ends every request for a connection in time, however many there are, where the server is silent", async () => {
  const server = createServer((socket) => socket.resume()).listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const mysqlUrl = new URL(`mysql://user@127.0.0.1:${port}/database`);
  const pool = openPool({ mysqlUrl, poolSize: 2 });
  const ended: unknown[] = await Promise.all(
    Array.from({ length: POOL_QUEUE + 50 }, () =>
      withConnection(pool, () => assert.fail("there is no connection"), { deadlineMs: 100 }).catch(
        (error) => error,
      ),
    ),
  );
  for (const error of ended) assert.equal(classifyDatabaseError(error), "transient");
  const refused = ended.filter((error) => (error as Error).message === "Queue limit reached.");
  assert.equal(refused.length, 48);
  await closePool(pool);
  server.close();
});
