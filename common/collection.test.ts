import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { z } from "zod";
import { checkItem, dateTime, defineCollection, isTooDeep, text } from "./collection.ts";
import { ITEM_DEPTH } from "./limits.ts";

const define = (schema: z.ZodType, example: unknown, name = "age") =>
  defineCollection({ name: "cats", fields: { [name]: schema }, example: { [name]: example } });

const RESERVED_TABLES = ["writes", "deadLetters", "migrations", "migrationsLock"];
const RESERVED_FIELDS = [
  ...["id", "version", "createdAt", "updatedAt", "appliedAt", "deletedAt", "fingerprint", "trace"],
  ...["createdItem", "limit", "cursor", "order", "after"],
];
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
    [
      () =>
        defineCollection({
          name: "cats",
          fields: { age: z.int() },
          filters: ["other" as "age"],
          example: { age: 1 },
        }),
      'Collection "cats", field "other": cannot be filtered on.',
    ],
    ...["Cats", "1", "", "a-b", "a".repeat(49), ...RESERVED_TABLES].map(
      (table): (typeof cases)[number] => [
        () => defineCollection({ name: table, fields: {}, example: {} }),
        `Collection "${table}": ${name}`,
      ],
    ),
    ...RESERVED_FIELDS.map((field): (typeof cases)[number] => [
      () => define(z.string(), "a", field),
      `Collection "cats", field "${field}": ${name}`,
    ]),
  ];
  for (const [declare, message] of cases) assert.throws(declare, { message });
});

test("a declaration names its fields, their columns and kinds, and those to filter on", () => {
  const fields = {
    name: text({ min: 1, max: 3 }),
    bornAt: dateTime().optional(),
    legs: z.int(),
    weight: z.number(),
    tame: z.boolean(),
    toys: z.array(z.string()),
    home: z.object({ city: z.string() }),
  };
  const example = { name: "x", legs: 4, weight: 3.5, tame: true, toys: [], home: { city: "y" } };
  const cats = defineCollection({ name: "cats", fields, filters: ["legs", "name"], example });
  assert.deepEqual(
    cats.fields.map(({ name, column, kind, required }) => [name, column, kind, required]),
    [
      ["name", "name", "text", true],
      ["bornAt", "born_at", "dateTime", false],
      ["legs", "legs", "integer", true],
      ["weight", "weight", "number", true],
      ["tame", "tame", "boolean", true],
      ["toys", "toys", "json", true],
      ["home", "home", "json", true],
    ],
  );
  assert.deepEqual(cats.filters, [cats.fields[2], cats.fields[0]]);
});

describe("an item", () => {
  const fields = {
    name: text({ min: 2, max: 3 }).optional(),
    letter: text({ min: 1, max: 1 }).optional(),
    bornAt: dateTime().optional(),
    legs: z.int().min(0).max(9).optional(),
    home: z.record(z.string(), z.unknown()).optional(),
  };
  const cats = defineCollection({ name: "cats", fields, example: {} });
  const nest = (levels: number): unknown => (levels === 0 ? "x" : [nest(levels - 1)]);
  const YEARS = "Must be in the years 1000 to 9999, to the millisecond at most.";
  const ZONE = "Must be an RFC 3339 date-time with a zone.";
  const NUL = "Must be well-formed Unicode without NUL characters.";

  const valid: [sent: Record<string, unknown>, stored?: Record<string, unknown>][] = [
    [{}],
    [{ name: "ab" }],
    [{ name: "abc" }],
    [{ name: "😀😀😀" }],
    [{ bornAt: "2026-03-01T09:30:00+01:00" }, { bornAt: "2026-03-01T08:30:00.000Z" }],
    [{ bornAt: "9999-12-31T23:59:59.999Z" }],
    [{ legs: 0 }],
    [{ legs: 9 }],
    [{ home: { a: nest(ITEM_DEPTH - 2) } }],
    [{ home: { "ñ/~": [null, true, "\u0001"] } }],
  ];
  for (const [sent, stored = sent] of valid)
    test(`is taken: ${JSON.stringify(sent).slice(0, 60)}`, () => {
      assert.deepEqual(checkItem(cats, sent), { ok: true, item: stored });
    });

  const invalid: [sent: unknown, ...errors: [pointer: string, detail: string][]][] = [
    [null, ["", "Must be a JSON object."]],
    ["x", ["", "Must be a JSON object."]],
    [[], ["", "Must be a JSON object."]],
    [{ name: "a" }, ["/name", "Must have at least 2 characters."]],
    [{ name: "abcd" }, ["/name", "Must have at most 3 characters."]],
    [{ name: "😀😀😀😀" }, ["/name", "Must have at most 3 characters."]],
    [{ letter: "" }, ["/letter", "Must have at least 1 character."]],
    [{ letter: "ab" }, ["/letter", "Must have at most 1 character."]],
    [{ bornAt: "2026-03-01" }, ["/bornAt", ZONE]],
    [{ bornAt: "0999-12-31T23:59:59Z" }, ["/bornAt", YEARS]],
    [{ bornAt: "2026-03-01T09:30:00.1234Z" }, ["/bornAt", YEARS]],
    [
      { bornAt: "1000-01-01T00:00:00+01:00" },
      ["/bornAt", "Must be in the years 1000 to 9999, in UTC too."],
    ],
    [{ legs: -1 }, ["/legs", "Must be >=0."]],
    [{ legs: 10 }, ["/legs", "Must be <=9."]],
    [{ legs: "4" }, ["/legs", "Must be of type number, not string."]],
    [{ "a/b~c": 1 }, ["/a~1b~0c", "Is not a field of this collection."]],
    [
      { x: 1, y: 2 },
      ["/x", "Is not a field of this collection."],
      ["/y", "Is not a field of this collection."],
    ],
    [{ ["k".repeat(200)]: 1 }, [`/${"k".repeat(100)}`, "Is not a field of this collection."]],
    [{ name: "a\0" }, ["/name", NUL]],
    [{ home: { a: ["x", "\ud800"] } }, ["/home/a/1", NUL]],
    [{ home: { "a/\0": 1 } }, ["/home", NUL]],
    [
      { home: nest(ITEM_DEPTH), legs: 1 },
      ["/home", `Must be nested at most ${ITEM_DEPTH - 1} levels deep.`],
    ],
  ];
  for (const [sent, ...errors] of invalid)
    test(`is refused: ${JSON.stringify(sent).slice(0, 60)}`, () => {
      const checked = checkItem(cats, sent);
      assert.ok(!checked.ok);
      assert.deepEqual(
        checked.errors.map(({ pointer, detail }) => [pointer, detail]),
        errors,
      );
    });

  test("lacks a field that is required", () => {
    const dogs = defineCollection({
      name: "dogs",
      fields: { name: z.string(), home: z.object({ city: z.string() }) },
      example: { name: "x", home: { city: "y" } },
    });
    assert.deepEqual(checkItem(dogs, { home: {} }), {
      ok: false,
      errors: [
        { pointer: "/name", detail: "Is required." },
        { pointer: "/home/city", detail: "Is required." },
      ],
      count: 2,
    });
  });

  test("is as deep as it may be, or too deep", () => {
    assert.equal(isTooDeep(nest(ITEM_DEPTH)), false);
    assert.equal(isTooDeep(nest(ITEM_DEPTH + 1)), true);
    for (const value of [null, 1, "x", [], {}, [null]]) assert.equal(isTooDeep(value, 1), false);
    assert.equal(isTooDeep([[]], 1), true);
  });
});
