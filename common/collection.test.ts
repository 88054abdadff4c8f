import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { z } from "zod";
import { assertDistinctNames, dateTime, defineCollection, text } from "./collection.ts";

const define = (schema: z.ZodType, example: unknown, name = "age") =>
  defineCollection({ name: "cats", fields: { [name]: schema }, example: { [name]: example } });

const RESERVED_TABLES = ["writes", "deadLetters", "migrations", "migrationsLock"];
const RESERVED_FIELDS = [
  ...["id", "version", "createdAt", "updatedAt", "appliedAt", "deletedAt", "fingerprint", "trace"],
  ...["createdItem", "versionPublishedAt", "limit", "cursor", "order", "after"],
];
const JSON_TYPES =
  "must have one of JSON's types: string, integer, number, boolean, array, object.";
const TRANSFORM =
  'Collection "cats", field "age": must not change its value when it is checked again: the API' +
  " checks an item, and the subscriber checks what the API has published. Remove the transform, or" +
  " use overwrite().";

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
  ];
  for (const [schema, example] of cases)
    assert.throws(() => define(schema, example), { message: TRANSFORM }, JSON.stringify(example));
});

test("a schema that takes one type for another, or a wrong value for its default, is refused", () => {
  const cases: [z.ZodType, unknown][] = [
    [z.coerce.number(), 5],
    [z.coerce.string().optional(), undefined],
    [z.string().pipe(z.coerce.number()), "5"],
    [z.array(z.object({ inner: z.coerce.boolean() })), []],
    [z.record(z.string(), z.union([z.coerce.number(), z.string()])), {}],
    [z.int().catch(0), 5],
    [z.object({ inner: z.int().catch(0).optional() }), {}],
    [z.preprocess(String, z.string()), "a"],
    [z.array(z.preprocess(Number, z.number())), []],
  ];
  const message =
    'Collection "cats", field "age": must not take one type for another, or a wrong value for its' +
    " default: what is stored is what was sent. Remove coerce, catch() or preprocess().";
  for (const [schema, example] of cases)
    assert.throws(() => define(schema, example), { message }, JSON.stringify(example));
});

test("a schema of times that cannot be stored is refused", () => {
  const message = 'Collection "cats", field "age": must be declared with dateTime().';
  const time = "2026-03-01T09:30:00Z";
  for (const schema of [
    z.iso.datetime(),
    z.iso.datetime({ precision: 6 }),
    z.iso.datetime({ offset: true }).optional(),
    ...[0, 3, 4, 5, 6, 7, 8, 9].map((precision) => z.iso.datetime({ precision })),
  ])
    assert.throws(() => define(schema, undefined), { message });
  assert.equal(
    define(
      z.iso.datetime({ precision: 3 }).refine((value) => value > "1000"),
      "2026-03-01T09:30:00.000Z",
    ).fields[0]?.kind,
    "dateTime",
  );
  assert.equal(define(dateTime(), time).fields[0]?.kind, "dateTime");
});

test("the names of a feed's columns are reserved where there is one", () => {
  for (const field of ["position", "createdPosition"]) {
    const declare = (feed: boolean) =>
      defineCollection({
        name: "cats",
        fields: { [field]: z.int() },
        feed,
        example: { [field]: 1 },
      });
    assert.equal(declare(false).fields[0]?.name, field);
    assert.throws(() => declare(true), {
      message: `Collection "cats", field "${field}": the name is reserved where there is a feed.`,
    });
  }
});

test("a schema that normalises its value is taken", () => {
  for (const [schema, example] of [
    [text({ max: 5 }), "a"],
    [dateTime(), "2026-03-01T09:30:00+01:00"],
    [z.string().trim().toLowerCase(), " A "],
    [z.int().default(3), undefined],
    [z.string().optional(), undefined],
    [z.array(z.enum(["a", "b"])).max(3), ["a"]],
    [z.object({ inner: z.boolean() }), { inner: true }],
    [z.lazy(() => z.string()), "a"],
  ] as const)
    assert.equal(define(schema, example).fields[0]?.name, "age");
});

test("a wrong declaration is refused with the names of its collection and field", () => {
  const place = 'Collection "cats", field "age":';
  const form =
    "the name must be of the form /^[a-z][a-zA-Z0-9]{0,47}$/: in camelCase, of at most 48 characters.";
  const cases: [() => unknown, string | RegExp][] = [
    [() => define(z.date(), new Date()), `${place} ${JSON_TYPES}`],
    [() => define(z.any(), 1), `${place} ${JSON_TYPES}`],
    [() => define(z.string().nullable(), null), `${place} must not be null; it may be optional().`],
    [
      () => define(z.union([z.string(), z.number()]), 1),
      `${place} must have one type, not one of several.`,
    ],
    [
      () => define(z.string(), "a", "createdAt"),
      'Collection "cats", field "createdAt": the name is reserved, as these are: id, version, createdAt,' +
        " updatedAt, appliedAt, deletedAt, fingerprint, trace, createdItem, versionPublishedAt, limit," +
        " cursor, order, after, and what every object has.",
    ],
    [() => define(z.string(), "a", "created_at"), `Collection "cats", field "created_at": ${form}`],
    [
      () => defineCollection({ name: "cats", fields: {}, example: {}, ...{ feeds: true } }),
      'Collection "cats": feeds is none of what it may declare: name, fields, filters, feed,' +
        " example, owner, reads, expires.",
    ],
    [
      () => define(z.string(), 5),
      'Collection "cats": the example is not valid: age must be of type string, not number.',
    ],
    [
      () => defineCollection({ name: "writes", fields: {}, example: {} }),
      'Collection "writes": the name is reserved, as these are: announcements, changes, deadletters,' +
        " feeds, migrations, migrationslock, receipts, sweeps, waiting, writes, and what every object has.",
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
        RESERVED_TABLES.includes(table)
          ? new RegExp(`^Collection "${table}": the name is reserved, as these are: .*\\bwrites\\b`)
          : `Collection "${table}": ${form}`,
      ],
    ),
    ...RESERVED_FIELDS.map((field): (typeof cases)[number] => [
      () => define(z.string(), "a", field),
      new RegExp(`^Collection "cats", field "${field}": the name is reserved, as these are: id, `),
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
  assert.equal(cats.schemaNumber, 1);
  assert.equal(cats.feed, false);
});

test("a feed that only owners read cannot be of items that expire", () => {
  const parts = {
    name: "holds",
    fields: { until: dateTime().optional() },
    example: {},
    owner: "user",
    expires: { field: "until", most: "PT5M" },
    feed: true,
  } as const;
  assert.throws(() => defineCollection({ ...parts, reads: "owner" }), {
    message: 'Collection "holds": a feed that only owners read cannot be of items that expire.',
  });
  assert.equal(defineCollection(parts).feed, true);
});

const defineNamed = (name: string) =>
  defineCollection({ name, fields: { title: text({ max: 50 }) }, example: { title: "x" } });

describe("the name of a collection", () => {
  test("is none of a table or a route of our own, nor one that every object has", () => {
    for (const name of [
      "writes",
      "migrations",
      "receipts",
      "changes",
      "feeds",
      "sweeps",
      "waiting",
      "announcements",
      "constructor",
      "toString",
      "hasOwnProperty",
    ])
      assert.throws(() => defineNamed(name), /is reserved/, name);
    for (const name of ["", "Orders", "dead_letters", "a-b", "__proto__", "x".repeat(49)])
      assert.throws(() => defineNamed(name), /of the form/, name);
  });

  test("may be a word that SQL reserves, or that the OpenAPI document uses", () => {
    for (const name of ["order", "group", "select", "results", "problem", "item", "x".repeat(48)])
      assert.equal(defineNamed(name).name, name);
  });

  test("is of one collection only, in any case", () => {
    assertDistinctNames([defineNamed("orders"), defineNamed("order")]);
    for (const other of ["orders", "oRDERS"])
      assert.throws(
        () => assertDistinctNames([defineNamed("orders"), defineNamed(other)]),
        /two collections/,
      );
  });
});

describe("the owner of a collection", () => {
  const defineOwned = (owner: string, more: { field?: string; reads?: "owner" } = {}) =>
    defineCollection({
      name: "cats",
      owner,
      fields: { [more.field ?? "title"]: text({ max: 50 }) },
      example: { [more.field ?? "title"]: "x" },
      ...(more.reads && { reads: more.reads }),
    });

  test("is a field that need not be sent, in a column of its own", () => {
    const cats = defineOwned("user");
    const owner = cats.fields.at(-1);
    assert.deepEqual([cats.owner, owner?.name, owner?.column], ["user", "user", "owner"]);
    assert.equal(owner?.required, false);
    for (const user of [undefined, "key:ana", "!".repeat(255)])
      assert.ok(cats.schema.safeParse({ title: "x", user }).success);
    for (const user of ["", "a b", "ñ", "x".repeat(256), null, 1])
      assert.ok(!cats.schema.safeParse({ title: "x", user }).success, String(user));
    const { error } = cats.schema.safeParse({ title: "x", user: "a b" });
    assert.equal(error?.issues[0]?.message, "Must have 1 to 255 visible ASCII characters.");
  });

  test("is none of the other fields, and no reserved name", () => {
    assert.equal(defineOwned("owner").fields.at(-1)?.column, "owner");
    assert.throws(() => defineOwned("title"), /"title": is the owner, and is not declared/);
    assert.throws(() => defineOwned("user", { field: "owner" }), /"owner": would have the owner/);
    assert.throws(() => defineOwned("version"), /is reserved/);
  });

  test("is there where only owners read", () => {
    assert.equal(defineOwned("user", { reads: "owner" }).reads, "owner");
    const declaration = { name: "cats", fields: {}, example: {}, reads: "owner" as const };
    assert.throws(() => defineCollection(declaration), /needs an owner/);
  });
});

describe("a collection whose items expire", () => {
  const fields = {
    title: text({ max: 50 }),
    heldUntil: dateTime().optional(),
    startsAt: dateTime(),
    remindAt: dateTime().default("2026-03-01T09:30:00.000Z"),
  };
  const declare = (field: string, most: string) =>
    defineCollection({
      name: "seats",
      fields,
      expires: { field: field as "title", most },
      example: { title: "x", startsAt: "2026-03-01T09:30:00Z" },
    });

  test("names its field, and how far ahead it may be, in milliseconds", () => {
    const { expires, fields: declared } = declare("heldUntil", "PT1H30M");
    assert.deepEqual(expires, { field: declared[1], most: "PT1H30M", mostMs: 5_400_000 });
    assert.equal(defineNamed("seats").expires, undefined);
  });

  test("expires by a date-time that may be left out", () => {
    for (const field of ["title", "startsAt", "remindAt", "none"])
      assert.throws(() => declare(field, "PT5M"), {
        message:
          `Collection "seats", field "${field}": an item can expire only by a dateTime() that is` +
          " optional() and has no default.",
      });
  });

  test("has a bound of a second to 366 days", () => {
    for (const most of ["PT1S", "P366D"]) assert.ok(declare("heldUntil", most).expires, most);
    for (const most of ["PT0S", "P367D", "P1Y", "5 minutes", ""])
      assert.throws(() => declare("heldUntil", most), {
        message:
          'Collection "seats", field "heldUntil": the most that an expiry may be ahead must be a' +
          ` duration such as PT5M, of a second to 366 days, not "${most}".`,
      });
  });
});
