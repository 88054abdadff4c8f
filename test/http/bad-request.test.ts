import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:net";
import { describe, it } from "node:test";
import { gzipSync } from "node:zlib";
import { BODY_BYTES } from "../../common/limits.ts";
import { startApi } from "../support/api.ts";
import { type Answer, assertNoTrace, assertProblem, sendRaw } from "../support/http.ts";

const ITEM = '{"nombre":"x"}';

/** Refused by the server itself, before the application has seen a whole request. */
function assertBare({ status, headers, text }: Answer): void {
  assert.equal(status, 400);
  assert.equal(headers.get("connection"), "close");
  assert.equal(text, "");
}

describe("a bad request around a good body", () => {
  const { environment, api } = startApi({ env: { METRICS: "on" } });

  const leavesNoTrace = (refused: () => Promise<void>) => assertNoTrace(environment, api, refused);

  const head = (...headers: string[]) =>
    ["POST /api/data HTTP/1.1", "Host: x", "Connection: close", "Content-Type: application/json"]
      .concat(headers, "", "")
      .join("\r\n");

  it("whose Content-Length is too small is cut there, and refused", () =>
    leavesNoTrace(async () => {
      const { status, body } = await sendRaw(api.url, [head("Content-Length: 5"), ITEM]);
      assert.equal(status, 400);
      // Whichever is seen first: that the body is no JSON, or that more follows, as a bare status.
      assert.ok(!body || body.type === "urn:problem-type:constancia:malformed-body");
    }));

  it("whose Content-Length is too large is refused when the client ends", () =>
    leavesNoTrace(async () => {
      const bytes = [head("Content-Length: 5000"), ITEM];
      assertBare(await sendRaw(api.url, bytes, { halfClose: true }));
    }));

  it("whose Content-Length is over the limit is refused before its body is sent", () =>
    leavesNoTrace(async () => {
      const answer = await sendRaw(api.url, [head(`Content-Length: ${BODY_BYTES + 1}`)]);
      assertProblem(answer, 413, "too-large");
    }));

  it("that is chunked, and over the limit, is refused", () =>
    leavesNoTrace(async () => {
      const chunk = `10000\r\n${"x".repeat(0x10000)}\r\n`;
      const chunks = Array.from({ length: BODY_BYTES / 0x10000 + 1 }, () => chunk);
      const bytes = [head("Transfer-Encoding: chunked"), ...chunks, "0\r\n\r\n"];
      assertProblem(await sendRaw(api.url, bytes), 413, "too-large");
    }));

  it("that is chunked and a gzip bomb is refused", () =>
    leavesNoTrace(async () => {
      const bomb = gzipSync(Buffer.alloc(50 * 1024 * 1024));
      const start = head("Transfer-Encoding: chunked", "Content-Encoding: gzip");
      const bytes = [start, `${bomb.length.toString(16)}\r\n`, bomb, "\r\n0\r\n\r\n"];
      assertProblem(await sendRaw(api.url, bytes), 413, "too-large");
    }));

  it("that is not HTTP, or whose lengths contradict each other, is refused", () =>
    leavesNoTrace(async () => {
      const lengths = head("Content-Length: 14", "Transfer-Encoding: chunked") + ITEM;
      for (const bytes of ["nonsense\r\n\r\n", lengths, head("Content-Length: x"), head("a b: c")])
        assertBare(await sendRaw(api.url, [bytes]));
      const { status } = await sendRaw(api.url, [head(`X-Long: ${"x".repeat(100_000)}`)]);
      assert.equal(status, 431);
    }));

  it("to delete, with a malformed body, is refused", () =>
    leavesNoTrace(async () => {
      const start = "DELETE /api/data/a HTTP/1.1\r\nHost: x\r\n";
      for (const rest of [
        "Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\nnonsense\r\n",
        "Transfer-Encoding: chunked\r\n\r\n0\r\nnonsense\r\n\r\n",
      ])
        assertBare(await sendRaw(api.url, [start + rest]));
      const cut = await sendRaw(api.url, [`${start}Content-Length: 5\r\n\r\nok`], {
        halfClose: true,
      });
      assertBare(cut);
    }));

  it("with a wrong id in its address is refused", () =>
    leavesNoTrace(async () => {
      const ids = ["a%20b", "a%2Fb", "%C3%B1", "a%00", "x".repeat(65), "a,b", "'", "%22", "a@b"];
      for (const id of [...ids, "%", "%E0%A4%A", "%ff"]) {
        const path = `/api/data/${id}`;
        assertProblem(await api.put(path, { nombre: "x" }), 400, "malformed-request");
        assertProblem(await api.delete(path), 400, "malformed-request");
        assertProblem(await api.get(path), 400, "malformed-request");
      }
    }));

  it("with unknown parameters is refused", () =>
    leavesNoTrace(async () => {
      for (const search of ["?x=1", "?nombre=x", "?limit=1", "?__proto__=1", "?=", "?wait=5"]) {
        assertProblem(
          await api.post(`/api/data${search}`, { nombre: "x" }),
          400,
          "malformed-request",
        );
        assertProblem(
          await api.put(`/api/data/x${search}`, { nombre: "x" }),
          400,
          "malformed-request",
        );
        assertProblem(await api.delete(`/api/data/x${search}`), 400, "malformed-request");
      }
    }));

  it("with a wrong Prefer, If-Match or Idempotency-Key is refused", () =>
    leavesNoTrace(async () => {
      const wrong: [string, string][] = [
        ...[
          "wait",
          "wait=",
          "wait=-1",
          "wait=x",
          "wait=1.5",
          'wait="x"',
          'wait="5',
          "return=minimal, wait=1e3",
        ].map((value): [string, string] => ["prefer", value]),
        ...["", "two words", "x".repeat(256), "\u00f1", "\t"].map((value): [string, string] => [
          "idempotency-key",
          value,
        ]),
        ["if-match", "*"],
        ["if-none-match", "*"],
      ];
      for (const [name, value] of wrong)
        assertProblem(
          await api.post("/api/data", { nombre: "x" }, { [name]: value }),
          400,
          "malformed-request",
        );
      for (const tag of ["", "x", '"', '"a" "b"', "W/", "*, *"])
        assertProblem(
          await api.put("/api/data/x", { nombre: "x" }, { "if-match": tag }),
          400,
          "malformed-request",
        );
    }));

  it("to an unknown collection is refused", () =>
    leavesNoTrace(async () => {
      for (const name of [
        "unknown",
        "Data",
        "writes",
        "dead_letters",
        "__proto__",
        "constructor",
      ]) {
        assertProblem(await api.post(`/api/${name}`, { nombre: "x" }), 404, "not-found");
        assertProblem(await api.put(`/api/${name}/x`, { nombre: "x" }), 404, "not-found");
        assertProblem(await api.delete(`/api/${name}/x`), 404, "not-found");
      }
    }));

  it("that is cut off before its end leaves no trace", () =>
    leavesNoTrace(async () => {
      const { hostname, port } = new URL(api.url);
      const socket = connect(Number(port), hostname);
      await once(socket, "connect");
      socket.write(head("Content-Length: 14") + ITEM.slice(0, 7));
      socket.destroy();
      assert.equal((await api.get("/health/live")).status, 200);
    }));
});

describe("a good body of an unusual form", () => {
  const { api } = startApi({ subscriber: true });

  it("is kept exactly: 4-byte characters, 255 of them, spaces, quotes and line ends", async () => {
    for (const nombre of [
      "😀",
      "😀".repeat(255),
      "𠜎 𝒳 \u{10ffff}",
      "Ñuñoa",
      "  spaces around  ",
      "n\u0303 and \u00f1 differ",
      "'\"`\\%_;--",
      "\\0 \\n \r\n\t\u0001\u007f\u2028\ufeff",
      "\ufeffbom first",
      "null",
    ]) {
      const { status, body } = await api.post("/api/data", { nombre }, { prefer: "wait=30" });
      assert.equal(status, 201);
      assert.equal(body.nombre, nombre);
      assert.equal((await api.get(`/api/data/${body.id}`)).body.nombre, nombre);
    }
  });

  it("is taken with a charset of UTF-8, in any case, chunked or compressed", async () => {
    for (const type of [
      "application/json;charset=utf-8",
      'Application/JSON; Charset="UTF-8"',
      "application/json ; charset=UTF-8",
    ]) {
      const headers = { "content-type": type };
      const { status } = await api.send("POST", "/api/data", { body: ITEM, headers });
      assert.equal(status, 202, type);
    }
    const chunked =
      "POST /api/data HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\n" +
      `Transfer-Encoding: chunked\r\n\r\n7\r\n${ITEM.slice(0, 7)}\r\n7\r\n${ITEM.slice(7)}\r\n0\r\n\r\n`;
    assert.equal((await sendRaw(api.url, [chunked])).status, 202);
  });
});
