import assert from "node:assert/strict";
import test, { after, before } from "node:test";
import { findAnyPort } from "../local/ports.ts";
import { berths, cabins } from "../test/collections/berths.ts";
import { courses } from "../test/collections/courses.ts";
import { drafts } from "../test/collections/drafts.ts";
import { notes } from "../test/collections/notes.ts";
import { seats } from "../test/collections/seats.ts";

import { teachers } from "../test/collections/teachers.ts";
import { visits } from "../test/collections/visits.ts";
import { createTestEnvironment, type TestEnvironment } from "../test/support/environment.ts";
import type { Collection } from "./collection.ts";
import { openPool, query } from "./database.ts";
import { findSchemaFaults } from "./schema-check.ts";

/** It allows NULL in every generated column. */
const isMariaDb = process.env.TEST_ENGINE === "mariadb";

let environment: TestEnvironment;

before(async () => {
  environment = await createTestEnvironment({
    migrations: [new URL("../test/migrations/", import.meta.url)],
  });
});
after(() => environment.close());

test("tables that the migrations made fit their collections", async () => {
  assert.deepEqual(
    await findSchemaFaults(environment.pool, [teachers, courses, seats, berths, cabins]),
    [],
  );
});

test("an owner has a column of its own, and the indexes where only owners read begin with it", async () => {
  const { pool } = environment;
  assert.deepEqual(await findSchemaFaults(pool, [notes, drafts]), []);
  await query(pool, "CREATE TABLE unowned LIKE drafts");
  await query(
    pool,
    "ALTER TABLE unowned DROP KEY folder, ADD KEY other (folder, deleted_at, owner)," +
      " MODIFY owner VARCHAR(254) CHARACTER SET ascii COLLATE ascii_bin NOT NULL",
  );
  assert.deepEqual(await findSchemaFaults(pool, [{ ...drafts, name: "unowned" }]), [
    "The column unowned.owner is varchar(254) COLLATE ascii_bin, but must be VARCHAR(255) COLLATE ascii_bin.",
    "No index starts with (deleted_at, owner, folder) of unowned; lists would scan the table.",
  ]);
  await query(pool, "ALTER TABLE unowned DROP COLUMN owner");
  const [fault] = await findSchemaFaults(pool, [{ ...drafts, name: "unowned" }]);
  assert.equal(fault, "The column unowned.owner is missing.");
});

test("a table that is missing is named, with what to do", async () => {
  const nowhere = { ...courses, name: "nowhere" };
  assert.deepEqual(await findSchemaFaults(environment.pool, [teachers, nowhere]), [
    "The table nowhere is missing; run the migrations.",
  ]);
});

test("the tables that every collection needs are looked for as well", async () => {
  await query(
    environment.pool,
    "RENAME TABLE writes TO writes_away, dead_letters TO dead_letters_away, feeds TO feeds_away",
  );
  try {
    assert.deepEqual(await findSchemaFaults(environment.pool, [teachers]), [
      "The table writes is missing; run the migrations.",
      "The table dead_letters is missing; run the migrations.",
      "The table feeds is missing; run the migrations.",
    ]);
  } finally {
    await query(
      environment.pool,
      "RENAME TABLE writes_away TO writes, dead_letters_away TO dead_letters, feeds_away TO feeds",
    );
  }
});

test("a collection with a feed needs its columns, its indexes and its counter", async () => {
  const { pool } = environment;
  assert.deepEqual(await findSchemaFaults(pool, [visits]), []);
  const guests = { ...visits, name: "guests" };
  await query(pool, "CREATE TABLE guests LIKE visits");
  assert.deepEqual(await findSchemaFaults(pool, [guests]), [
    "The table feeds has no row of guests.",
  ]);
  await query(
    pool,
    "ALTER TABLE guests DROP KEY changes, DROP KEY version, DROP KEY newest_position, ADD KEY newest (deleted_at, created_at, id)," +
      " MODIFY created_position BIGINT NULL",
  );
  assert.deepEqual(await findSchemaFaults(pool, [visits, guests]), [
    "The column guests.created_position is bigint, but must be BIGINT NOT NULL.",
    "No index starts with (deleted_at, created_position) of guests; lists would scan the table.",
    "No index starts with guests.position; the feed would scan the table.",
    "No index starts with guests.version; the look-up of a write by its id would scan the table.",
    "The table feeds has no row of guests.",
  ]);
  await query(pool, "ALTER TABLE guests DROP COLUMN position, DROP COLUMN created_position");
  assert.deepEqual(await findSchemaFaults(pool, [guests]), [
    "The column guests.position is missing.",
    "The column guests.created_position is missing.",
    "No index starts with guests.version; the look-up of a write by its id would scan the table.",
    "The table feeds has no row of guests.",
  ]);
  assert.deepEqual(await findSchemaFaults(pool, [{ ...guests, feed: false }]), []);
  await query(pool, "DROP TABLE guests");
});

/** Each table is a copy of `courses` with one thing, or a few, changed. */
const faults: [string, string, (table: string) => string[]][] = [
  [
    "a declared field without a column",
    "DROP COLUMN starts_at",
    (table) => [`The column ${table}.starts_at is missing.`],
  ],
  [
    "a column of its own that is missing",
    "DROP COLUMN fingerprint",
    (table) => [`The column ${table}.fingerprint is missing.`],
  ],
  [
    "a field's column that refuses NULL",
    "MODIFY title VARCHAR(200) COLLATE utf8mb4_bin NOT NULL",
    (table) => [`The column ${table}.title must allow NULL: tombstones store NULL there.`],
  ],
  [
    "a text in a column of numbers",
    "MODIFY note INT NULL",
    (table) => [`The column ${table}.note is int, but must be VARCHAR(500) COLLATE utf8mb4_bin.`],
  ],
  [
    "a text in a column that is too short",
    "MODIFY note VARCHAR(50) COLLATE utf8mb4_bin NULL",
    (table) => [
      `The column ${table}.note is varchar(50) COLLATE utf8mb4_bin, but must be VARCHAR(500) COLLATE utf8mb4_bin.`,
    ],
  ],
  [
    "a text in a CHAR",
    "MODIFY title CHAR(200) COLLATE utf8mb4_bin NULL",
    (table) => [
      `The column ${table}.title is char(200) COLLATE utf8mb4_bin, but must be VARCHAR(200) COLLATE utf8mb4_bin.`,
    ],
  ],
  [
    "a text in another character set",
    "MODIFY title VARCHAR(200) CHARACTER SET latin1 COLLATE latin1_bin NULL",
    (table) => [
      `The column ${table}.title is varchar(200) COLLATE latin1_bin, but must be VARCHAR(200) COLLATE utf8mb4_bin.`,
    ],
  ],
  [
    "a text in a collation that ignores case",
    "MODIFY title VARCHAR(200) COLLATE utf8mb4_general_ci NULL",
    (table) => [
      `The column ${table}.title is varchar(200) COLLATE utf8mb4_general_ci, but must be VARCHAR(200) COLLATE utf8mb4_bin.`,
    ],
  ],
  [
    "an integer in a column of 32 bits",
    "MODIFY credits INT NULL",
    (table) => [`The column ${table}.credits is int, but must be BIGINT, for 0 to 1000000000000.`],
  ],
  [
    "ids that differ in their case only, taken for one",
    "MODIFY id VARCHAR(64) COLLATE ascii_general_ci NOT NULL",
    (table) => [
      `The column ${table}.id is varchar(64) COLLATE ascii_general_ci, but must be VARCHAR(64) COLLATE ascii_bin.`,
    ],
  ],
  [
    "a table that takes an id twice",
    "DROP PRIMARY KEY, ADD PRIMARY KEY (id, version)",
    (table) => [`The primary key of ${table} must be (id).`],
  ],
  [
    "a key that takes two ids for one",
    "DROP PRIMARY KEY, ADD PRIMARY KEY (id(10))",
    (table) => [`The primary key of ${table} must be (id).`],
  ],
  [
    "a table that does not roll back",
    "ENGINE=MyISAM",
    (table) => [`The table ${table} must be an InnoDB table, not MyISAM.`],
  ],
  [
    "a field whose values must differ",
    "ADD UNIQUE INDEX by_title (title)",
    (table) => [`The index by_title on ${table}.title must not be unique.`],
  ],
  [
    "a column of its own that refuses NULL",
    "MODIFY fingerprint CHAR(64) COLLATE ascii_bin NOT NULL",
    (table) => [`The column ${table}.fingerprint must allow NULL.`],
  ],
  [
    "a field's column that MySQL computes",
    "DROP COLUMN note, ADD COLUMN note VARCHAR(500) COLLATE utf8mb4_bin AS (title) VIRTUAL",
    (table) => [`The column ${table}.note is generated, and cannot be written.`],
  ],
  [
    "a column that no statement fills",
    "ADD COLUMN added INT NOT NULL",
    (table) => [`The column ${table}.added is not declared; it must allow NULL or have a default.`],
  ],
  [
    "a number in a column that rounds",
    "MODIFY price DECIMAL(10,2) NULL",
    (table) => [`The column ${table}.price is decimal(10,2), but must be DOUBLE.`],
  ],
  [
    "a time in a TIMESTAMP",
    "MODIFY starts_at TIMESTAMP(3) NULL",
    (table) => [`The column ${table}.starts_at is timestamp(3), but must be DATETIME(3).`],
  ],
  [
    "a time without its milliseconds",
    "MODIFY starts_at DATETIME NULL",
    (table) => [`The column ${table}.starts_at is datetime, but must be DATETIME(3).`],
  ],
  [
    "a filter without an index",
    "DROP INDEX teacher",
    (table) => [`No index starts with ${table}.teacher_id; lists would scan the table.`],
  ],
  [
    "a filter that is not the first of its index",
    "DROP INDEX teacher, ADD INDEX teacher (deleted_at, teacher_id)",
    (table) => [`No index starts with ${table}.teacher_id; lists would scan the table.`],
  ],
  [
    "a list without an index",
    "DROP INDEX newest",
    (table) => [`No index starts with ${table}.deleted_at; lists would scan the table.`],
  ],
  [
    "several things at once",
    "DROP COLUMN trace, DROP COLUMN tags, MODIFY active DATE NOT NULL",
    (table) => [
      `The column ${table}.trace is missing.`,
      `The column ${table}.active is date, but must be TINYINT.`,
      `The column ${table}.active must allow NULL: tombstones store NULL there.`,
      `The column ${table}.tags is missing.`,
    ],
  ],
];
for (const [place, [what, change, expected]] of faults.entries())
  test(`${what} is named in a sentence`, async () => {
    const table = `courses${place}`;
    const collection: Collection = { ...courses, name: table };
    await query(environment.pool, `CREATE TABLE ${table} LIKE courses`);
    await query(environment.pool, `ALTER TABLE ${table} ${change}`);
    assert.deepEqual(
      await findSchemaFaults(environment.pool, [teachers, collection]),
      expected(table),
    );
  });

for (const [what, change, expected] of [
  [
    "a column that only they need",
    "DROP COLUMN version_published_at",
    "The column seats2.version_published_at is missing.",
  ],
  [
    "an index for the sweep",
    "DROP INDEX expiring, ADD INDEX expiring (held_until, deleted_at)",
    "No index starts with (deleted_at, held_until) of seats2; the sweep would scan the table.",
  ],
] as const)
  test(`a table whose items expire is told that it lacks ${what}`, async () => {
    await query(environment.pool, "CREATE TABLE seats2 LIKE seats");
    await query(environment.pool, `ALTER TABLE seats2 ${change}`);
    const faults = await findSchemaFaults(environment.pool, [{ ...seats, name: "seats2" }]);
    await query(environment.pool, "DROP TABLE seats2");
    assert.deepEqual(faults, [expected]);
  });

test("columns that no collection declares are left alone", async () => {
  await query(environment.pool, "CREATE TABLE wider LIKE courses");
  await query(
    environment.pool,
    "ALTER TABLE wider ADD COLUMN added INT NOT NULL DEFAULT 0, ADD COLUMN free INT NULL," +
      ` ADD COLUMN length INT AS (CHAR_LENGTH(title)) STORED${isMariaDb ? "" : " NOT NULL"}`,
  );
  assert.deepEqual(await findSchemaFaults(environment.pool, [{ ...courses, name: "wider" }]), []);
});

test("the check rejects if the database is unreachable", async () => {
  const mysqlUrl = new URL(environment.env.MYSQL_URL as string);
  mysqlUrl.port = String(await findAnyPort());
  const pool = openPool({ mysqlUrl, poolSize: 1 });
  await assert.rejects(findSchemaFaults(pool, [teachers]), { code: "ECONNREFUSED" });
  await pool.end();
});
