import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { mayLosePrecision, parseNumber } from "./decimal.ts";

test("a decimal that a double gives back is parsed, however it is written", () => {
  const kept: [string, number][] = [
    ["0", 0],
    ["-0", -0],
    ["0.0", 0],
    ["0e999", 0],
    ["0.10", 0.1],
    ["19.99", 19.99],
    ["1e2", 100],
    ["1E+2", 100],
    ["100e-2", 1],
    ["123456789012345", 123456789012345],
    ["9007199254740992", 2 ** 53],
    ["9007199254740994", 2 ** 53 + 2],
    ["123456789012345680000", 123456789012345680000],
    ["1e21", 1e21],
    ["1.0000000000000000000", 1],
    ["000000000000000000000001", 1],
    ["1.7976931348623157e308", Number.MAX_VALUE],
    ["5e-324", 5e-324],
    ["-2.2250738585072014E-308", -2.2250738585072014e-308],
    ["0.000000000000000000000000000001", 1e-30],
  ];
  for (const [text, value] of kept) assert.equal(parseNumber(text), value, text);
});

test("a decimal that a double would change is not", () => {
  for (const text of [
    "9007199254740993",
    "-9007199254740993",
    "12345678901234567890",
    "1e400",
    "-1e309",
    "1e-400",
    "4.9e-324",
    "0.1000000000000000055511151231257827",
    "1.00000000000000000001",
    "123456789.123456789123",
    `1${"0".repeat(400)}`,
    `1.${"0".repeat(400)}1`,
  ])
    assert.equal(parseNumber(text), undefined, text);
});

test("every double is parsed from its own text, and every integer only where it is given back", () => {
  fc.assert(
    fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), (value) => {
      assert.equal(parseNumber(Object.is(value, -0) ? "-0" : String(value)), value);
    }),
  );
  fc.assert(
    fc.property(fc.bigInt({ min: -(10n ** 30n), max: 10n ** 30n }), (integer) => {
      const value = Number(integer);
      const given = BigInt(
        value.toLocaleString("en", { useGrouping: false, maximumFractionDigits: 0 }),
      );
      const text = String(integer);
      assert.equal(parseNumber(text), given === integer ? value : undefined, text);
    }),
  );
});

test("a text is odd where a double may not keep one of its numbers", () => {
  const texts = [
    '{"a":1e400}',
    "[1,9007199254740993]",
    "1e5",
    '{"a": 0.12345678901234567}',
    "[-1e9]",
  ];
  for (const text of texts) assert.ok(mayLosePrecision(text), text);
  for (const text of [
    '{"a":"01968b3e-7c00-7000-8000-0123456789ab"}',
    "[123456789012345,0.5]",
    '{"e":1}',
  ])
    assert.equal(mayLosePrecision(text), false, text);
});
