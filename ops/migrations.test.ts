import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import test from "node:test";

const FOLDER = new URL("../migrations/", import.meta.url);
/** What the version before, which runs on while the next one is a canary, could stumble over. */
const BREAKING = [
  /\bDROP\s+(TABLE|COLUMN|VIEW|DATABASE)\b/i,
  /\b(RENAME|TRUNCATE)\b/i,
  /\b(MODIFY|CHANGE)\s+(COLUMN\s+)?`?\w+/i,
  /\bALTER\s+TABLE\b[^;]*\bADD\s+(COLUMN\s+)?`?\w+`?\s[^,;]*\bNOT\s+NULL\b(?![^,;]*\bDEFAULT\b)/i,
];
/** Says why it is safe, such as in which release the last use went. */
const EXCUSE = /^-- breaks nothing: \S+/m;

const isBreaking = (sql: string) =>
  !EXCUSE.test(sql) && BREAKING.some((form) => form.test(sql.replaceAll(/--.*$/gm, "")));

test("migrations only add, because the version before runs on the migrated tables", () => {
  for (const file of readdirSync(FOLDER).filter((name) => name.endsWith(".sql")))
    assert.ok(!isBreaking(readFileSync(new URL(file, FOLDER), "utf8")), file);
});

test("a migration that removes something is distinguished from one that adds", () => {
  for (const sql of [
    "ALTER TABLE data DROP COLUMN nombre",
    "DROP TABLE data",
    "ALTER TABLE data RENAME COLUMN nombre TO name",
    "ALTER TABLE data MODIFY nombre VARCHAR(10)",
    "ALTER TABLE data ADD COLUMN color VARCHAR(10) NOT NULL",
    "ALTER TABLE data ADD size INT NULL, ADD color VARCHAR(10) NOT NULL",
  ]) {
    assert.ok(isBreaking(sql), sql);
    assert.ok(!isBreaking(`-- breaks nothing: unused since 1.4\n${sql}`), sql);
  }
  for (const sql of [
    "CREATE TABLE x (id VARCHAR(64) NOT NULL PRIMARY KEY)",
    "ALTER TABLE data ADD COLUMN color VARCHAR(10)",
    "ALTER TABLE data ADD COLUMN color VARCHAR(10) NOT NULL DEFAULT ''",
    "ALTER TABLE data ADD INDEX by_color (color, deleted_at, created_at, id)",
    "-- DROP TABLE data",
  ])
    assert.ok(!isBreaking(sql), sql);
});
