import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { query } from "../../common/database.ts";
import { mintWriteId } from "../../common/write-id.ts";
import { createTestEnvironment, type TestEnvironment } from "../support/environment.ts";
import { assertProblem, type Client, createClient, publishByHand } from "../support/http.ts";
import type { Spawned } from "../support/processes.ts";
import { until } from "../support/until.ts";

const JSON_LOGS = { LOG_FORMAT: "json", LOG_LEVEL: "debug" };
const TRACE = "4bf92f3577b34da6a3ce929d0e0e4736";
const TRACEPARENT = `00-${TRACE}-00f067aa0ba902b7-01`;
const TRACE_FIELD = "logging.googleapis.com/trace";

/** Of the line in which Google's library names itself, once for each process. */
const DIAGNOSTIC = "logging.googleapis.com/diagnostic";

/** A line in the form that Cloud Logging reads (common/telemetry/logger.test.ts has it whole). */
type Line = {
  severity: string;
  message: string;
  timestamp: unknown;
  metadata?: {
    requestId?: string;
    trace?: string;
    writes?: Record<string, unknown>[];
    durationMs?: number;
    [field: string]: unknown;
  };
  [field: string]: unknown;
};

describe("the logs in production", () => {
  let environment: TestEnvironment;
  let api: Spawned;
  let subscriber: Spawned;
  let client: Client;

  before(async () => {
    environment = await createTestEnvironment();
    [api, subscriber] = await Promise.all([
      environment.spawn("api", JSON_LOGS),
      environment.spawn("subscriber", JSON_LOGS),
    ]);
    client = createClient(api.url);
  });
  after(() => environment.close());

  /** Whole lines. */
  const readLines = (process: Spawned): Line[] =>
    process
      .output()
      .split("\n")
      .slice(0, -1)
      .map((line) => JSON.parse(line))
      .filter((line) => !(DIAGNOSTIC in line));

  /** Waits for the line with this message about a write. */
  async function waitForLine(process: Spawned, message: string, write: string): Promise<Line> {
    const find = () =>
      readLines(process).filter(
        (line) => line.message === message && line.metadata?.writes?.some(({ id }) => id === write),
      );
    await until(`${message}: ${write}`, () => find().length > 0);
    const [line] = find();
    assert.ok(line && find().length === 1);
    return line;
  }

  it("follow a request by its id, and its write from acceptance to settlement", async () => {
    const headers = { "x-request-id": "request-1", traceparent: TRACEPARENT };
    const { body, headers: answered } = await client.post("/api/data", { nombre: "x" }, headers);
    assert.equal(answered.get("x-request-id"), "request-1");
    const { id: item, write } = body;

    const accepted = await waitForLine(api, "writes accepted", write);
    assert.equal(accepted.severity, "INFO");
    assert.equal(accepted.metadata?.requestId, "request-1");
    assert.equal(accepted.metadata?.count, 1);
    assert.deepEqual(accepted.metadata?.writes, [
      { id: write, collection: "data", item, request: "request-1", trace: TRACE },
    ]);
    assert.equal(accepted[TRACE_FIELD], `projects/constancia-test/traces/${TRACE}`);

    const settled = await waitForLine(subscriber, "writes settled", write);
    assert.equal(settled.severity, "INFO");
    const lagMs = settled.metadata?.writes?.[0]?.lagMs;
    assert.ok(Number.isInteger(lagMs));
    assert.deepEqual(settled.metadata?.writes, [
      { id: write, collection: "data", item, outcome: "applied", lagMs, trace: TRACE },
    ]);
    assert.ok(Number.isInteger(settled.metadata?.durationMs));
    assert.deepEqual(settled.metadata?.outcomes, { applied: 1 });
    assert.equal(settled[TRACE_FIELD], `projects/constancia-test/traces/${TRACE}`);
    assert.equal((await client.settled(body.receipt)).trace, TRACE);
  });

  it("name every write of a batch, each with its request and trace", async () => {
    const names = Array.from({ length: 50 }, (_, index) => ({ nombre: `batch ${index}` }));
    const headers = { "x-request-id": "request-2", traceparent: TRACEPARENT };
    const { body } = await client.post("/api/data", names, headers);
    for (const { write, id: item } of body.results) {
      const accepted = await waitForLine(api, "writes accepted", write);
      assert.deepEqual(
        accepted.metadata?.writes?.find(({ id }) => id === write),
        { id: write, collection: "data", item, request: "request-2", trace: TRACE },
      );
      assert.equal(accepted.metadata?.count, accepted.metadata?.writes?.length);
      const settled = await waitForLine(subscriber, "writes settled", write);
      assert.equal(settled.metadata?.writes?.find(({ id }) => id === write)?.outcome, "applied");
      assert.deepEqual(settled.metadata?.outcomes, { applied: settled.metadata?.writes?.length });
    }
  });

  it("begin a trace where the client has none, or a wrong one", async () => {
    for (const traceparent of [undefined, "x", `00-${"0".repeat(32)}-00f067aa0ba902b7-01`]) {
      const headers = traceparent === undefined ? {} : { traceparent };
      const { body } = await client.post("/api/data", { nombre: "x" }, headers as never);
      const line = await waitForLine(api, "writes accepted", body.write);
      const trace = line.metadata?.writes?.[0]?.trace;
      assert.match(String(trace), /^(?!0{32})[0-9a-f]{32}$/);
      assert.equal(line[TRACE_FIELD], `projects/constancia-test/traces/${trace}`);
      assert.equal((await client.settled(body.receipt)).trace, trace);
    }
  });

  it("tell a dead message by its id, as a warning", async () => {
    const attributes = { "ce-specversion": "secret-of-the-attributes" };
    const bad = { attributes, data: Buffer.from("secret-of-the-message") };
    const [messageId] = await publishByHand(environment, [bad]);
    const find = () =>
      readLines(subscriber).find((line) => line.metadata?.messageId === messageId) as Line;
    await until("it is logged", () => subscriber.output().includes(`"${messageId}"`));
    assert.equal(find().message, "message is dead");
    assert.equal(find().severity, "WARNING");
    assert.ok(!subscriber.output().includes("secret-of-the"));
  });

  it("tell a fault of ours by its kind and the request's id, without its message", async () => {
    const own = await environment.spawn("api", JSON_LOGS);
    const ownClient = createClient(own.url);
    // Until its tables are checked, it would answer 503 without them.
    await until("it is ready", async () => (await ownClient.get("/health/ready")).status === 200);
    const { body } = await client.post("/api/data", { nombre: "x" });
    await client.settled(body.receipt);
    // An unexpected error: reading a row fails, by no fault of the client.
    await query(environment.pool, "RENAME TABLE data TO kept");
    await query(
      environment.pool,
      "CREATE VIEW data AS SELECT id, version, EXP(1000 * LENGTH(id)) AS nombre, created_at," +
        " updated_at, applied_at, deleted_at, fingerprint, trace, created_item FROM kept",
    );
    const headers = { "x-request-id": "request-3" };
    const answer = await ownClient.get(`/api/data/${body.id}`, headers);
    await query(environment.pool, "DROP VIEW data");
    await query(environment.pool, "RENAME TABLE kept TO data");
    assertProblem(answer, 500, "internal");
    assert.match(answer.body.detail, /request-3/);
    await own.end();
    const [line] = readLines(own).filter(({ message }) => message === "a request failed");
    assert.equal(line?.severity, "ERROR");
    assert.equal(line.metadata?.requestId, "request-3");
    assert.equal(line.metadata?.code, "ER_DATA_OUT_OF_RANGE");
    for (const text of [own.output(), answer.text]) assert.doesNotMatch(text, /out of range in/);
  });

  it("are one JSON object a line, with severity, message and time, from start to end", async () => {
    await Promise.all([api.end("SIGTERM"), subscriber.end("SIGTERM")]);
    for (const [name, process] of [
      ["api", api],
      ["subscriber", subscriber],
    ] as const) {
      const lines = readLines(process);
      for (const line of lines) {
        assert.match(line.severity, /^(DEBUG|INFO|WARNING|ERROR)$/);
        assert.equal(typeof line.message, "string");
        assert.ok(line.timestamp);
        assert.deepEqual(line["logging.googleapis.com/labels"], { service: name });
      }
      const messages = lines.map(({ message }) => message);
      assert.ok(messages.includes(`${name} started`));
      assert.ok(messages.includes("stopping") && messages.includes("stopped"));
    }
  });

  it("never hold a body, a key, a condition or a token", async () => {
    const secret = "a-secret-of-the-client";
    const key = "k-0123456789abcdef";
    const own = await environment.spawn("api", JSON_LOGS);
    const settler = await environment.spawn("subscriber", JSON_LOGS);
    const other = createClient(own.url);
    const authorization = { authorization: `Bearer ${key}` };
    const { body } = await other.post(
      "/api/data",
      { nombre: secret },
      {
        ...authorization,
        "idempotency-key": `idem-${secret}`,
      },
    );
    await other.settled(body.receipt);
    await other.post("/api/data", { nombre: secret.repeat(20), [secret]: secret }, authorization);
    await other.send("POST", "/api/data", { body: `{"nombre":"${secret}` });
    await other.send("POST", "/api/data", {
      body: secret,
      headers: { "content-encoding": "gzip" },
    });
    await other.get(`/api/data?cursor=${secret}`);
    const version = mintWriteId();
    const put = { "if-match": `"${version}"` };
    assert.equal((await other.put("/api/data/x", { nombre: "x" }, put)).status, 202);
    await Promise.all([own.end(), settler.end()]);
    for (const process of [own, settler, api, subscriber])
      for (const text of [secret, key, "idem-", "Bearer", version])
        assert.ok(!process.output().includes(text), `${text} is in the logs`);
  });
});
