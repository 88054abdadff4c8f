import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { abbreviate, truncate } from "./characters.ts";

test("a text is cut to whole characters, and left as it is where it is short enough", () => {
  const cases: [text: string, characters: number, cut: string][] = [
    ["", 3, ""],
    ["abc", 3, "abc"],
    ["abcd", 3, "abc"],
    ["😀😀", 2, "😀😀"],
    ["😀😀😀", 2, "😀😀"],
    ["a😀😀", 2, "a😀"],
  ];
  for (const [text, characters, cut] of cases) assert.equal(truncate(text, characters), cut);
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), fc.nat(20), (text, characters) => {
      assert.equal(truncate(text, characters), [...text].slice(0, characters).join(""));
    }),
  );
});

test("a text that is abbreviated is marked, and never ends in half of a pair", () => {
  assert.equal(abbreviate("abc", 3), "abc");
  assert.equal(abbreviate("abcd", 3), "abc…");
  assert.equal(abbreviate("ab😀", 3), "ab\ufffd…");
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), fc.nat(20), (text, units) => {
      const short = abbreviate(text, units);
      assert.ok(short === text || (short.isWellFormed() && short.length === units + 1));
      assert.equal(short === text, text.length <= units);
    }),
  );
});
