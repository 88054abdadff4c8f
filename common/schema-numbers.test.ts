import assert from "node:assert/strict";
import test from "node:test";
import { z } from "zod";
import { type Collection, dateTime, defineCollection, text } from "./collection.ts";
import { numberSchemas, type SchemaNumbers, updateSchemaNumbers } from "./schema-numbers.ts";

function declare(name: string, fields: Record<string, z.ZodType>): Collection {
  const example = { title: "x", ...("size" in fields ? { size: "s" } : {}) };
  return defineCollection({ name, fields, example });
}

const title = text({ max: 10 });
const size = z.enum(["s", "m"]);
const orders = declare("orders", { title, size });
const rooms = declare("rooms", { title, size });

const first = updateSchemaNumbers([orders], {});
const getNumbers = (numbers: SchemaNumbers) =>
  Object.entries(numbers).map(([name, { schema }]) => [name, schema]);

test("a collection's first declaration has the number 1", () => {
  assert.deepEqual(getNumbers(first), [["orders", 1]]);
});

test("the same declaration keeps its number, whatever the order of its fields and its example", () => {
  const same = { ...declare("orders", { size, title }), example: { title: "other", size: "m" } };
  assert.deepEqual(updateSchemaNumbers([same], first), first);
});

const changes: [string, Record<string, z.ZodType>][] = [
  ["a field more", { title, size, note: title.optional() }],
  ["a field less", { title }],
  ["a value more", { title, size: z.enum(["s", "m", "l"]) }],
  ["a longer text", { title: text({ max: 11 }), size }],
  ["a field that is optional now", { title: title.optional(), size }],
];
for (const [what, fields] of changes)
  test(`a declaration with ${what} has the next number`, () => {
    const second = updateSchemaNumbers([declare("orders", fields)], first);
    assert.deepEqual(getNumbers(second), [["orders", 2]]);
    assert.deepEqual(getNumbers(updateSchemaNumbers([orders], second)), [["orders", 3]]);
  });

test("each collection has its own number, and one that is gone keeps it", () => {
  const both = updateSchemaNumbers([rooms], first);
  assert.deepEqual(getNumbers(both), [
    ["orders", 1],
    ["rooms", 1],
  ]);
  assert.deepEqual(both.orders, first.orders);
});

test("a number that was raised by hand stays", () => {
  const raised = { orders: { ...first.orders, schema: 5 } } as SchemaNumbers;
  assert.deepEqual(updateSchemaNumbers([orders], raised), raised);
});

test("collections get the numbers of the file; one that is not in it is at its first", () => {
  const numbers = { orders: { schema: 7, hash: "" } };
  assert.deepEqual(
    numberSchemas([orders, rooms], numbers).map(({ schemaNumber }) => schemaNumber),
    [7, 1],
  );
});

test("a declaration whose items expire has the next number; how far ahead does not count", () => {
  const fields = { title, heldUntil: dateTime().optional() };
  const example = { title: "x" };
  const kept = defineCollection({ name: "orders", fields, example });
  const expiring = (most: string) =>
    defineCollection({ name: "orders", fields, expires: { field: "heldUntil", most }, example });
  const numbers = updateSchemaNumbers([kept], {});
  const second = updateSchemaNumbers([expiring("PT5M")], numbers);
  assert.deepEqual(getNumbers(second), [["orders", 2]]);
  assert.deepEqual(updateSchemaNumbers([expiring("PT9M")], second), second);
});
