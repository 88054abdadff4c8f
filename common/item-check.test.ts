import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { z } from "zod";
import { dateTime, defineCollection, text } from "./collection.ts";
import { checkItem, formatErrors, isTooDeep } from "./item-check.ts";
import { ITEM_DEPTH, LISTED_ERRORS } from "./limits.ts";

describe("an item", () => {
  const fields = {
    name: text({ min: 2, max: 3 }).optional(),
    letter: text({ min: 1, max: 1 }).optional(),
    note: text({ max: 9 }).optional(),
    bornAt: dateTime().optional(),
    legs: z.int().min(0).max(9).optional(),
    home: z.record(z.string(), z.unknown()).optional(),
  };
  const cats = defineCollection({ name: "cats", fields, example: {} });
  const nest = (levels: number): unknown => (levels === 0 ? "x" : [nest(levels - 1)]);
  const YEARS = "Must be in the years 1000 to 9999, to the millisecond at most.";
  const ZONE = "Must be an RFC 3339 date-time with a zone.";
  const SAFE_INTEGER = "Must be a whole number between -9007199254740991 and 9007199254740991.";
  const NUL = "Must be well-formed Unicode without NUL characters.";

  const valid: [sent: Record<string, unknown>, stored?: Record<string, unknown>][] = [
    [{}],
    [{ name: "ab" }],
    [{ name: "abc" }],
    [{ name: "😀😀😀" }],
    [{ note: "" }],
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
    [{ bornAt: "soon" }, ["/bornAt", ZONE]],
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
    [{ id: "x" }, ["/id", "Is not a field of this collection; use PUT to choose an id."]],
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
      { home: nest(ITEM_DEPTH), legs: nest(ITEM_DEPTH - 1) },
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

  test("has an object with too much, too little or what cannot be stored", () => {
    const home = z.object({
      city: z.string(),
      size: z.strictObject({ rooms: z.int() }).optional(),
    });
    const dogs = defineCollection({
      name: "dogs",
      fields: {
        home,
        parts: z.object({ constructor: z.string() }).optional(),
      },
      example: { home: { city: "y" } },
    });
    const cases: [sent: unknown, ...errors: [pointer: string, detail: string][]][] = [
      [
        { home: { city: "a\0", zip: 1 } },
        ["/home/city", NUL],
        ["/home/zip", "Is not a field of this object."],
      ],
      [
        { home: { city: "y", size: { rooms: 1, doors: 2 } } },
        ["/home/size/doors", "Is not a field of this object."],
      ],
      [{ home: { city: "y" }, parts: {} }, ["/parts/constructor", "Is required."]],
    ];
    for (const [sent, ...errors] of cases) {
      const checked = checkItem(dogs, sent);
      assert.deepEqual(
        checked.ok ? [] : checked.errors.map(({ pointer, detail }) => [pointer, detail]),
        errors,
      );
    }
  });

  test("has more errors than are listed, all of which are counted", () => {
    const { problem: listed } = LISTED_ERRORS;
    const unknown = Object.fromEntries(Array.from({ length: listed + 5 }, (_, n) => [`x${n}`, n]));
    const cases: [sent: object, count: number, listed: number][] = [
      [unknown, listed + 5, listed],
      [{ ...unknown, legs: 10 }, listed + 6, listed],
      [{ ...unknown, home: "\0" }, listed + 6, listed],
      [{ name: "a\0", home: { a: "\0" } }, 2, 2],
    ];
    for (const [sent, count, length] of cases) {
      const checked = checkItem(cats, sent);
      assert.ok(!checked.ok);
      assert.deepEqual([checked.count, checked.errors.length], [count, length]);
    }
  });

  test("has errors in the words of a sentence", () => {
    const cases: [schema: z.ZodType, value: unknown, detail: string][] = [
      [z.string(), 5, "Must be of type string, not number."],
      [z.enum(["a", "b"]), "c", 'Must be one of "a"|"b".'],
      [z.literal("a"), "b", 'Must be "a".'],
      [z.string().max(2), "abc", "Must have <=2 characters."],
      [z.array(z.int()).min(1), [], "Must have >=1 items."],
      [z.number().min(0.5), 0, "Must be >=0.5."],
      [z.number().multipleOf(0.5), 0.2, "Must be a multiple of 0.5."],
      [z.string().startsWith("a"), "b", 'Must start with "a".'],
      [z.email(), "b", "Must be a valid email address."],
      [z.union([z.string(), z.boolean()]), 5, "Is not valid."],
      [z.int(), 2 ** 53, SAFE_INTEGER],
      [z.int(), -(2 ** 53), SAFE_INTEGER],
      [z.int().max(9), 10, "Must be <=9."],
      [z.int(), 1.5, "Must be a whole number."],
      [z.int(), "1", "Must be of type number, not string."],
      [z.int32(), 2 ** 31, "Must be <=2147483647."],
      [z.string().refine(() => false), "b", "Is not valid."],
      [z.string().refine(() => false, { error: "Invalid code" }), "b", "Invalid code."],
      [z.string().refine(() => false, { error: "is not it" }), "b", "Is not it."],
    ];
    for (const [schema, value, detail] of cases) {
      const checked = checkItem({ schema: z.strictObject({ part: schema }) }, { part: value });
      assert.deepEqual(checked.ok ? [] : checked.errors, [{ pointer: "/part", detail }]);
    }
  });

  test("has errors in the words of a sentence about a part of it", () => {
    const kinds = z.discriminatedUnion("kind", [
      z.object({ kind: z.literal("a") }),
      z.object({ kind: z.literal("b") }),
    ]);
    const cases: [schema: z.ZodType, value: unknown, pointer: string, detail: string][] = [
      [z.record(z.string().max(1), z.string()), { ab: "x" }, "/part/ab", "Is not a valid key."],
      [kinds, { kind: "c" }, "/part/kind", "Must be one of 'a' | 'b'."],
      [z.array(z.int()), [1.5], "/part/0", "Must be a whole number."],
    ];
    for (const [schema, value, pointer, detail] of cases) {
      const checked = checkItem({ schema: z.strictObject({ part: schema }) }, { part: value });
      assert.deepEqual(checked.ok ? [] : checked.errors, [{ pointer, detail }]);
    }
  });

  test("has errors in the collection's own words, which stay as they are", () => {
    const words = [
      "Also: Invalid input",
      "Also: Invalid input: expected int, received number",
      "Also: Invalid input: expected string, received number",
      "Also: Invalid key in record",
      "Invalid key in record, and more",
      "Also: Invalid discriminator value. Expected 'a'",
      "Also: Invalid option: expected a",
      "Also: Invalid string: must be a",
      "Also: Too big: expected string to be a",
    ];
    const [first = ""] = words;
    const cases: [part: z.ZodType, error: string][] = [
      ...words.map((error): [z.ZodType, string] => [
        z.string().refine(() => false, { error }),
        error,
      ]),
      [z.email({ error: first }), first],
    ];
    for (const [part, error] of cases) {
      const checked = checkItem({ schema: z.strictObject({ part }) }, { part: "b" });
      const detail = `${error}.`;
      assert.deepEqual(checked.ok ? [] : checked.errors, [{ pointer: "/part", detail }]);
    }
  });

  test("lacks what has words of its own for that", () => {
    const word = z.custom((value) => value !== undefined, { error: "Needs a word." });
    const checked = checkItem({ schema: z.strictObject({ word }) }, {});
    assert.deepEqual(checked.ok ? [] : checked.errors, [
      { pointer: "/word", detail: "Needs a word." },
    ]);
  });

  test("has errors that are told in one sentence", () => {
    assert.equal(
      formatErrors([
        { pointer: "/legs", detail: "Must be >=0.5." },
        { pointer: "/home/a", detail: "Is required." },
        { pointer: "", detail: "Must be a JSON object." },
      ]),
      "legs must be >=0.5; home/a is required; the body must be a JSON object.",
    );
  });

  test("has a long pointer, which is cut to whole characters", () => {
    const long = `x${"😀".repeat(99)}`;
    const checked = checkItem(cats, { home: { [long]: { [long]: "\0" } } });
    const [error] = checked.ok ? [] : checked.errors;
    assert.match(error?.pointer ?? "", /^\/home\/x.{90,}…$/u);
    assert.equal(error?.pointer.isWellFormed(), true);
  });

  test("is as deep as it may be, or too deep", () => {
    assert.equal(isTooDeep(nest(ITEM_DEPTH)), false);
    assert.equal(isTooDeep(nest(ITEM_DEPTH + 1)), true);
    for (const value of [null, 1, "x", [], {}, [null]]) assert.equal(isTooDeep(value, 1), false);
    assert.equal(isTooDeep([[]], 1), true);
  });
});
