import assert from "node:assert/strict";
import { test } from "node:test";
import { z } from "zod";
import { type Collection, defineCollection, text } from "./collection.ts";
import { checkItem, type FieldError } from "./item-check.ts";
import { parseJson } from "./json.ts";
import { ITEM_DEPTH, JSON_KEY_BYTES } from "./limits.ts";

const orders = defineCollection({
  name: "orders",
  fields: {
    note: text({ max: 5 }).optional(),
    status: z.enum(["open", "paid"]).optional(),
    count: z.int().optional(),
    weight: z.number().optional(),
    address: z.object({ street: z.string(), floor: z.int().optional() }).optional(),
    lines: z.array(z.object({ sku: z.string() })).optional(),
    labels: z.record(z.string(), z.unknown()).optional(),
    extra: z.looseObject({}).optional(),
  },
  example: {},
});

const check = (json: string, collection: Collection = orders) =>
  checkItem(collection, parseJson(json));
const errorsOf = (json: string, collection?: Collection): FieldError[] => {
  const checked = check(json, collection);
  assert.ok(!checked.ok, json);
  return checked.errors;
};

test("what would not be kept as it was sent is refused with a pointer", () => {
  const number = (value: number) => `Cannot be kept exactly: it would become ${value}.`;
  const unknown = "Is not a field of this object.";
  const text = "Must be well-formed Unicode without NUL characters.";
  const cases: [json: string, pointer: string, detail: string][] = [
    ['{"labels":{"x":1e400}}', "/labels/x", number(Number.POSITIVE_INFINITY)],
    ['{"extra":{"x":[{"y":-1e400}]}}', "/extra/x/0/y", number(Number.NEGATIVE_INFINITY)],
    ['{"labels":{"x":9007199254740993}}', "/labels/x", number(9007199254740992)],
    ['{"weight":9007199254740993}', "/weight", number(9007199254740992)],
    ['{"weight":0.12345678901234567890}', "/weight", number(0.12345678901234568)],
    ['{"count":1.00000000000000000001}', "/count", number(1)],
    ['{"labels":{"__proto__":{"a":1}}}', "/labels/__proto__", "Is not a key that can be stored."],
    ['{"extra":{"a":{"__proto__":1}}}', "/extra/a/__proto__", "Is not a key that can be stored."],
    ['{"extra":{"\\u005f_proto__":1}}', "/extra/__proto__", "Is not a key that can be stored."],
    ['{"address":{"street":"x","city":"y"}}', "/address/city", unknown],
    ['{"lines":[{"sku":"x"},{"sku":"y","a/b~":1}]}', "/lines/1/a~1b~0", unknown],
    ['{"note":"a","note":"b"}', "/note", "Is given more than once."],
    ['{"note":"a","note":"a"}', "/note", "Is given more than once."],
    ['{"note":"a","n\\u006fte":"b"}', "/note", "Is given more than once."],
    ['{"labels":{"a":{"b":1,"b":2}}}', "/labels/a/b", "Is given more than once."],
    ['{"lines":[{"sku":"x","sku":"y"}]}', "/lines/0/sku", "Is given more than once."],
    ['{"labels":{"x":"\\ud800"}}', "/labels/x", text],
    ['{"labels":{"x":["a\\u0000"]}}', "/labels/x/0", text],
    ['{"labels":{"\\udfff":1}}', "/labels", text],
  ];
  for (const [json, pointer, detail] of cases)
    assert.deepEqual(errorsOf(json), [{ pointer, detail }], json);
  const key = "é".repeat((JSON_KEY_BYTES + 1) / 2);
  assert.deepEqual(errorsOf(`{"labels":{"${key}":1}}`), [
    { pointer: "/labels", detail: `Must have keys of at most ${JSON_KEY_BYTES} bytes.` },
  ]);
});

test("all faults of an item are told, each once", () => {
  const errors = errorsOf('{"note":"a","note":1,"status":"x","weight":1e400,"more":1,"more":2}');
  assert.deepEqual(
    errors.map(({ pointer }) => pointer),
    ["/note", "/weight", "/more", "/status"],
  );
});

test("a body that another reader has parsed is refused too where it has a number that JSON has not", () => {
  for (const value of [Number.POSITIVE_INFINITY, Number.NaN]) {
    const checked = checkItem(orders, { labels: { x: value } });
    assert.deepEqual(!checked.ok && checked.errors.map(({ pointer }) => pointer), ["/labels/x"]);
  }
});

test("what a double and MySQL keep is taken as it was sent", () => {
  for (const json of [
    '{"weight":0.1,"count":9007199254740991}',
    '{"labels":{"x":9007199254740992,"y":1e300,"z":5e-324,"a\\"b\\\\c\\n":"\\u00f1"}}',
    '{"labels":{"":"","toString":1,"constructor":{"prototype":1}}}',
    '{"address":{"street":"x","floor":3},"lines":[{"sku":"a"},{"sku":"b"}]}',
    `{"labels":{"${"k".repeat(JSON_KEY_BYTES)}":1}}`,
  ]) {
    const checked = check(json);
    assert.deepEqual(checked.ok && checked.item, JSON.parse(json), json);
  }
});

test("an item is as deep as it may be, and no deeper", () => {
  const nest = (levels: number) => `{"labels":{"a":${"[".repeat(levels)}${"]".repeat(levels)}}}`;
  assert.ok(check(nest(ITEM_DEPTH - 2)).ok);
  for (const levels of [ITEM_DEPTH - 1, 100, 100_000])
    for (const json of [nest(levels), nest(levels).replace('"a"', '"\\u0061"')])
      assert.deepEqual(errorsOf(json), [
        { pointer: "/labels", detail: `Must be nested at most ${ITEM_DEPTH - 1} levels deep.` },
      ]);
});

test("a missing field of any kind is required, and a custom check has its own words", () => {
  const all = defineCollection({
    name: "all",
    fields: {
      text: text({ max: 5 }),
      status: z.enum(["open", "paid"]),
      literal: z.literal("x"),
      count: z.int(),
      either: z.object({ a: z.union([z.literal(1), z.literal(2)]), b: z.enum(["c"]) }),
      pair: z
        .object({ a: z.int().optional(), b: z.int().optional() })
        .superRefine((value, context) => {
          if ("a" in value !== "b" in value)
            context.addIssue({ code: "custom", path: ["b"], message: "Comes with a." });
        }),
    },
    example: {
      text: "x",
      status: "open",
      literal: "x",
      count: 1,
      either: { a: 1, b: "c" },
      pair: {},
    },
  });
  const required = (pointer: string) => ({ pointer, detail: "Is required." });
  assert.deepEqual(errorsOf('{"either":{},"pair":{"a":1}}', all), [
    required("/text"),
    required("/status"),
    required("/literal"),
    required("/count"),
    required("/either/a"),
    required("/either/b"),
    { pointer: "/pair/b", detail: "Comes with a." },
  ]);
  const [wrong] = errorsOf('{"status":"x"}');
  assert.deepEqual(wrong, { pointer: "/status", detail: 'Must be one of "open"|"paid".' });
});

test("a pointer cuts long keys between characters", () => {
  const [error] = errorsOf(`{"x${"😀".repeat(200)}":1}`);
  assert.equal(error?.pointer, `/x${"😀".repeat(99)}`);
});

test("a field cannot have the name of what every object has", () => {
  for (const name of ["toString", "constructor", "valueOf", "hasOwnProperty"])
    assert.throws(
      () => defineCollection({ name: "x", fields: { [name]: z.string().optional() }, example: {} }),
      /name/,
      name,
    );
});

test("a schema may leave out elements of an array, but not keys of an object in it", () => {
  const unique = z
    .array(z.object({ sku: z.string() }))
    .overwrite((lines) => [...new Map(lines.map((line) => [line.sku, line])).values()]);
  const parts = defineCollection({
    name: "parts",
    fields: { lines: unique },
    example: { lines: [] },
  });
  const checked = check('{"lines":[{"sku":"a"},{"sku":"a"}]}', parts);
  assert.deepEqual(checked, { ok: true, item: { lines: [{ sku: "a" }] } });
  assert.deepEqual(errorsOf('{"lines":[{"sku":"a","more":1},{"sku":"a"}]}', parts), [
    { pointer: "/lines/0/more", detail: "Is not a field of this object." },
  ]);
});
