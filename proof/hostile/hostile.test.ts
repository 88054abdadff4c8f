import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { after, before, describe, it } from "node:test";
import { createTestEnvironment, type TestEnvironment } from "../../test/support/environment.ts";
import { type Client, createClient } from "../../test/support/http.ts";
import type { Spawned } from "../../test/support/processes.ts";
import { until } from "../../test/support/until.ts";
import { parseAnswers, sendBytes } from "../support/raw-http.ts";
import { CROWD, startCrowd } from "./crowd.ts";
import { SMUGGLED_PATH, SMUGGLING } from "./smuggling.ts";

/** A slow head is answered 408 after 10 s; the rest is for a busy machine. */
const DEADLINE_MS = 180_000;
/** Descriptors that the API may have opened meanwhile for itself, and for this test. */
const OTHER_DESCRIPTORS = 10;
const BODY = '{"nombre":"pipelined"}';
const put = (id: string, more = "") =>
  `PUT /api/data/${id} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n${more}` +
  `Content-Length: ${BODY.length}\r\n\r\n${BODY}`;

describe("a client that is hostile", { timeout: DEADLINE_MS }, () => {
  let environment: TestEnvironment;
  let process: Spawned;
  let api: Client;

  before(async () => {
    environment = await createTestEnvironment();
    process = await environment.spawn("api", { METRICS: "on" });
    api = createClient(process.url);
  });
  after(() => environment.close());

  /** It runs, and answers other clients. */
  const assertServes = async () => {
    assert.equal(process.child.exitCode, null);
    assert.equal((await api.get("/health/live")).status, 200);
    assert.equal((await api.put("/api/data/served", { nombre: "x" })).status, 202);
  };

  for (const [shape, bytes] of Object.entries(SMUGGLING))
    it(`smuggles nothing in with ${shape}`, async () => {
      const accepted = await api.countAccepted();
      const { answers, isClosedByServer } = await sendBytes(api.url, [bytes]);
      assert.deepEqual(
        answers.map(({ status }) => status),
        [400],
      );
      assert.ok(isClosedByServer, "the connection is closed");
      assert.equal(await api.countAccepted(), accepted, `${SMUGGLED_PATH} was written`);
    });

  it("gets the answers to pipelined requests in order, and none after Connection: close", async () => {
    const accepted = await api.countAccepted();
    const bytes = `${put("a")}${put("b")}GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n${put("c", "Connection: close\r\n")}`;
    const { answers } = await sendBytes(api.url, [bytes + put("d")]);
    assert.deepEqual(
      answers.map(({ status, text }) => (status === 202 ? JSON.parse(text).id : status)),
      ["a", "b", 404, "c"],
    );
    assert.equal(await api.countAccepted(), accepted + 3);
  });

  it("is answered for the write before its garbage, and refused for the garbage", async () => {
    const accepted = await api.countAccepted();
    const { answers } = await sendBytes(api.url, [`${put("a")}\0garbage\r\n\r\n`]);
    assert.deepEqual(
      answers.map(({ status }) => status),
      [202, 400],
    );
    assert.equal(await api.countAccepted(), accepted + 1);
  });

  it("may name its address in absolute form, and is answered as in the other", async () => {
    const ask = async (line: string) => {
      const bytes = `${line} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`;
      return (await sendBytes(api.url, [bytes])).answers[0];
    };
    for (const address of ["/api/data", "http://x/api/data", "HTTP://x:80/api/data?a=b"]) {
      const options = await ask(`OPTIONS ${address}`);
      assert.equal(options?.status, 204, address);
      assert.equal(options?.headers.allow, "GET, HEAD, POST, PUT");
      assert.equal((await ask(`PATCH ${address}`))?.status, 405);
    }
    assert.equal((await ask("OPTIONS http://x"))?.headers.allow, "GET, HEAD");
    // Express takes a fragment, which no client may send, off the path.
    assert.equal((await ask("OPTIONS /api/data#x/y/z"))?.status, 204);
    // About the server as a whole (RFC 9110, 9.3.7).
    assert.equal((await ask("OPTIONS *"))?.status, 204);
  });

  it("may send chunk extensions and trailers, which are ignored", async () => {
    const start = put("chunked").replace(/Content-Length.*/s, "Transfer-Encoding: chunked\r\n\r\n");
    const size = BODY.length.toString(16);
    const bytes = `${start}${size};a=b;c="d"\r\n${BODY}\r\n0\r\nIf-None-Match: *\r\n\r\n`;
    const close = "GET /health/live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    const { answers } = await sendBytes(api.url, [bytes + close]);
    assert.deepEqual(
      answers.map(({ status }) => status),
      [202, 200],
    );
  });

  it("is refused with 431 for headers that are too large, or too many", async () => {
    const head = (headers: string) => `GET / HTTP/1.1\r\nHost: x\r\n${headers}\r\n\r\n`;
    for (const bytes of [
      head(`X-A: ${"x".repeat(16 * 1024)}`),
      head(Array(1_100).fill("a:b").join("\r\n")),
      `GET /${"x".repeat(16 * 1024)} HTTP/1.1\r\nHost: x\r\n\r\n`,
    ]) {
      const { answers } = await sendBytes(api.url, [bytes]);
      assert.deepEqual(
        answers.map(({ status }) => status),
        [431],
      );
    }
    await assertServes();
  });

  it("that sends its head slowly is disconnected with 408", async () => {
    const socket = connect(process.port, "127.0.0.1").setEncoding("latin1");
    socket.on("error", () => {});
    let received = "";
    socket.on("data", (text) => {
      received += text;
    });
    socket.write("GET /health/live HTTP/1.1\r\n");
    const drip = setInterval(() => socket.write("X: y\r\n"), 200);
    await new Promise((resolve) => socket.once("close", resolve));
    clearInterval(drip);
    assert.deepEqual(
      parseAnswers(received).map(({ status }) => status),
      [408],
    );
  });

  it("that half-closes in the middle of a request is refused, and leaves nothing", async () => {
    const accepted = await api.countAccepted();
    for (const bytes of [put("half").slice(0, 20), put("half").slice(0, -3), "G"]) {
      const socket = connect({ port: process.port, host: "127.0.0.1", allowHalfOpen: true });
      socket.end(bytes);
      assert.equal(await readStatus(socket), 400);
    }
    assert.equal(await api.countAccepted(), accepted);
  });

  it("does not keep others from being served by a crowd of its kind, and leaves no descriptor open", async () => {
    const open = async () =>
      Number(/^process_open_fds (\d+)$/m.exec((await api.get("/metrics")).text)?.[1]);
    const before = await open();
    const crowd = await startCrowd(process.url, { idle: 500 });
    for (let times = 0; times < 20; times += 1) await assertServes();
    for (const kind of Object.keys(CROWD))
      assert.ok(crowd.connected(kind) > 0, `no client was ${kind}`);
    crowd.stop();
    await until(
      "all descriptors are free again",
      async () => (await open()) <= before + OTHER_DESCRIPTORS,
    );
    await assertServes();
  });
});

async function readStatus(socket: Socket): Promise<number> {
  let received = "";
  socket.setEncoding("latin1").on("data", (text) => {
    received += text;
  });
  await once(socket, "end");
  socket.destroy();
  return parseAnswers(received)[0]?.status ?? 0;
}
