import assert from "node:assert/strict";
import { once } from "node:events";
import { type AddressInfo, createServer, type Server } from "node:net";
import { after, before, describe, it } from "node:test";
import { gzipSync } from "node:zlib";
import { BULK_RECORDS, ITEM_BYTES, PUBLISH } from "../../common/limits.ts";
import { startApi } from "../support/api.ts";
import { createTestEnvironment, type TestEnvironment } from "../support/environment.ts";
import { assertProblem, assertProblemBody, createClient } from "../support/http.ts";

const WAIT = { prefer: "wait=30" };
const NDJSON = "application/x-ndjson";

describe("many records in one request", () => {
  const { api } = startApi({ subscriber: true });

  const readName = async (id: string) => (await api.get(`/api/data/${id}`)).body.nombre;

  it("are accepted from an array, with a result for each in its order", async () => {
    const names = Array.from({ length: 1_200 }, (_, index) => `array ${index}`);
    const { status, body } = await api.post(
      "/api/data",
      names.map((nombre) => ({ nombre })),
    );
    assert.equal(status, 202);
    assert.equal(body.results.length, names.length);
    assert.equal(new Set(body.results.map(({ id }) => id)).size, names.length);
    for (const result of body.results) {
      const { id, write, receipt } = result;
      assert.deepEqual(result, { status: 202, id, write, receipt });
      assert.equal(receipt, `/api/data/${id}/writes/${write}`);
    }
    await Promise.all(
      [0, 1, 499, 500, 1_199].map(async (place) => {
        const result = body.results[place];
        assert.ok(result);
        assert.equal((await api.settled(result.receipt)).outcome, "applied");
        assert.equal(await readName(result.id), `array ${place}`);
      }),
    );
  });

  it("are accepted from NDJSON, empty lines aside, plain or by gzip", async () => {
    const lines = '{"nombre":"line 0"}\r\n\n{"nombre":"line 1"}\n{"nombre":"line 2"}';
    const bodies: [string | Uint8Array, Record<string, string>][] = [
      [lines, {}],
      [`${lines}\n`, {}],
      [gzipSync(lines), { "content-encoding": "gzip" }],
    ];
    for (const [body, headers] of bodies) {
      const { status, body: answer } = await api.send("POST", "/api/data", {
        body,
        headers: { "content-type": NDJSON, ...headers },
      });
      assert.equal(status, 202);
      assert.equal(answer.results.length, 3);
      for (const [place, { id, receipt }] of answer.results.entries()) {
        await api.settled(receipt);
        assert.equal(await readName(id), `line ${place}`);
      }
    }
  });

  it("are accepted from a gzipped array", async () => {
    const body = gzipSync(JSON.stringify([{ nombre: "zipped" }]));
    const headers = { "content-encoding": "gzip" };
    const { status } = await api.send("POST", "/api/data", { body, headers });
    assert.equal(status, 202);
  });

  it("are settled before the answer where the client waits", async () => {
    const { status, body, headers } = await api.post(
      "/api/data",
      [{ nombre: "one" }, { nombre: "two" }],
      WAIT,
    );
    assert.equal(status, 200);
    assert.equal(headers.get("preference-applied"), "wait=30");
    assert.deepEqual(
      body.results.map((result) => [result.status, result.outcome]),
      [
        [201, "applied"],
        [201, "applied"],
      ],
    );
  });

  it("are accepted beside a bad one, and the answer is 207", async () => {
    const { status, body, headers } = await api.post("/api/data", [
      { nombre: "good 0" },
      { nombre: "" },
      "no object",
      { nombre: "good 3", colour: "red" },
      { nombre: "good 4" },
    ]);
    assert.equal(status, 207);
    assert.match(headers.get("content-type") ?? "", /^application\/json\b/);
    const [good, empty, text, unknown, last] = body.results;
    assert.ok(good && empty && text && unknown && last && body.results.length === 5);
    assertProblemBody(empty, 422, "invalid-item", ["/nombre"]);
    assertProblemBody(text, 422, "invalid-item", [""]);
    assertProblemBody(unknown, 422, "invalid-item", ["/colour"]);
    for (const { id, receipt, status } of [good, last]) {
      assert.equal(status, 202);
      await api.settled(receipt);
      assert.match(String(await readName(id)), /^good/);
    }
  });

  it("answer 207 too where a line of NDJSON is not JSON", async () => {
    const { status, body } = await api.send("POST", "/api/data", {
      body: '{"nombre":"fine"}\n{"nombre":\n{"nombre":"also fine"}',
      headers: { "content-type": NDJSON },
    });
    assert.equal(status, 207);
    assert.deepEqual(
      body.results.map((result) => result.status),
      [202, 400, 202],
    );
    assertProblemBody(body.results[1] as never, 400, "malformed-body");
  });

  it("answer 422 with every result where none is good", async () => {
    const answer = await api.post("/api/data", [{}, { nombre: 1 }, null]);
    assertProblem(answer, 422, "invalid-item");
    const pointers = answer.body.results.map(({ errors }) => errors.map(({ pointer }) => pointer));
    assert.deepEqual(pointers, [["/nombre"], ["/nombre"], [""]]);
  });

  it("answer the problem that all of them share, with every result", async () => {
    const large = JSON.stringify({ nombre: "x".repeat(ITEM_BYTES) });
    const send = (body: string) =>
      api.send("POST", "/api/data", { body, headers: { "content-type": NDJSON } });
    const tooLarge = await send(`${large}\n${large}`);
    assertProblem(tooLarge, 413, "too-large");
    assert.equal(tooLarge.body.detail, "No record was accepted.");
    assert.equal(tooLarge.body.results.length, 2);
    assertProblem(await send("{\n["), 400, "malformed-body");
    assertProblem(await send(`${large}\n{}`), 422, "invalid-item");
  });

  it("are put by their ids, in both media types", async () => {
    const first = await api.put(
      "/api/data",
      [
        { id: "bulk-1", nombre: "a" },
        { id: "bulk-2", nombre: "b" },
        { nombre: "no id" },
        { id: "no/id", nombre: "d" },
      ],
      WAIT,
    );
    assert.equal(first.status, 207);
    assert.deepEqual(
      first.body.results.map((result) => result.status),
      [201, 201, 422, 422],
    );
    assertProblemBody(first.body.results[2] as never, 422, "invalid-item", ["/id"]);
    const second = await api.send("PUT", "/api/data", {
      body: '{"id":"bulk-1","nombre":"A"}\n{"id":"bulk-2","nombre":"B"}',
      headers: { "content-type": NDJSON, ...WAIT },
    });
    assert.equal(second.status, 200);
    assert.deepEqual([await readName("bulk-1"), await readName("bulk-2")], ["A", "B"]);
  });

  it("of one id in one request are applied in their order: the last one stays", async () => {
    const records = Array.from({ length: 20 }, (_, index) => ({
      id: "same",
      nombre: `version ${index}`,
    }));
    const { status, body } = await api.put("/api/data", records, WAIT);
    assert.ok(status === 200 || status === 207, `${status}`);
    assert.equal(await readName("same"), "version 19");
    for (const { receipt } of body.results) {
      const { outcome } = await api.settled(receipt);
      assert.ok(outcome === "applied" || outcome === "superseded");
    }
  });

  it("meet their own items when they are sent again with the same Idempotency-Key", async () => {
    const headers = { "idempotency-key": "bulk-retry", ...WAIT };
    const records = [{ nombre: "kept 0" }, { nombre: "kept 1" }, { nombre: "kept 0" }];
    const first = await api.post("/api/data", records, headers);
    const again = await api.post("/api/data", records, headers);
    const getIds = ({ body }: typeof first) => body.results.map(({ id }) => id);
    assert.deepEqual(getIds(again), getIds(first));
    assert.equal(new Set(getIds(first)).size, 3);
    assert.deepEqual(
      again.body.results.map(({ outcome }) => outcome),
      ["duplicate", "duplicate", "duplicate"],
    );
    assert.equal(again.status, 200);
  });

  it("have an empty response body for return=minimal, unless some were refused", async () => {
    const prefer = { prefer: "return=minimal" };
    const all = await api.post("/api/data", [{ nombre: "a" }, { nombre: "b" }], prefer);
    assert.equal(all.status, 202);
    assert.equal(all.text, "");
    const some = await api.post("/api/data", [{ nombre: "a" }, {}], prefer);
    assert.equal(some.status, 207);
    assert.equal(some.body.results.length, 2);
  });

  it("are refused at an item's path, with a condition, or if there are none or too many", async () => {
    const one = [{ id: "x", nombre: "x" }];
    assertProblem(await api.put("/api/data/x", one), 400, "malformed-request");
    for (const header of ["if-match", "if-none-match"])
      assertProblem(await api.put("/api/data", one, { [header]: "*" }), 400, "malformed-request");
    assertProblem(await api.post("/api/data", []), 400, "malformed-body");
    const lines = { body: "\n \n", headers: { "content-type": NDJSON } };
    assertProblem(await api.send("POST", "/api/data", lines), 400, "malformed-body");
    const tooMany = Array.from({ length: BULK_RECORDS + 1 }, () => ({ nombre: "x" }));
    assertProblem(await api.post("/api/data", tooMany), 413, "too-large");
  });
});

describe("more records than may wait, while Pub/Sub does not answer", () => {
  let environment: TestEnvironment;
  let silent: Server;

  before(async () => {
    environment = await createTestEnvironment();
    silent = createServer((socket) => socket.on("error", () => {})).listen(0, "127.0.0.1");
    await once(silent, "listening");
  });
  after(async () => {
    await environment.close();
    silent.close();
  });

  it("are all refused, and only what was sent may be accepted later", async () => {
    const { port } = silent.address() as AddressInfo;
    const api = await environment.spawn("api", { PUBSUB_EMULATOR_HOST: `127.0.0.1:${port}` });
    const records = Array.from({ length: BULK_RECORDS }, () => ({ nombre: "x" }));
    const requests = Math.ceil(PUBLISH.maxQueued / BULK_RECORDS) + 1;
    const answers = await Promise.all(
      Array.from({ length: requests }, () => createClient(api.url).post("/api/data", records)),
    );
    let refused = 0;
    let unknown = 0;
    for (const answer of answers) {
      assertProblem(answer, 503, "unavailable");
      assert.equal(answer.body.detail, "No record is known to be accepted.");
      assert.equal(answer.body.results.length, BULK_RECORDS);
      for (const { detail } of answer.body.results) {
        if (detail.includes("it is not known whether")) unknown += 1;
        if (detail.startsWith("Too many writes are waiting; nothing was accepted.")) refused += 1;
      }
    }
    // What was never sent is not accepted; what was sent may have been.
    const failed = requests * BULK_RECORDS - refused;
    assert.ok(unknown > 0 && unknown < failed, `${unknown}`);
    const closed = once(api.child, "close");
    await api.end();
    await closed;
    const lines = api.output().matchAll(/publishing failed.*count=(\d+)/g);
    const counts = [...lines].map(([, count]) => Number(count));
    assert.ok(counts.every((count) => count <= PUBLISH.maxItems));
    const logged = counts.reduce((sum, count) => sum + count, 0);
    assert.equal(logged, failed);
  });
});
