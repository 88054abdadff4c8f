import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { brotliCompressSync, deflateSync, gzipSync, zstdCompressSync } from "node:zlib";
import fc from "fast-check";
import { BODY_BYTES, ITEM_BYTES } from "../../common/limits.ts";
import { startApi } from "../support/api.ts";
import { assertNoTrace, assertProblem, sendRaw } from "../support/http.ts";

const NDJSON = { "content-type": "application/x-ndjson" };

/** No subscriber runs here: whatever was published would show in the count of accepted writes. */
describe("a bad body", () => {
  const { environment, api } = startApi({ env: { METRICS: "on" } });

  const leavesNoTrace = (refused: () => Promise<void>) => assertNoTrace(environment, api, refused);

  const send = (body: string | Uint8Array, headers?: Record<string, string>) =>
    api.send("POST", "/api/data", { body, headers });

  it("that is not JSON is refused as malformed", () =>
    leavesNoTrace(async () => {
      const texts = ["{", "nombre=x", '{"nombre":"x"', "{'nombre':'x'}", '{"nombre":"x"}}', "NaN"];
      for (const text of [...texts, '{"nombre":"a\u0001b"}', " \n\t ", "\u0000", "[", "tru"]) {
        assertProblem(await send(text), 400, "malformed-body");
        assertProblem(await api.send("PUT", "/api/data/x", { body: text }), 400, "malformed-body");
      }
    }));

  it("that is empty is refused as malformed", () =>
    leavesNoTrace(async () => {
      assertProblem(await send(""), 400, "malformed-body");
      assertProblem(await send("", NDJSON), 400, "malformed-body");
      assertProblem(
        await send(gzipSync(""), { "content-encoding": "gzip" }),
        400,
        "malformed-body",
      );
      assertProblem(
        await api.send("POST", "/api/data", { headers: { "content-type": "application/json" } }),
        400,
        "malformed-body",
      );
    }));

  it("that is not UTF-8 is refused as malformed", () =>
    leavesNoTrace(async () => {
      const latin1 = Buffer.from('{"nombre":"Ñuñoa"}', "latin1");
      const surrogate = Buffer.from([...Buffer.from('{"nombre":"'), 0xed, 0xa0, 0x80, 0x22, 0x7d]);
      const utf16 = Buffer.from('{"nombre":"x"}', "utf16le");
      for (const bytes of [latin1, surrogate, utf16])
        assertProblem(await send(bytes), 400, "malformed-body");
    }));

  it("of the wrong type is not an item", () =>
    leavesNoTrace(async () => {
      for (const value of [null, true, 0, 1e308, "text", ""]) {
        assertProblem(await api.post("/api/data", value), 422, "invalid-item", [""]);
        assertProblem(await api.put("/api/data/x", value), 422, "invalid-item", [""]);
      }
    }));

  it("with an unknown field is refused, and the answer points to it", () =>
    leavesNoTrace(async () => {
      const unknown: [Record<string, unknown>, string][] = [
        [{ colour: "red" }, "/colour"],
        [{ id: "x" }, "/id"],
        [{ "a/b~c": 1 }, "/a~1b~0c"],
        [{ Nombre: "x" }, "/Nombre"],
        [{ "": 1 }, "/"],
        [{ constructor: 1 }, "/constructor"],
        [{ toString: null }, "/toString"],
        [{ version: "1" }, "/version"],
      ];
      for (const [more, pointer] of unknown)
        assertProblem(await api.post("/api/data", { nombre: "x", ...more }), 422, "invalid-item", [
          pointer,
        ]);
      const { body } = await api.post("/api/data", { one: 1, two: 2 });
      assert.deepEqual(body.errors.map(({ pointer }) => pointer).sort(), [
        "/nombre",
        "/one",
        "/two",
      ]);
    }));

  it("with __proto__ in it is refused like any unknown field", () =>
    leavesNoTrace(async () => {
      for (const text of [
        '{"nombre":"x","__proto__":{"polluted":true}}',
        '{"nombre":"x","__proto__":null}',
        '{"nombre":"x","__proto__":1}',
      ])
        assertProblem(await send(text), 422, "invalid-item", ["/__proto__"]);
      assertProblem(await send('{"__proto__":{"nombre":"inherited"}}'), 422, "invalid-item");
      const prototype = '{"nombre":"x","constructor":{"prototype":{"polluted":true}}}';
      assertProblem(await send(prototype), 422, "invalid-item", ["/constructor"]);
      assert.equal(({} as { polluted?: boolean }).polluted, undefined);
    }));

  it("whose nombre is missing, empty, too long or not a string is refused", () =>
    leavesNoTrace(async () => {
      const missing = await api.post("/api/data", {});
      assertProblem(missing, 422, "invalid-item", ["/nombre"]);
      assert.equal(missing.body.errors[0]?.detail, "Is required.");
      for (const nombre of ["", "x".repeat(256), "😀".repeat(256), 1, true, null, {}, ["x"]])
        assertProblem(await api.post("/api/data", { nombre }), 422, "invalid-item", ["/nombre"]);
    }));

  it("with a NUL or a lone surrogate is refused", () =>
    leavesNoTrace(async () => {
      for (const text of ['"a\\u0000b"', '"\\ud800"', '"x\\udfff"', '"\\ude00\\ud83d"'])
        assertProblem(await send(`{"nombre":${text}}`), 422, "invalid-item", ["/nombre"]);
      assertProblem(await send('{"nombre":"x","\\ud800":1}'), 422, "invalid-item");
    }));

  it("that is nested deeply is refused, however deep", () =>
    leavesNoTrace(async () => {
      const send422 = async (body: string) => assertProblem(await send(body), 422, "invalid-item");
      for (const depth of [100, 10_000, 100_000]) {
        const array = "[".repeat(depth) + "]".repeat(depth);
        await send422(`{"nombre":${array}}`);
        await send422(array);
        await send422(`[{"nombre":${array}}]`);
        assertProblem(await send("[".repeat(depth)), 400, "malformed-body");
      }
      await send422(`${'{"nombre":'.repeat(10_000)}1${"}".repeat(10_000)}`);
      assertProblem(await send(`{"nombre":${"[".repeat(10_000)}`), 400, "malformed-body");
    }));

  it("over a limit is refused as too large", () =>
    leavesNoTrace(async () => {
      const item = (bytes: number) => `{"nombre":"${"x".repeat(bytes)}"}`;
      assertProblem(await send(item(BODY_BYTES)), 413, "too-large");
      assertProblem(await send(item(ITEM_BYTES)), 413, "too-large");
      assertProblem(await send(`[${item(BODY_BYTES)}]`), 413, "too-large");
      assertProblem(await send(item(BODY_BYTES), NDJSON), 413, "too-large");
      const alone = await send(`[${item(ITEM_BYTES)}]`);
      assertProblem(alone, 413, "too-large");
      assert.deepEqual(
        alone.body.results.map(({ status }) => status),
        [413],
      );
    }));

  it("that is a gzip bomb is refused as too large", () =>
    leavesNoTrace(async () => {
      const bomb = gzipSync(Buffer.alloc(200 * 1024 * 1024, " "));
      assert.ok(bomb.length < BODY_BYTES);
      assertProblem(await send(bomb, { "content-encoding": "gzip" }), 413, "too-large");
      assertProblem(await send(bomb, { "content-encoding": "gzip", ...NDJSON }), 413, "too-large");
    }));

  it("that is not compressed as it says is refused", () =>
    leavesNoTrace(async () => {
      const body = '{"nombre":"x"}';
      const half = gzipSync(body).subarray(0, 15);
      for (const [bytes, encoding] of [
        [body, "gzip"],
        [half, "gzip"],
        [gzipSync(body), "deflate"],
        [deflateSync(body), "br"],
        [body, "zstd"],
      ] as const)
        assertProblem(await send(bytes, { "content-encoding": encoding }), 400, "malformed-body");
      for (const encoding of ["gzip, gzip", "compress", "x", "constructor"]) {
        const answer = await send(body, { "content-encoding": encoding });
        assertProblem(answer, 415, "wrong-media-type");
        assert.equal(answer.headers.get("accept-encoding"), "gzip, deflate, br, zstd");
        assert.equal(answer.headers.get("accept"), null);
      }
    }));

  for (const [encoding, compress] of [
    ["gzip", gzipSync],
    ["deflate", deflateSync],
    ["br", brotliCompressSync],
    ["zstd", zstdCompressSync],
  ] as const)
    it(`that goes on after the end of its ${encoding}, or breaks off there, is refused`, () =>
      leavesNoTrace(async () => {
        const whole = Buffer.from(compress('{"nombre":"x"}'));
        const headers = { "content-encoding": encoding };
        for (const rest of ["!", "x".repeat(100_000)]) {
          const body = Buffer.concat([whole, Buffer.from(rest)]);
          assertProblem(await send(body, headers), 400, "malformed-body");
        }
        const head = [
          "POST /api/data HTTP/1.1\r\nHost: x\r\nContent-Type: application/json",
          `Content-Encoding: ${encoding}\r\nContent-Length: ${whole.length + 999}\r\n\r\n`,
        ];
        const { status } = await sendRaw(api.url, [head.join("\r\n"), whole], { halfClose: true });
        assert.ok(Number.isNaN(status) || status === 400, `${status}`);
      }));

  it("of two frames is read whole or refused", () =>
    leavesNoTrace(async () => {
      const line = '{"nombre":"x"}\n';
      for (const [encoding, compress] of [
        ["deflate", deflateSync],
        ["zstd", zstdCompressSync],
      ] as const) {
        const body = Buffer.concat([compress(line), compress(line)]);
        const answer = await send(body, { "content-encoding": encoding, ...NDJSON });
        assertProblem(answer, 400, "malformed-body");
      }
    }));

  it("of a wrong media type or charset is refused, and the answer says what is taken", () =>
    leavesNoTrace(async () => {
      for (const type of [
        "text/plain",
        "application/xml",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/json; charset=latin1",
        "application/json; charset=utf-16",
        'application/json; charset="latin1"',
        "application/json charset=utf-8",
        "application/jsonx",
        "json",
        "",
      ]) {
        const answer = await send('{"nombre":"x"}', { "content-type": type });
        assertProblem(answer, 415, "wrong-media-type");
        for (const name of ["accept", "accept-post"])
          assert.equal(answer.headers.get(name), "application/json, application/x-ndjson");
      }
    }));

  it("with a wrong id is refused, and the answer points to it", () =>
    leavesNoTrace(async () => {
      for (const id of ["", ".", "..", "a b", "a/b", "ñ", "x".repeat(65), 1, null, {}, "a\u0000"])
        assertProblem(await api.put("/api/data", { id, nombre: "x" }), 422, "invalid-item", [
          "/id",
        ]);
      assertProblem(await api.put("/api/data", { nombre: "x" }), 422, "invalid-item", ["/id"]);
      const other = await api.put("/api/data/a", { id: "b", nombre: "x" });
      assertProblem(other, 422, "invalid-item", ["/id"]);
    }));

  it("is answered 4xx, whatever JSON it is", () =>
    leavesNoTrace(async () => {
      const value = fc.oneof(
        fc.json({ maxDepth: 5 }),
        fc.jsonValue({ maxDepth: 3 }).map((any) => JSON.stringify({ nombre: any, other: any })),
        fc.jsonValue({ maxDepth: 2 }).map((any) => JSON.stringify([any, { id: any, nombre: 1 }])),
        fc.string({ unit: "binary" }),
      );
      const request = fc.constantFrom(
        ["POST", "/api/data"],
        ["PUT", "/api/data"],
        ["PUT", "/api/data/x"],
      );
      const type = fc.constantFrom({}, NDJSON);
      await fc.assert(
        fc.asyncProperty(request, value, type, async ([method = "", path = ""], body, headers) => {
          const { status, headers: answered } = await api.send(method, path, {
            body,
            headers: headers as Record<string, string>,
          });
          assert.ok([400, 413, 415, 422].includes(status), `${status} to ${body}`);
          assert.match(answered.get("content-type") ?? "", /^application\/problem\+json/);
        }),
        { numRuns: 500 },
      );
    }));
});
