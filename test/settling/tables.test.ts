import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { data } from "../../collections/data.ts";
import { query } from "../../common/database.ts";
import { encodeWrite } from "../../common/write.ts";
import { getWriteTime, mintWriteId } from "../../common/write-id.ts";
import { createTestEnvironment, type TestEnvironment } from "../support/environment.ts";
import { assertProblem, type Client, createClient, publishByHand } from "../support/http.ts";
import type { Spawned } from "../support/processes.ts";
import { until } from "../support/until.ts";

const NOMBRE = "VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL";
const JSON_LOGS = { LOG_FORMAT: "json", LOG_LEVEL: "info" };

let environment: TestEnvironment;
const alter = (change: string, table = "data") =>
  query(environment.pool, `ALTER TABLE ${table} ${change}`);
async function countLetters(): Promise<number> {
  const [row] = await query(environment.pool, "SELECT COUNT(*) AS count FROM dead_letters");
  return Number(row?.count);
}

describe("a table that cannot hold what its collection declares", () => {
  before(async () => {
    environment = await createTestEnvironment();
    await alter("MODIFY nombre VARCHAR(50) COLLATE utf8mb4_bin NULL");
  });
  after(() => environment.close());

  const sentence =
    "The column data.nombre is varchar(50) COLLATE utf8mb4_bin, but must be VARCHAR(255) COLLATE utf8mb4_bin.";

  it("keeps both processes from being ready, which say what the column has and needs", async () => {
    const push = { ...JSON_LOGS, DELIVERY: "push", PUSH_AUTH: "off" };
    const [api, subscriber] = await Promise.all([
      environment.spawn("api", JSON_LOGS),
      environment.spawn("subscriber", push),
    ]);
    for (const process of [api, subscriber]) {
      await until("the log says so", () => process.output().includes(sentence));
      const { status } = await createClient(process.url).get("/health/ready");
      assert.equal(status, 503);
    }
    const client = createClient(api.url);
    const { body } = await client.get("/health/ready");
    assert.deepEqual(body.faults, [sentence]);
    assertProblem(await client.post("/api/data", { nombre: "x" }), 503, "unavailable");
    assertProblem(await client.get("/api/data"), 503, "unavailable");
    await Promise.all([api.end(), subscriber.end()]);
  });

  it("gets no writes until it can, and none is dead", async () => {
    const id = mintWriteId();
    const item = { nombre: "x".repeat(255) };
    const write = { id, kind: "put" as const, collection: data, itemId: "long", item };
    const subscriber = await environment.spawn("subscriber", JSON_LOGS);
    await publishByHand(environment, [encodeWrite({ ...write, acceptedAt: getWriteTime(id) })]);
    await until("the log says so", () => subscriber.output().includes("TABLE_UNFIT"));
    assert.ok(subscriber.output().includes(sentence));
    const api = createClient((await environment.startApi()).url);
    await alter(`MODIFY nombre ${NOMBRE}`);
    await until("the API is ready", async () => (await api.get("/health/ready")).status === 200);
    assert.equal((await api.settled(`/api/data/long/writes/${id}`)).outcome, "applied");
    assert.deepEqual((await api.get("/api/data/long")).body, { id: "long", ...item });
    assert.equal(await countLetters(), 0);
    await subscriber.end();
  });
});

describe("a table that is changed ahead of the code, or without it", () => {
  let api: Client;
  let subscriber: Spawned;
  before(async () => {
    environment = await createTestEnvironment();
    api = createClient((await environment.startApi()).url);
    subscriber = await environment.spawn("subscriber", JSON_LOGS);
    await api.put("/api/data/there", { nombre: "x" }, { prefer: "wait=20" });
  });
  after(() => environment.close());

  type Fault = {
    what: string;
    code: string;
    change: string;
    undo: string;
    table?: string;
    /** Undefined for a delete. */
    nombre?: string;
  };
  /** In this order: the rows that one leaves do not hinder the next change. */
  const faults: Fault[] = [
    {
      what: "a column that no statement fills",
      code: "ER_NO_DEFAULT_FOR_FIELD",
      change: "ADD COLUMN added INT NOT NULL",
      undo: "MODIFY added INT NULL",
      nombre: "x",
    },
    {
      what: "a column under another name",
      code: "ER_BAD_FIELD_ERROR",
      change: `CHANGE nombre other ${NOMBRE}`,
      undo: `CHANGE other nombre ${NOMBRE}`,
      nombre: "x",
    },
    {
      what: "a table under another name",
      code: "ER_NO_SUCH_TABLE",
      change: "RENAME TO away",
      undo: "RENAME TO data",
      table: "away",
      nombre: "x",
    },
    {
      what: "a column that is too short",
      code: "ER_DATA_TOO_LONG",
      change: "MODIFY nombre VARCHAR(50) COLLATE utf8mb4_bin NULL",
      undo: `MODIFY nombre ${NOMBRE}`,
      nombre: "x".repeat(51),
    },
    {
      what: "a column of another character set",
      code: "ER_TRUNCATED_WRONG_VALUE_FOR_FIELD",
      change: "MODIFY nombre VARCHAR(255) CHARACTER SET latin1 COLLATE latin1_bin NULL",
      undo: `MODIFY nombre ${NOMBRE}`,
      nombre: "😀",
    },
    {
      what: "a column that refuses NULL",
      code: "ER_BAD_NULL_ERROR",
      change: "MODIFY nombre VARCHAR(255) COLLATE utf8mb4_bin NOT NULL",
      undo: `MODIFY nombre ${NOMBRE}`,
    },
  ];
  for (const { what, code, change, undo, table, nombre } of faults)
    it(`makes no write dead by ${what}, and says so in the log`, async () => {
      await alter(change);
      const from = subscriber.output().length;
      const path = nombre === undefined ? "/api/data/there" : `/api/data/${code}`;
      const { status, body } = await (nombre === undefined
        ? api.delete(path)
        : api.put(path, { nombre }));
      assert.equal(status, 202);
      await until("the log says so", () => subscriber.output().slice(from).includes(code));
      assert.equal(await countLetters(), 0);
      await alter(undo, table);
      assert.equal((await api.settled(body.receipt)).outcome, "applied");
      assert.equal((await api.get(path)).status, nombre === undefined ? 410 : 200);
      assert.equal(await countLetters(), 0);
    });
});
