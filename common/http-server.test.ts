import assert from "node:assert/strict";
import { once } from "node:events";
import type { RequestListener } from "node:http";
import { connect } from "node:net";
import { text as readText } from "node:stream/consumers";
import { describe, it } from "node:test";
import { HTTP_LIMITS, listen } from "./http-server.ts";

/** What is not over by then never ends. */
const DEADLINE_MS = 60_000;

it("a server that stops waits for answers, but not for idle connections", async () => {
  const asked = Promise.withResolvers<void>();
  const answer = Promise.withResolvers<void>();
  const server = await listen(
    async (_request, response) => {
      asked.resolve();
      await answer.promise;
      response.end("answered");
    },
    { port: 0, host: "127.0.0.1" },
  );
  const silent = connect(server.port, "127.0.0.1");
  const stuck = connect(server.port, "127.0.0.1");
  stuck.write("GET / HTTP/1.1\r\nHost:");
  await Promise.all([once(silent, "connect"), once(stuck, "connect")]);
  for (const socket of [silent, stuck]) socket.on("error", () => {});
  const answered = fetch(`http://127.0.0.1:${server.port}/`).then((response) => response.text());
  await asked.promise;
  const closed = server.close();
  answer.resolve();
  assert.equal(await answered, "answered");
  await closed;
});

describe("a server that refuses", { timeout: DEADLINE_MS }, () => {
  /** Says the method and body of each request, once the body is whole, and after a while. */
  const echo: RequestListener = async (request, response) => {
    const body = await readText(request).catch(() => undefined);
    if (body === undefined) return;
    await new Promise(setImmediate);
    response.setHeader("Content-Length", `${request.method} ${body}`.length);
    response.end(`${request.method} ${body}`);
  };

  /** What such a server answers to these parts, until it closes. */
  async function talk(parts: string[], limits: Partial<typeof HTTP_LIMITS> = {}) {
    const server = await listen(echo, {
      port: 0,
      host: "127.0.0.1",
      limits: { ...HTTP_LIMITS, ...limits },
    });
    const socket = connect({ port: server.port, host: "127.0.0.1", allowHalfOpen: true });
    for (const part of parts) socket.write(part);
    const said = await readText(socket);
    socket.destroy();
    await server.close();
    return { said, statuses: [...said.matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, status]) => status) };
  }

  const POST = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nok";

  it("answers whole requests before it refuses the bytes after them", async () => {
    for (const parts of [[`${POST}nonsense\r\n\r\n`], [`${POST}${POST}\0`, "more", "and more"]]) {
      const { said, statuses } = await talk(parts);
      const whole = parts.join("").split("POST").length - 1;
      assert.deepEqual(statuses, [...Array(whole).fill("200"), "400"], said);
      assert.equal(said.split("POST ok").length - 1, whole);
    }
  });

  it("is heard by a client that reads only after it has sent everything", async () => {
    const server = await listen(echo, { port: 0, host: "127.0.0.1" });
    const socket = connect(server.port, "127.0.0.1").pause();
    // Each part is a fault of its own to Node; closing at the second would throw away the answer.
    for (const part of ["\0", ...Array(64).fill("x".repeat(64 * 1024))])
      await new Promise<void>((resolve, reject) =>
        socket.write(part, (error) => (error ? reject(error) : resolve())),
      );
    const said = await readText(socket);
    assert.match(said, /^HTTP\/1\.1 400 /);
    await server.close();
  });

  it("refuses a request that goes wrong in its body, at once", async () => {
    const chunked = "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
    assert.deepEqual((await talk([`${chunked}2\r\nok\r\nnonsense\r\n`])).statuses, ["400"]);
  });

  it("answers 100 to Expect, but never inside another answer", async () => {
    const expecting = POST.replace("Host", "Expect: 100-continue\r\nHost");
    const last = expecting.replace("Host", "Connection: close\r\nHost");
    assert.deepEqual((await talk([last])).statuses, ["100", "200"]);
    const { said, statuses } = await talk([POST + last]);
    assert.deepEqual(statuses, ["200", "200"]);
    assert.equal(said.match(/\r\n\r\nPOST ok/g)?.length, 2, said);
  });

  it("ends the connection with the answer to an Upgrade, since what follows is not read", async () => {
    const upgrade = POST.replace("Host", "Connection: Upgrade\r\nUpgrade: h2c\r\nHost");
    for (const parts of [[upgrade + POST], [upgrade, POST], [POST + upgrade + POST]]) {
      const { said, statuses } = await talk(parts);
      const whole = parts.join("").split("Upgrade: h2c")[0]?.split("POST").length ?? 0;
      assert.deepEqual(statuses, Array(whole - 1).fill("200"), said);
      assert.equal(said.match(/Connection: close/g)?.length, 1, said);
      assert.ok(said.endsWith("POST ok"));
    }
  });

  it("refuses CONNECT, after it has answered the whole requests before it", async () => {
    const tunnel = "CONNECT x:80 HTTP/1.1\r\nHost: x:80\r\n\r\n";
    assert.deepEqual((await talk([tunnel])).statuses, ["501"]);
    const { said, statuses } = await talk([POST + POST + tunnel + POST]);
    assert.deepEqual(statuses, ["200", "200", "501"], said);
    assert.equal(said.split("POST ok").length - 1, 2);
  });

  it("refuses requests beyond those that may be under way", async () => {
    const last = POST.replace("Host", "Connection: close\r\nHost");
    const { said, statuses } = await talk([POST + POST + POST + last], { requests: 2 });
    assert.deepEqual(statuses, ["200", "200", "503"], said);
    assert.match(said, /503 [\s\S]*Retry-After: 1[\s\S]*Connection: close/);
  });

  it("requires one host of HTTP/1.1, and never two", async () => {
    const of = async (line: string, ...hosts: string[]) =>
      (await talk([`${[line, ...hosts, "Connection: close"].join("\r\n")}\r\n\r\n`])).statuses;
    assert.deepEqual(await of("GET / HTTP/1.1"), ["400"]);
    assert.deepEqual(await of("GET / HTTP/1.1", "Host: a", "host: b"), ["400"]);
    assert.deepEqual(await of("GET / HTTP/1.1", "HOST: a"), ["200"]);
    assert.deepEqual(await of("GET / HTTP/1.0"), ["200"]);
    assert.deepEqual(await of("GET / HTTP/0.9", "Host: a"), ["400"]);
    const post = `${POST.replace("Host", "Host: y\r\nHost")}${POST}`;
    assert.deepEqual((await talk([post])).statuses, ["400"], "and does not read on");
  });

  it("answers 408 to a slow head or a slow body", async () => {
    const quick = { headersMs: 50, requestMs: 100, checkMs: 20 };
    for (const start of ["", "GET / HTTP/1.1\r\nHo", POST.slice(0, -1)]) {
      const { said, statuses } = await talk([start], quick);
      assert.deepEqual(statuses, ["408"], said);
    }
  });

  it("closes a refused connection soon, however much arrives on it", async () => {
    const limits = { ...HTTP_LIMITS, lingerMs: 50 };
    const server = await listen(echo, { port: 0, host: "127.0.0.1", limits });
    const socket = connect({ port: server.port, host: "127.0.0.1", allowHalfOpen: true });
    socket.on("error", () => {}).resume();
    const drip = setInterval(() => socket.write("x"), 5);
    await new Promise((resolve) => socket.once("close", resolve));
    clearInterval(drip);
    await server.close();
  });

  it("accepts connections up to its limit, and another once one is closed", async () => {
    const limits = { ...HTTP_LIMITS, connections: 2 };
    const server = await listen(echo, { port: 0, host: "127.0.0.1", limits });
    const open = () => connect(server.port, "127.0.0.1").on("error", () => {});
    const held = [open(), open()];
    await Promise.all(held.map((socket) => once(socket, "connect")));
    const third = open().resume();
    await once(third, "close");
    held[0]?.end();
    const closed = held[0] && once(held[0].resume(), "close");
    await closed;
    assert.equal((await fetch(`http://127.0.0.1:${server.port}/`)).status, 200);
    held[1]?.destroy();
    await server.close();
  });
});
