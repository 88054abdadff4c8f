import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { truncate } from "./characters.ts";

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
