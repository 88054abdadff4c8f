import assert from "node:assert/strict";
import test, { after, before } from "node:test";
import { z } from "zod";
import { createTestEnvironment, type TestEnvironment } from "../test/support/environment.ts";
import { selectRows } from "../test/support/rows.ts";
import { type Collection, dateTime, defineCollection, text } from "./collection.ts";
import { query, withConnection } from "./database.ts";
import { selectPage } from "./pages.ts";
import { findSchemaFaults } from "./schema-check.ts";
import { insertRows, type Row } from "./tables.ts";
import { mintWriteId } from "./write-id.ts";

/** A declaration, the values at its limits, and the types of column that keep them or do not. */
type Case = { schema: z.ZodType; values: unknown[]; keep: string[]; lose: string[] };

const cases: Record<string, Case> = {
  "a text of 50 characters": {
    schema: text({ max: 50 }),
    values: ["😀".repeat(50), "Ana ", " ana", "ñandú", ""],
    keep: [
      "VARCHAR(50) COLLATE utf8mb4_bin",
      "VARCHAR(51) COLLATE utf8mb4_bin",
      "TINYTEXT COLLATE utf8mb4_bin",
      "TEXT COLLATE utf8mb4_bin",
      "LONGTEXT COLLATE utf8mb4_bin",
    ],
    lose: [
      "VARCHAR(49) COLLATE utf8mb4_bin",
      "VARCHAR(50) COLLATE utf8mb4_general_ci",
      "VARCHAR(50) COLLATE utf8mb4_unicode_ci",
      "VARCHAR(50) CHARACTER SET utf8mb3 COLLATE utf8mb3_bin",
      "VARCHAR(50) CHARACTER SET latin1 COLLATE latin1_bin",
      "CHAR(50) COLLATE utf8mb4_bin",
      "VARBINARY(200)",
      "INT",
    ],
  },
  "a text of 20,000 characters": {
    schema: text({ max: 20_000 }),
    values: ["😀".repeat(20_000)],
    keep: ["MEDIUMTEXT COLLATE utf8mb4_bin"],
    lose: ["TEXT COLLATE utf8mb4_bin", "VARCHAR(10000) COLLATE utf8mb4_bin"],
  },
  "a text without a maximum": {
    schema: z.string(),
    values: ["x".repeat(200_000)],
    keep: ["MEDIUMTEXT COLLATE utf8mb4_bin"],
    lose: ["TEXT COLLATE utf8mb4_bin"],
  },
  "one of some words": {
    schema: z.enum(["small", "medium"]),
    values: ["small", "medium"],
    keep: ["VARCHAR(6) COLLATE utf8mb4_bin"],
    lose: ["VARCHAR(5) COLLATE utf8mb4_bin"],
  },
  "a UUID": {
    schema: z.uuid(),
    values: ["ffffffff-ffff-ffff-ffff-ffffffffffff"],
    keep: ["VARCHAR(36) COLLATE utf8mb4_bin"],
    lose: ["VARCHAR(35) COLLATE utf8mb4_bin", "BINARY(16)"],
  },
  "any integer": {
    schema: z.int(),
    values: [Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER],
    keep: ["BIGINT"],
    lose: ["BIGINT UNSIGNED", "INT", "INT UNSIGNED", "TINYINT", "DOUBLE(10,2)", "DECIMAL(10,0)"],
  },
  "a signed byte": {
    schema: z.int().gte(-128).lt(128),
    values: [-128, 127],
    keep: ["TINYINT", "SMALLINT", "MEDIUMINT", "INT", "BIGINT"],
    lose: ["TINYINT UNSIGNED", "BIGINT UNSIGNED"],
  },
  "an unsigned byte": {
    schema: z.int().gt(-1).lte(255),
    values: [0, 255],
    keep: ["TINYINT UNSIGNED", "SMALLINT", "INT UNSIGNED"],
    lose: ["TINYINT"],
  },
  "an unsigned integer of 32 bits": {
    schema: z.uint32(),
    values: [0, 2 ** 32 - 1],
    keep: ["INT UNSIGNED", "BIGINT"],
    lose: ["INT", "MEDIUMINT UNSIGNED"],
  },
  "a number": {
    schema: z.number(),
    values: [0.1234567890123, -1.5, 1.7e308, 90_082_285.815_830_75],
    keep: ["DOUBLE"],
    lose: ["DOUBLE(10,2)", "DOUBLE UNSIGNED", "FLOAT", "DECIMAL(10,2)", "BIGINT"],
  },
  "a boolean": {
    schema: z.boolean(),
    values: [true, false],
    keep: ["TINYINT(1)", "TINYINT UNSIGNED"],
    lose: ["VARCHAR(0)", "DATE"],
  },
  "a time": {
    schema: dateTime(),
    values: ["1000-01-01T00:00:00.001Z", "9999-12-31T23:59:59.999Z"],
    keep: ["DATETIME(3)"],
    lose: ["DATETIME", "DATETIME(2)", "TIMESTAMP(3)", "DATE"],
  },
  "an object": {
    schema: z.record(z.string(), z.string()),
    values: [{ ñ: "😀".repeat(17_000) }, {}],
    keep: ["JSON", "LONGTEXT COLLATE utf8mb4_bin", "MEDIUMTEXT COLLATE utf8mb4_bin"],
    lose: [
      "TEXT COLLATE utf8mb4_bin",
      "LONGTEXT CHARACTER SET latin1 COLLATE latin1_bin",
      "VARCHAR(9000) COLLATE utf8mb4_bin",
    ],
  },
};

let environment: TestEnvironment;
before(async () => {
  environment = await createTestEnvironment({
    migrations: [new URL("../test/migrations/", import.meta.url)],
  });
});
after(() => environment.close());

let tables = 0;
for (const [what, { schema, values, keep, lose }] of Object.entries(cases))
  for (const type of [...keep, ...lose])
    test(`the check passes ${type} for ${what} if and only if it keeps every value`, async () => {
      tables += 1;
      const collection = defineCollection({
        name: `columns${tables}`,
        fields: { value: schema },
        example: { value: values[0] },
      });
      const { pool } = environment;
      await query(pool, `CREATE TABLE ${collection.name} LIKE teachers`);
      await query(pool, `ALTER TABLE ${collection.name} ADD COLUMN value ${type} NULL`);
      const faults = await findSchemaFaults(pool, [collection]);
      const kept = await Promise.all(values.map((value) => isKept(collection, value)));
      assert.equal(kept.every(Boolean), keep.includes(type), "what MySQL does");
      assert.deepEqual(faults.length, keep.includes(type) ? 0 : 1, faults.join(" "));
      for (const fault of faults) assert.match(fault, /columns\d+\.value is .*, but must be [A-Z]/);
    });

/** Whether a value comes back as it was, and a filter of another case does not find it. */
async function isKept(collection: Collection, value: unknown): Promise<boolean> {
  const { pool } = environment;
  const id = mintWriteId();
  const [createdAt, updatedAt, appliedAt] = [0, 0, 0];
  const times = { createdAt, updatedAt, appliedAt, deletedAt: null };
  const none = { fingerprint: null, trace: null, created: null };
  const row: Row = { id, version: id, item: { value }, ...times, ...none };
  let stored: Row | undefined;
  try {
    await insertRows(pool, collection, [row]);
    [stored] = await selectRows(pool, collection, [id]);
  } catch (error) {
    // MySQL refuses the value, or what it returns is no such value.
    const { sqlState, name } = error as { sqlState?: string; name?: string };
    assert.match(sqlState ?? name ?? "", /^(2[23]|HY000|01000|RangeError)/, String(error));
    return false;
  }
  const [field] = collection.fields;
  assert.ok(field);
  const other = typeof value === "string" ? value.toUpperCase() : value;
  const filters = [{ field, value: other }];
  const found: Row[] = [];
  const page = { filters, newestFirst: false, limit: 1 };
  if (field.kind === "text" && other !== value)
    await withConnection(pool, (connection) =>
      selectPage(connection, collection, page, (row) => found.push(row) > 0),
    );
  return JSON.stringify(stored?.item) === JSON.stringify({ value }) && found.length === 0;
}
