import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { parse as parseLossless } from "lossless-json";
import { data } from "../../collections/data.ts";
import { query } from "../../common/database.ts";
import { ITEM_BYTES, JSON_KEY_BYTES } from "../../common/limits.ts";
import { encodeWrite } from "../../common/write.ts";
import { getWriteTime, mintWriteId } from "../../common/write-id.ts";
import { parcels } from "../collections/parcels.ts";
import { startApi } from "../support/api.ts";
import { assertProblem, publishByHand } from "../support/http.ts";
import { jsonText, stringToken } from "../support/json-texts.ts";
import { until } from "../support/until.ts";

const WAIT = { prefer: "wait=20" };
const NDJSON = { "content-type": "application/x-ndjson" };
const collections = [data, parcels];

/** Reads an answer as another language would; JSON.parse may confuse its keys. */
const read = (text: string) => parseLossless(text, null, Number) as Record<string, unknown>;
/** A parcel's body with more members, which are JSON as a client writes it. */
const parcel = (members: string) => `{"nick":"Valpo","status":"open",${members}}`;

/** What no collection takes, with the pointer to it. */
const REFUSED: [members: string, pointer: string][] = [
  ['"labels":{"x":1e400}', "/labels/x"],
  ['"labels":{"x":[-1e400]}', "/labels/x/0"],
  ['"labels":{"x":9007199254740993}', "/labels/x"],
  ['"labels":{"x":0.1234567890123456789}', "/labels/x"],
  ['"labels":{"__proto__":{"x":1}}', "/labels/__proto__"],
  ['"labels":{"a":[{"\\u005f_proto__":1}]}', "/labels/a/0/__proto__"],
  ['"labels":{"x":1,"x":2}', "/labels/x"],
  ['"labels":{"x":1,"\\u0078":1}', "/labels/x"],
  [`"labels":{"${"k".repeat(JSON_KEY_BYTES + 1)}":1}`, "/labels"],
  ['"weight":9007199254740993', "/weight"],
  ['"weight":1e400', "/weight"],
  ['"count":1.00000000000000000001', "/count"],
  ['"count":9007199254740993', "/count"],
  ['"address":{"street":"x","city":"y"}', "/address/city"],
  ['"address":{"street":"x","street":"y"}', "/address/street"],
  ['"lines":[{"sku":"a"},{"sku":"b","more":1}]', "/lines/1/more"],
  ['"nick":"Quilpué"', "/nick"],
];

describe("an item", () => {
  const { environment, api } = startApi({ collections, subscriber: true });

  const post = (body: string, headers: Record<string, string> = {}) =>
    api.send("POST", "/api/parcels", { body, headers });

  it("has the keys that were sent, whatever was sent or read before", async () => {
    const labels = async (members: string) => {
      const { status, body } = await post(parcel(`"labels":{${members}}`), WAIT);
      assert.equal(status, 201);
      return read((await api.get(`/api/parcels/${body.id}`)).text).labels;
    };
    assert.deepEqual(await labels('"k1":"0","a\\\\u":"1"'), { k1: "0", "a\\u": "1" });
    assert.deepEqual(await labels('"k1":"0","a\\u00f1o":"2026"'), { k1: "0", año: "2026" });
    assert.deepEqual(await labels('"k2":[],"\\\\":0'), { k2: [], "\\": 0 });
    assert.deepEqual(await labels('"k2":1,"\\"":2'), { k2: 1, '"': 2 });
  });

  it("is not refused for the key of another request that was refused", async () => {
    const put = (body: string) => api.send("PUT", "/api/data", { body });
    assertProblem(await put('{"id":"zz","\\\\u006e":1}'), 422, "invalid-item");
    assert.equal((await put('{"id":"zz","\\u006eombre":"v"}')).status, 202);
  });

  it("is given back as it was sent, however its keys, texts and numbers are written", async () => {
    const wellFormed = fc
      .string({ unit: "binary", minLength: 1, maxLength: 1 })
      .filter((text) => text.isWellFormed() && text !== "\0");
    const character = fc.oneof(fc.constantFrom(...'\\"/unbt:,{}[] aeEé\n'), wellFormed);
    const { object } = jsonText(stringToken(character));
    await fc.assert(
      fc.asyncProperty(fc.array(object, { minLength: 1, maxLength: 20 }), async (texts) => {
        const records = texts.map((text) => parcel(`"labels":${text}`));
        const sent = await post(`[${records.join(",")}]`, WAIT);
        assert.equal(sent.status, 200, sent.text);
        for (const [place, { id }] of sent.body.results.entries()) {
          const { text } = await api.get(`/api/parcels/${id}`);
          // JSON has no -0: it is 0.
          const expected = parseLossless(texts[place] as string, null, (n) => Number(n) + 0);
          assert.deepEqual(read(text).labels, expected);
        }
      }),
      { numRuns: 40 },
    );
  });

  it("is given back as it is stored, also where this version would not have stored it", async () => {
    const { body } = await post(parcel('"labels":{}'), WAIT);
    const stored = '{"n": 9007199254740993, "__proto__": {"a": 1}, "\\"\\\\": 1}';
    await query(environment.pool, "UPDATE parcels SET labels = ? WHERE id = ?", [stored, body.id]);
    for (const path of [`/api/parcels/${body.id}`, "/api/parcels?limit=1000"]) {
      const { text } = await api.get(path);
      assert.match(text, /"n":9007199254740993\b/);
      assert.match(text, /"__proto__":\{"a":1\}/);
      assert.match(text, /"\\"\\\\":1/);
    }
  });

  it("that would not be kept is refused with a pointer, by every route, and alone of many", async () => {
    for (const [members, pointer] of REFUSED) {
      const body = parcel(members);
      const put = `{"id":"x",${body.slice(1)}`;
      for (const answer of [
        await post(body),
        await api.send("PUT", "/api/parcels/x", { body }),
        await api.send("PUT", "/api/parcels", { body: put }),
      ])
        assertProblem(answer, 422, "invalid-item", [pointer]);
      const good = parcel('"count":1');
      for (const many of [
        await post(`[${good},${body},${good}]`),
        await post(`${good}\n${body}\n${good}`, NDJSON),
      ]) {
        const { results } = many.body;
        assert.deepEqual(
          results.map(({ status }) => status),
          [202, 422, 202],
          members,
        );
        assert.deepEqual(
          results[1]?.errors.map((error) => error.pointer),
          [pointer],
        );
      }
    }
    const twice = await api.send("PUT", "/api/parcels", {
      body: '{"id":"a","id":"b","nick":"Valpo","status":"open"}',
    });
    assertProblem(twice, 422, "invalid-item", ["/id"]);
    assertProblem(await api.send("PUT", "/api/parcels/x", { body: "1e400" }), 422, "invalid-item", [
      "",
    ]);
  });

  it("that would be stored as more bytes than an item may have is refused", async () => {
    const body = parcel(`"labels":{"x":[${Array(14_000).fill("1e18").join()}]}`);
    assert.ok(body.length < ITEM_BYTES);
    assertProblem(await api.send("PUT", "/api/parcels/large", { body }), 413, "too-large");
    const { results } = (await post(`[${body},${parcel('"count":1')}]`)).body;
    assert.deepEqual(
      results.map(({ status }) => status),
      [413, 202],
    );
  });

  it("that another publisher sent and would not be kept is dead, with the reason", async () => {
    const messages = REFUSED.map(([members]) => {
      const id = mintWriteId();
      const write = { id, kind: "put" as const, collection: parcels, itemId: "dead" };
      const { attributes } = encodeWrite({ ...write, acceptedAt: getWriteTime(id) });
      return { attributes, data: Buffer.from(parcel(members)) };
    });
    const ids = await publishByHand(environment, messages);
    const sql = "SELECT message_id, reason FROM dead_letters WHERE message_id IN (?)";
    let rows: Awaited<ReturnType<typeof query>> = [];
    await until("all are dead", async () => {
      rows = await query(environment.pool, sql, [ids]);
      return rows.length === ids.length;
    });
    for (const [place, [, pointer]] of REFUSED.entries()) {
      const reason = rows.find(({ message_id }) => message_id === ids[place])?.reason;
      assert.match(String(reason), new RegExp(`^The item is not valid: ${pointer.slice(1)} `));
    }
  });

  it("is described as what is taken: no other keys in its objects", async () => {
    const { body } = await api.get("/openapi.json");
    type Schema = { properties: Record<string, Schema>; items: Schema; [key: string]: unknown };
    const { schemas } = body.components as { schemas: Record<string, Schema> };
    const { address, lines, labels } = schemas.parcels?.properties ?? {};
    assert.equal(address?.additionalProperties, false);
    assert.equal(lines?.items.additionalProperties, false);
    assert.deepEqual(labels?.additionalProperties, {});
  });

  it("is refused with words that say what is missing, and on which line", async () => {
    const { body } = await post("{}");
    assert.deepEqual(body.errors, [
      { pointer: "/nick", detail: "Is required." },
      { pointer: "/status", detail: "Is required." },
    ]);
    const good = parcel('"count":1');
    const { body: answer } = await post(`${good}\n\n{"nick":\r\n\n{}\n${good}`, NDJSON);
    assert.deepEqual(
      answer.results.map(({ status, line, detail }) => [status, line, detail]),
      [
        [202, undefined, undefined],
        [400, 3, "Line 3 is not valid JSON."],
        [422, 5, "The item is not valid: 2 fields have errors."],
        [202, undefined, undefined],
      ],
    );
    const { body: broken } = await post(`${good}\n{"nick";1}`, NDJSON);
    assert.equal(broken.results[1]?.detail, "Line 2 is not valid JSON, at position 7.");
  });
});

describe("a filter", () => {
  const { api } = startApi({ collections, subscriber: true });

  it("on a date-time says how to write its +", async () => {
    const get = (time: string) => api.get(`/api/parcels?dueAt=${time}`);
    const plain = await get("2026-03-01T09:30:00+01:00");
    assertProblem(plain, 400, "malformed-request");
    assert.equal(
      plain.body.detail,
      "The parameter dueAt is not a valid value of the field. In an address, + must be written %2B.",
    );
    assert.equal((await get("2026-03-01T09:30:00%2B01:00")).status, 200);
    assert.doesNotMatch((await get("yesterday")).body.detail, /%2B/);
  });

  it("on an enum says its values", async () => {
    const wrong = await api.get("/api/parcels?status=lost");
    assertProblem(wrong, 400, "malformed-request");
    assert.equal(
      wrong.body.detail,
      "The parameter status is not a valid value of the field. It must be one of open, sent.",
    );
    assert.equal((await api.get("/api/parcels?status=sent")).status, 200);
  });

  it("on a number finds that number, and no other that a double takes it for", async () => {
    const weights = ["9007199254740992", "0.1", "1e21"];
    for (const weight of weights) {
      const { status } = await api.send("POST", "/api/parcels", {
        body: parcel(`"weight":${weight}`),
        headers: WAIT,
      });
      assert.equal(status, 201);
    }
    for (const [filter, count] of [
      ["weight=9007199254740992", 1],
      ["weight=0.10", 1],
      ["weight=1000000000000000000000", 1],
      ["weight=1e%2B21", 1],
      ["weight=2", 0],
    ] as const)
      assert.equal((await api.get(`/api/parcels?${filter}`)).body.data.length, count, filter);
    for (const filter of ["weight=9007199254740993", "weight=1e400", "count=9007199254740993"])
      assertProblem(await api.get(`/api/parcels?${filter}`), 400, "malformed-request");
  });

  it("on a text counts its characters as code points", async () => {
    assertProblem(await api.get("/api/parcels?nick=😀"), 400, "malformed-request");
    assert.equal((await api.get(`/api/parcels?nick=${"😀".repeat(10)}`)).status, 200);
    assertProblem(await api.get(`/api/parcels?nick=${"😀".repeat(11)}`), 400, "malformed-request");
  });
});
