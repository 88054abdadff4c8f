import assert from "node:assert/strict";
import { test } from "node:test";
import type { Sent } from "../support/raw-http.ts";
import { judgeKept } from "./kept.ts";

const send = (plain: string, type = "application/json"): Sent => ({
  method: "POST",
  target: "/api/parcels",
  headers: [["content-type", type]],
  body: plain,
  plain,
});
const answer = (status: number, results?: number[]) => ({
  status,
  headers: {},
  text: results ? JSON.stringify({ results: results.map((one) => ({ status: one })) }) : "",
});

test("an accepted record that loses something is a fault, and a refused one is not", () => {
  const lost = [
    '{"a":null,"a":1}',
    '{"a":1,"\\u0061":2}',
    '{"a":{"__proto__":1}}',
    '{"a":[1e999]}',
  ];
  for (const record of lost) {
    assert.equal(judgeKept(send(record), answer(202)).length, 1, record);
    assert.equal(judgeKept(send(record), answer(422)).length, 0, record);
    const body = `[{},${record}]`;
    assert.equal(judgeKept(send(body), answer(202)).length, 1, record);
    assert.equal(judgeKept(send(body), answer(207, [202, 202])).length, 1, record);
    assert.equal(judgeKept(send(body), answer(207, [202, 422])).length, 0, record);
    const lines = send(`{}\n\n${record}\n`, "application/x-ndjson");
    assert.equal(judgeKept(lines, answer(207, [202, 202])).length, 1, record);
    assert.equal(judgeKept(lines, answer(207, [202, 422])).length, 0, record);
  }
  assert.equal(judgeKept(send('{"a":[1,{"a":9e99}]}'), answer(202)).length, 0);
});
