import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { parse as parseLossless } from "lossless-json";
import { jsonText, stringToken } from "../test/support/json-texts.ts";
import { confusesEscapedKeys, isObject, parseJson, RepeatedKey } from "./json.ts";

const { document } = jsonText();

test("a key is right after a document with the key that V8 takes it for", () => {
  const cases: [first: string, then: string, keys: string[]][] = [
    ['{"h":[],"\\\\":0}', '{"h":1,"\\"":2}', ["h", '"']],
    ['{"k1":"0","a\\\\u":"1"}', '{"k1":"0","a\\u00f1o":"2026"}', ["k1", "año"]],
    ['{"id":"zz","\\\\u006e":1}', '{"id":"zz","\\u006eombre":"v"}', ["id", "nombre"]],
    ['{"x":0,"ab\\\\":1}', '{"x":0,"ab\\n":1}', ["x", "ab\n"]],
  ];
  for (const [first, then, keys] of cases) {
    parseJson(first);
    JSON.parse(first);
    assert.deepEqual(Object.keys(parseJson(then) as object), keys);
  }
});

test("the self-check agrees with what JSON.parse of this Node does", () => {
  JSON.parse('{"self":[],"\\\\":0}');
  const [, key] = Object.keys(JSON.parse('{"self":1,"\\"":2}'));
  assert.equal(confusesEscapedKeys(), key !== '"');
  assert.equal(confusesEscapedKeys(), key !== '"');
});

test("documents of escaped keys, parsed one after the other, are what an independent parser reads", () => {
  let runs = 0;
  const keyToken = stringToken(fc.constantFrom(...'\\"u0nañ\n'), { minLength: 1, maxLength: 3 });
  fc.assert(
    fc.property(fc.array(keyToken, { minLength: 2, maxLength: 4 }), (keys) => {
      // V8 takes a key for another one only where a single key has followed the keys before it.
      runs += 1;
      for (const key of keys) {
        const text = `{"run ${runs}":[],${key}:"1"}`;
        assert.deepEqual(parseJson(text), parseLossless(text));
      }
    }),
    { numRuns: 500 },
  );
});

test("any document is what an independent parser reads", () => {
  fc.assert(
    fc.property(fc.array(document, { minLength: 2, maxLength: 8 }), (texts) => {
      for (const text of texts)
        assert.deepEqual(parseJson(text), parseLossless(text, null, Number));
    }),
    { numRuns: 1_000 },
  );
});

test("a repeated key is marked wherever it is, however it is written, and written as the last one", () => {
  const repeated: [text: string, path: string[], written: string][] = [
    ['{"a":1,"a":2}', ["a"], '{"a":2}'],
    ['{"a":1,"a":1}', ["a"], '{"a":1}'],
    ['{"a" :1,"a":2}', ["a"], '{"a":2}'],
    ['{"a":1,"a"\n:2}', ["a"], '{"a":2}'],
    ['{"a":":","a":":"}', ["a"], '{"a":":"}'],
    ['{"a":1,"\\u0061":2}', ["a"], '{"a":2}'],
    ['{"a":[],"a":{}}', ["a"], '{"a":{}}'],
    ['{"a":{},"a":{"b":1}}', ["a"], '{"a":{"b":1}}'],
    ['{"a":1,"a":2,"a":3}', ["a"], '{"a":3}'],
    ['{"":1,"":2}', [""], '{"":2}'],
    ['{"__proto__":1,"__proto__":2}', ["__proto__"], '{"__proto__":2}'],
    ['[{"a":1},{"a":[{"b":1,"b":2}]}]', ["1", "a", "0", "b"], '[{"a":1},{"a":[{"b":2}]}]'],
  ];
  // Not by JSON.parse, which the documents of the tests before may have confused.
  for (const [text, path, written] of repeated) {
    const value = path.reduce<unknown>(
      (part, key) => (part as object)[key as never],
      parseJson(text),
    );
    assert.ok(value instanceof RepeatedKey, text);
    assert.equal(JSON.stringify(parseJson(text)), written);
  }
  assert.deepEqual(parseJson('[{"a":1},{"a":1}]'), [{ a: 1 }, { a: 1 }]);
});

test("a number that a double does not keep is written again as it was", () => {
  for (const text of ["9007199254740993", "1e400", "-1E-400", "0.12345678901234567890"]) {
    const value = parseJson(`{"a":[${text}]}`);
    assert.equal(JSON.stringify(value), `{"a":[${text}]}`);
    assert.ok(JSON.isRawJSON((value as { a: unknown[] }).a[0]));
    assert.equal(isObject(parseJson(text)), false);
  }
  fc.assert(
    fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), (value) => {
      assert.deepEqual(parseJson(`[${value}]`), JSON.parse(`[${value}]`));
    }),
  );
});

test("an object is neither null, an array, a scalar, nor a number that a double does not keep", () => {
  for (const text of ["{}", '{"a":1}']) assert.ok(isObject(parseJson(text)), text);
  const { repeated } = parseJson('{"repeated":{},"repeated":{}}') as Record<string, unknown>;
  for (const value of ["null", "[]", '"x"', "1", "true", "1e400"].map(parseJson).concat([repeated]))
    assert.equal(isObject(value), false, JSON.stringify(value));
});

test("__proto__ is a key like any other", () => {
  for (const text of ['{"__proto__":{"a":1}}', '{"\\u005f_proto__":{"a":1}}']) {
    const value = parseJson(text) as Record<string, unknown>;
    assert.deepEqual(Object.keys(value), ["__proto__"]);
    assert.equal(JSON.stringify(value), '{"__proto__":{"a":1}}');
    assert.equal(Object.getPrototypeOf(value), Object.prototype);
  }
});

test("what is not JSON is refused as by JSON.parse", () => {
  const broken = fc
    .tuple(document, fc.nat(), fc.string({ unit: "binary", maxLength: 1 }))
    .map(([text, index, more]) => {
      const at = index % (text.length + 1);
      return `${text.slice(0, at)}${more}${text.slice(at + (index % 2))}`;
    });
  fc.assert(
    fc.property(fc.oneof(broken, fc.string({ unit: "binary" })), (text) => {
      const outcome = (parse: (text: string) => unknown) => {
        try {
          parse(text);
          return "parsed";
        } catch (error) {
          return String(error);
        }
      };
      assert.equal(outcome(parseJson), outcome(JSON.parse));
    }),
    { numRuns: 1_000 },
  );
});

test("a text of any depth is parsed, and of what is deeper than any item a part is left", () => {
  for (const depth of [32, 33, 34, 35, 40, 100_000]) {
    const text = `[{"a":1,"a":2},${"[".repeat(depth)}"\\n"${"]".repeat(depth)},{"b":1}]`;
    const [first, deep, last] = parseJson(text) as [{ a: unknown }, unknown, unknown];
    assert.ok(first.a instanceof RepeatedKey);
    assert.deepEqual(last, { b: 1 });
    let levels = 0;
    let part = deep;
    for (; Array.isArray(part); part = part[0]) levels += 1;
    assert.equal(levels, Math.min(depth, 33));
    assert.equal(part, depth <= 33 ? "\n" : undefined);
  }
});
