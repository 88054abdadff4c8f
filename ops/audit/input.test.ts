import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Splitter } from "./input.ts";

/** Cuts the text in pieces at these places, and gives them to a splitter. */
function split(text: string, cuts: readonly number[]) {
  const splitter = new Splitter();
  const places = [0, ...cuts.map((cut) => cut % (text.length + 1)), text.length];
  places.sort((a, b) => a - b);
  const records = places.flatMap((place, index) =>
    splitter.push(text.slice(places[index - 1] ?? 0, place)),
  );
  return { records: [...records, ...splitter.end()], splitter };
}

const cuts = fc.array(fc.nat());
const element = fc.oneof(
  fc.dictionary(fc.string(), fc.jsonValue()),
  fc.string().map((text) => `${text}]}"\\`),
);

test("an array is cut into its elements, however it is indented and however it comes", () => {
  const indents = fc.constantFrom(undefined, 2);
  fc.assert(
    fc.property(fc.array(element), indents, cuts, (values, indent, cuts) => {
      const { records, splitter } = split(` ${JSON.stringify(values, null, indent)}\n`, cuts);
      assert.deepEqual(
        records.map((record) => JSON.parse(record)),
        JSON.parse(JSON.stringify(values)),
      );
      assert.ok(splitter.isWholeArray);
    }),
    { numRuns: 1_000 },
  );
});

test("any other text is cut into its lines, also where it begins with a bracket", () => {
  const line = fc.string().map((text) => text.replaceAll("\n", ""));
  fc.assert(
    fc.property(fc.array(line), cuts, (lines, cuts) => {
      const text = ["[12:00:00] starting", ...lines].join("\n");
      const { records, splitter } = split(text, cuts);
      assert.equal(records.join("\n"), text.replace(/\n$/, ""));
      assert.ok(!splitter.isWholeArray && !splitter.isInArray);
    }),
  );
});
