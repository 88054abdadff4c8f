import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import { StatusError } from "../errors.ts";
import { parseFilter } from "./filter.ts";

test("a filter that is none is refused", () => {
  const none = [
    "attributes",
    "attributes:",
    "attributes.a",
    "attributes.a =",
    "attributes.a = b",
    'attributes.a == "b"',
    'attribute.a = "b"',
    'attributes.a = "b',
    "attributes.a = 'b'",
    'attributes.a < "b"',
    'a = "b"',
    "attributes:a AND",
    "AND attributes:a",
    "attributes:a,",
    "attributes:a attributes:b",
    "attributes:a and attributes:b",
    "(attributes:a",
    "()",
    "attributes:a)",
    "NOT",
    "hasPrefix(attributes.a)",
    'hasPrefix("a", "b")',
    "attributes:é",
    "attributes:a AND attributes:b OR attributes:c",
    'hasSuffix(attributes.a, "b")',
    "attributes:a OR attributes:b AND attributes:c",
    "(".repeat(255),
  ];
  for (const text of none) assert.throws(() => parseFilter(text), StatusError, text);
});

test("a filter's strings may have anything, escaped", () => {
  const filter = parseFilter(String.raw`attributes."a\"\\\n\x41\u00e9\101 b" = "\t"`);
  assert.ok(filter({ 'a"\\\nAéA b': "\t" }));
  assert.ok(!filter({ 'a"\\\nAéA b': "t" }));
});

test("a key that every object has is no attribute", () => {
  assert.ok(!parseFilter("attributes:constructor")({}));
  assert.ok(!parseFilter('hasPrefix(attributes.constructor, "")')({}));
  assert.ok(parseFilter("attributes:constructor")({ constructor: "x" }));
});

test("an empty filter lets everything through", () => {
  assert.ok(parseFilter(" ")({}));
});

type Attributes = Record<string, string>;
type Model = { text: string; matches: (attributes: Attributes) => boolean };

const keys = fc.constantFrom("a", "b-c", "d_9");
const values = fc.constantFrom("", "x", "xy", "z");
const simple: fc.Arbitrary<Model> = fc.oneof(
  keys.map((key) => ({ text: `attributes:${key}`, matches: (of: Attributes) => key in of })),
  fc.tuple(keys, values).map(([key, value]) => ({
    text: `attributes.${key} = "${value}"`,
    matches: (of: Attributes) => of[key] === value,
  })),
  fc.tuple(keys, values).map(([key, value]) => ({
    text: `attributes."${key}"!="${value}"`,
    matches: (of: Attributes) => of[key] !== value,
  })),
  fc.tuple(keys, values).map(([key, value]) => ({
    text: `hasPrefix(attributes.${key},"${value}")`,
    matches: (of: Attributes) => of[key]?.startsWith(value) === true,
  })),
);
const { filter: filters } = fc.letrec<{ filter: Model }>((tie) => ({
  filter: fc.oneof(
    { depthSize: "small" },
    simple,
    tie("filter").map(({ text, matches }) => ({
      text: `NOT (${text})`,
      matches: (of: Attributes) => !matches(of),
    })),
    fc.array(tie("filter"), { minLength: 2, maxLength: 3 }).map((terms) => ({
      text: terms.map(({ text }) => `(${text})`).join(" AND "),
      matches: (of: Attributes) => terms.every(({ matches }) => matches(of)),
    })),
    fc.array(tie("filter"), { minLength: 2, maxLength: 3 }).map((terms) => ({
      text: terms.map(({ text }) => `(${text})`).join(" OR "),
      matches: (of: Attributes) => terms.some(({ matches }) => matches(of)),
    })),
  ),
}));

test("a filter matches what it says", () => {
  fc.assert(
    fc.property(filters, fc.dictionary(keys, values), ({ text, matches }, attributes) => {
      assert.equal(parseFilter(text)(attributes), matches(attributes), text);
    }),
    { numRuns: 1_000 },
  );
});

test("no text makes the reader do anything but read or refuse", () => {
  const pieces = fc.constantFrom("attributes", ":", ".", "a", "=", '"', "\\", "(", ")", "NOT", " ");
  fc.assert(
    fc.property(fc.array(fc.oneof(pieces, fc.string()), { maxLength: 12 }), (parts) => {
      try {
        parseFilter(parts.join(""))({ a: "b" });
      } catch (error) {
        assert.ok(error instanceof StatusError);
      }
    }),
    { numRuns: 2_000 },
  );
});
