import assert from "node:assert/strict";
import test, { after, before } from "node:test";
import { createTestEnvironment, type TestEnvironment } from "../test/support/environment.ts";
import { openPool, query } from "./database.ts";
import {
  classifyDatabaseError,
  type DatabaseFault,
  describeDataError,
  hideDataError,
} from "./database-faults.ts";

let environment: TestEnvironment;
before(async () => {
  environment = await createTestEnvironment();
});
after(() => environment.close());

const TABLE =
  "CREATE TABLE t (id INT PRIMARY KEY, short VARCHAR(3) CHARACTER SET ascii, byte TINYINT, at DATETIME," +
  " price DOUBLE, doc JSON, word ENUM('a'), must INT NOT NULL DEFAULT 0, sum INT AS (byte + 1)," +
  " one INT UNIQUE, parent INT, CHECK (byte <> 13), FOREIGN KEY (parent) REFERENCES t (id))";

/** What prepares the table `t`, the statement that MySQL refuses, and whose fault that is. */
const faults: [DatabaseFault, string, string[], string][] = [
  ["table", "a table that is missing", ["DROP TABLE t"], "SELECT id FROM t"],
  ["table", "a column that is missing", [], "INSERT INTO t (id, other) VALUES (1, 1)"],
  [
    "table",
    "a column that the statement does not fill",
    ["ALTER TABLE t ADD COLUMN added INT NOT NULL"],
    "INSERT INTO t (id) VALUES (1)",
  ],
  ["table", "a column that MySQL computes", [], "INSERT INTO t (id, sum) VALUES (1, 1)"],
  [
    "table",
    "a view that takes no rows",
    ["RENAME TABLE t TO u", "CREATE VIEW t AS SELECT DISTINCT id FROM u"],
    "INSERT INTO t (id) VALUES (1)",
  ],
  [
    "table",
    "a view whose table is gone",
    ["RENAME TABLE t TO u", "CREATE VIEW t AS SELECT * FROM u", "DROP TABLE u"],
    "INSERT INTO t (id) VALUES (1)",
  ],
  ["unknown", "NULL in a column that refuses it", [], "INSERT INTO t (id, must) VALUES (1, NULL)"],
  ["unknown", "a text that is too long", [], "INSERT INTO t (id, short) VALUES (1, 'four')"],
  ["unknown", "a character that its column lacks", [], "INSERT INTO t (id, short) VALUES (1, 'ñ')"],
  ["unknown", "an integer out of range", [], "INSERT INTO t (id, byte) VALUES (1, 128)"],
  ["unknown", "a text for a number", [], "INSERT INTO t (id, byte) VALUES (1, 'x')"],
  ["unknown", "a text for a double", [], "INSERT INTO t (id, price) VALUES (1, 'x')"],
  [
    "unknown",
    "a word that is not one of the column's",
    [],
    "INSERT INTO t (id, word) VALUES (1, 'b')",
  ],
  ["unknown", "a time that is none", [], "INSERT INTO t (id, at) VALUES (1, 'x')"],
  [
    "unknown",
    "a computed column out of its range",
    ["ALTER TABLE t ADD COLUMN tight TINYINT AS (byte * 2) STORED"],
    "INSERT INTO t (id, byte) VALUES (1, 100)",
  ],
  ["data", "a row that breaks a CHECK", [], "INSERT INTO t (id, byte) VALUES (1, 13)"],
  ["data", "a value that is taken", [], "INSERT INTO t (id, one) VALUES (1, 1), (2, 1)"],
  ["data", "a row without its parent", [], "INSERT INTO t (id, parent) VALUES (1, 9)"],
  ["data", "JSON that is none", [], "INSERT INTO t (id, doc) VALUES (1, '{')"],
  ["race", "an id that is taken", [], "INSERT INTO t (id) VALUES (1), (1)"],
];
for (const [fault, what, prepare, statement] of faults)
  test(`${what} is ${fault === "unknown" ? "no fault of the write" : `a fault "${fault}"`}`, async () => {
    const { pool } = environment;
    await query(pool, "DROP VIEW IF EXISTS t");
    await query(pool, "DROP TABLE IF EXISTS t, u");
    await query(pool, TABLE);
    for (const step of prepare) await query(pool, step);
    await assert.rejects(query(pool, statement), (error) => {
      assert.equal(classifyDatabaseError(error), fault, String(error));
      return true;
    });
  });

test("a right that is missing is a fault of the table", async () => {
  const { pool, env } = environment;
  const mysqlUrl = new URL(env.MYSQL_URL as string);
  const name = mysqlUrl.pathname.slice(1);
  await query(pool, `CREATE USER '${name}'@'%' IDENTIFIED BY ''`);
  await query(pool, `GRANT SELECT ON ${name}.* TO '${name}'@'%'`);
  await query(pool, `GRANT INSERT (write_id) ON ${name}.dead_letters TO '${name}'@'%'`);
  mysqlUrl.username = name;
  mysqlUrl.password = "";
  const stranger = openPool({ mysqlUrl, poolSize: 1 });
  try {
    for (const statement of [
      "INSERT INTO data (id) VALUES ('x')",
      "INSERT INTO dead_letters (message_id) VALUES ('x')",
    ])
      await assert.rejects(query(stranger, statement), (error) => {
        assert.equal(classifyDatabaseError(error), "table", String(error));
        return true;
      });
  } finally {
    await stranger.end();
    await query(pool, `DROP USER '${name}'@'%'`);
  }
});

test("clients are told which rule refused an item, without MySQL's sentence or its values", () => {
  const sentences: [sqlMessage: string, code: string, words: string][] = [
    [
      "Check constraint 'no_free_algebra' is violated.",
      "ER_CHECK_CONSTRAINT_VIOLATED",
      "it breaks the table's rule no_free_algebra.",
    ],
    [
      "CONSTRAINT `no_free_algebra` failed for `db`.`courses`",
      "UNKNOWN",
      "it breaks the table's rule no_free_algebra.",
    ],
    [
      "Duplicate entry 'secret' for key 'courses.title'",
      "ER_DUP_ENTRY",
      "it breaks the table's rule title.",
    ],
    [
      "Cannot add or update a child row: a foreign key constraint fails (`db`.`courses`," +
        " CONSTRAINT `taught_by` FOREIGN KEY (`teacher_id`) REFERENCES `teachers` (`id`))",
      "ER_NO_REFERENCED_ROW_2",
      "it breaks the table's rule taught_by.",
    ],
  ];
  for (const [sqlMessage, code, words] of sentences) {
    const reason = describeDataError(Object.assign(new Error("x"), { sqlMessage, code }));
    assert.ok(reason.includes(sqlMessage), "operators see it all");
    assert.equal(hideDataError(reason), `The database refused the item: ${words}`);
  }
  const other = { sqlMessage: "Data too long for column 'a'", code: "ER_DATA_TOO_LONG" };
  assert.equal(
    hideDataError(describeDataError(Object.assign(new Error("x"), other))),
    "The database refused the item (ER_DATA_TOO_LONG).",
  );
  assert.equal(hideDataError("The data is not JSON in UTF-8."), "The data is not JSON in UTF-8.");
});
