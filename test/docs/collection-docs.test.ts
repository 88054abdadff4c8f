import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { after, before, describe, it } from "node:test";
import { promisify } from "node:util";
import { z } from "zod";
import { type Collection, dateTime, defineCollection, text } from "../../common/collection.ts";
import { query } from "../../common/database.ts";
import { findSchemaFaults } from "../../common/schema-check.ts";
import { createTestEnvironment, type TestEnvironment } from "../support/environment.ts";

const read = (name: string) => readFileSync(new URL(`../../${name}`, import.meta.url), "utf8");
const README = read("README.md");

/** The statements of the block of SQL that begins by creating this table. */
function findStatements(document: string, table: string): string[] {
  const [block = ""] =
    document.match(new RegExp(`CREATE TABLE ${table} LIKE data;[^\`]*(?=\\n *\`\`\`)`)) ?? [];
  return block
    .replaceAll(/ +--.*$/gm, "")
    .split(";")
    .filter((statement) => statement.trim() !== "");
}

describe("the tables of the documents", () => {
  let environment: TestEnvironment;

  before(async () => {
    environment = await createTestEnvironment();
  });
  after(() => environment.close());

  const findFaults = async (document: string, collection: Collection) => {
    const statements = findStatements(document, collection.name);
    assert.ok(statements.length > 1, collection.name);
    for (const statement of statements) await query(environment.pool, statement);
    return findSchemaFaults(environment.pool, [collection]);
  };

  it("hold what the README's collection declares", async () => {
    const [, source = ""] =
      /export const courses = (defineCollection\(.*?\n {3}\}\));/s.exec(README) ?? [];
    const names = ["z", "dateTime", "defineCollection", "text"];
    const courses = new Function(...names, `return ${source};`)(
      z,
      dateTime,
      defineCollection,
      text,
    );
    assert.deepEqual(await findFaults(README, courses), []);
  });

  it("hold a collection with an owner, an expiry, a feed and a filter", async () => {
    const bookings = defineCollection({
      name: "bookings",
      owner: "user",
      expires: { field: "heldUntil", most: "PT5M" },
      feed: true,
      fields: { title: text({ max: 200 }), heldUntil: dateTime().optional() },
      filters: ["title"],
      example: { title: "x" },
    });
    assert.deepEqual(await findFaults(read("docs/operations.md"), bookings), []);
  });

  it("are shown by the README's command", async () => {
    const [, script = ""] = /-e '([^']*SHOW CREATE TABLE[^']*)'/.exec(README) ?? [];
    const env = { ...process.env, MYSQL_URL: environment.env.MYSQL_URL };
    const { stdout } = await promisify(execFile)(process.execPath, ["-e", script], { env });
    assert.match(stdout, /CREATE TABLE `data`/);
  });
});
