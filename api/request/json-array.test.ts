import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import { isArrayText, splitArray } from "./json-array.ts";

/** The array's value, or undefined where one of its parts is not valid JSON. */
function parseParts(text: string): unknown[] | undefined {
  try {
    return [...splitArray(text)].map((part) => JSON.parse(part));
  } catch {
    return undefined;
  }
}

function parseWhole(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

test("the parts of an array are its elements, however it is written", () => {
  const space = fc.stringMatching(/^[ \t\r\n]{0,2}$/);
  fc.assert(
    fc.property(fc.array(fc.jsonValue()), fc.nat(3), space, (value, indent, around) => {
      const text = around + JSON.stringify(value, undefined, indent) + around;
      assert.ok(isArrayText(text));
      assert.deepEqual(parseParts(text), JSON.parse(text));
    }),
    { numRuns: 2_000 },
  );
});

test("only a text that begins with a bracket is an array's", () => {
  for (const text of ["[", " \t\r\n[1]"]) assert.ok(isArrayText(text));
  for (const text of ["", '{"a":[]}', '"["', "\u00a0[]"]) assert.ok(!isArrayText(text));
});

test("what is no array in JSON has a part that is not JSON", () => {
  const characters = fc.constantFrom(...'[]{},:"\\ 1a\n');
  fc.assert(
    fc.property(fc.array(characters, { maxLength: 12 }), (rest) => {
      const text = `[${rest.join("")}`;
      assert.deepEqual(parseParts(text), parseWhole(text));
    }),
    { numRuns: 20_000 },
  );
  for (const text of ["[", "[1", "[1]]", "[1],", "[,]", "[1,]", '["]', '["\\"]', "[1}", "[{]}"])
    assert.equal(parseParts(text), undefined, text);
  assert.deepEqual([...splitArray("[1")], ["1", ""]);
});
