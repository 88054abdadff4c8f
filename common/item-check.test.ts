import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { z } from "zod";
import { dateTime, defineCollection, text } from "./collection.ts";
import { checkItem, isTooDeep } from "./item-check.ts";
import { ITEM_DEPTH } from "./limits.ts";

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
