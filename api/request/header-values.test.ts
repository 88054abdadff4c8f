import assert from "node:assert/strict";
import test from "node:test";
import { readPair, splitHeader } from "./header-values.ts";

test("a header is split outside of quoted strings, and its empty members are left out", () => {
  assert.deepEqual(splitHeader('a, "b, \\"c", , d="e,f" ,', ","), ["a", '"b, \\"c"', 'd="e,f"']);
  assert.deepEqual(splitHeader('a; "b; c" ; ;d', ";"), ["a", '"b; c"', "d"]);
  assert.deepEqual(splitHeader('a, "b, c', ","), ["a", '"b, c']);
  assert.deepEqual(splitHeader("", ","), []);
});

test("a pair has a name in lower case, and a value without quotes and their escapes", () => {
  const pairs: [string, string, string][] = [
    ["Wait = 5", "wait", "5"],
    ['A="b \\"c\\" \\\\"', "a", 'b "c" \\'],
    ['a=b"c"', "a", 'b"c"'],
    ['a="b"c', "a", '"b"c'],
    ["a=", "a", ""],
    ["A", "a", ""],
    ["=b", "", "b"],
    ["a=b=c", "a", "b=c"],
  ];
  for (const [member, name, value] of pairs) assert.deepEqual(readPair(member), { name, value });
});
