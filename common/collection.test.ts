import assert from "node:assert/strict";
import { test } from "node:test";
import { z } from "zod";
import { dateTime, defineCollection, text } from "./collection.ts";

const define = (schema: z.ZodType, example: unknown, name = "age") =>
  defineCollection({ name: "cats", fields: { [name]: schema }, example: { [name]: example } });

const JSON_TYPES =
  "must have one of JSON's types: string, integer, number, boolean, array, object.";
const TRANSFORM = /^Collection "cats", field "age": must not change its value when it is checked/;

test("a schema whose value changes when it is checked again is refused with the field's name", () => {
  const number = z.codec(z.string(), z.number(), { decode: Number, encode: String });
  const cases: [z.ZodType, unknown][] = [
    [z.string().transform(Number), "5"],
    [z.string().transform(Number).optional(), undefined],
    [z.string().transform((value) => `${value}!`), "a"],
    [z.array(z.string().transform(Number)), []],
    [z.object({ inner: z.string().transform(Number).optional() }), {}],
    [number, "5"],
    [z.array(number).optional(), undefined],
    [z.stringbool().optional(), undefined],
    [z.string().overwrite((value) => `${value}!`), "a"],
    [z.preprocess((value) => Number(value) + 1, z.number()), 1],
  ];
  for (const [schema, example] of cases)
    assert.throws(() => define(schema, example), { message: TRANSFORM }, JSON.stringify(example));
});

test("a schema that normalises its value is taken", () => {
  for (const [schema, example] of [
    [text({ max: 5 }), "a"],
    [dateTime(), "2026-03-01T09:30:00+01:00"],
    [z.string().trim().toLowerCase(), " A "],
    [z.int().default(3), undefined],
    [z.string().optional(), undefined],
    [z.coerce.number(), "5"],
    [z.array(z.enum(["a", "b"])).max(3), ["a"]],
    [z.object({ inner: z.boolean() }), { inner: true }],
    [z.lazy(() => z.string()), "a"],
  ] as const)
    assert.equal(define(schema, example).fields[0]?.name, "age");
});

test("a wrong declaration is refused with the names of its collection and field", () => {
  const place = 'Collection "cats", field "age":';
  const name = "the name is reserved or is not of the form /^[a-z][a-zA-Z0-9]{0,47}$/.";
  const cases: [() => unknown, string][] = [
    [() => define(z.date(), new Date()), `${place} ${JSON_TYPES}`],
    [() => define(z.any(), 1), `${place} ${JSON_TYPES}`],
    [() => define(z.string().nullable(), null), `${place} must have one type, not null.`],
    [() => define(z.string(), "a", "createdAt"), `Collection "cats", field "createdAt": ${name}`],
    [
      () => define(z.string(), 5),
      'Collection "cats": the example is not valid: age must be of type string, not number.',
    ],
    [
      () => defineCollection({ name: "writes", fields: {}, example: {} }),
      `Collection "writes": ${name}`,
    ],
    [
      () =>
        defineCollection({
          name: "cats",
          fields: { age: z.array(z.int()) },
          filters: ["age"],
          example: { age: [] },
        }),
      `${place} cannot be filtered on.`,
    ],
  ];
  for (const [declare, message] of cases) assert.throws(declare, { message });
});
