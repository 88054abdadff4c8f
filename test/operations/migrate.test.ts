import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { pathToFileURL } from "node:url";
import { query } from "../../common/database.ts";
import { MIGRATE, migrate } from "../../ops/migrate.ts";
import { TcpProxy } from "../../proof/support/tcp-proxy.ts";
import { runInProcess } from "../support/commands.ts";
import { createTestEnvironment, type TestEnvironment } from "../support/environment.ts";

const TIMEOUT = { timeout: 120_000 };
const PROJECT = new URL("../../migrations/", import.meta.url);
/** Long enough for each statement before the silence, on a busy machine, too. */
const SOON_MS = { migration: 5_000, other: 5_000 };

let environment: TestEnvironment;
let folder: URL;

before(async () => {
  environment = await createTestEnvironment();
  folder = pathToFileURL(`${await mkdtemp(join(tmpdir(), "migrations-"))}/`);
  await writeFile(new URL("9999-note.sql", folder), "CREATE TABLE IF NOT EXISTS note (id INT)");
});
after(async () => {
  await environment.close();
  await rm(folder, { recursive: true });
});

/** Runs `work` with the address of a MySQL that goes silent where it is sent this text. */
async function withSilence(text: string, work: (url: URL) => Promise<void>): Promise<void> {
  const url = new URL(environment.env.MYSQL_URL as string);
  const proxy = await TcpProxy.open([Number(url.port)]);
  proxy.silenceAt = text;
  url.port = String(proxy.port);
  try {
    await work(url);
    assert.ok(proxy.silenced > 0, `${text} was sent`);
  } finally {
    proxy.close();
  }
}

test("a migration fails where MySQL goes silent, at whichever statement", TIMEOUT, async () => {
  for (const text of [
    "SET SESSION",
    "migrations_lock",
    "select get_lock",
    "CREATE TABLE IF NOT EXISTS note",
    "insert into",
    "release_lock",
  ])
    await withSilence(text, async (url) => {
      await assert.rejects(migrate(url, [PROJECT, folder], SOON_MS), /no answer in time|closed/);
    });
  const url = new URL(environment.env.MYSQL_URL as string);
  assert.deepEqual(
    await migrate(url, [PROJECT, folder]),
    [],
    "only the release of the lock failed",
  );
});

test("a migration that fails half-way says that its first statements stay", TIMEOUT, async () => {
  const broken = pathToFileURL(`${await mkdtemp(join(tmpdir(), "migrations-"))}/`);
  const file = new URL("9999-zhalf.sql", broken);
  const url = new URL(environment.env.MYSQL_URL as string);
  const run = () => migrate(url, [PROJECT, folder, broken]);
  try {
    await writeFile(file, "CREATE TABLE half (id INT); CREATE TABEL more (id INT)");
    const kept = /MySQL keeps what its earlier statements have changed: undo that before/;
    await assert.rejects(run, kept);
    await writeFile(file, "CREATE TABLE half (id INT); CREATE TABLE more (id INT)");
    await assert.rejects(
      run,
      /^Error: The migration 9999-zhalf failed: Table 'half' already exists\. /,
    );
    await query(environment.pool, "DROP TABLE half");
    assert.deepEqual(await run(), ["9999-zhalf"]);
  } finally {
    await rm(broken, { recursive: true });
  }
});

test("npm run migrate says what it needs where nothing runs", TIMEOUT, async () => {
  const { status, err } = await runInProcess(MIGRATE, [], { env: {} });
  assert.equal(status, 1);
  assert.match(err, /MYSQL_URL is missing.*\n(.*\n)*.*run npm start in another terminal first/);
});

test("npm run migrate ends where MySQL goes silent, and says so", TIMEOUT, async () => {
  await withSilence("migrations_lock", async (url) => {
    const program = new URL("../../ops/migrate.ts", import.meta.url).pathname;
    const env = { ...process.env, ...environment.env, MYSQL_URL: url.href };
    const { promise: output, resolve } = Promise.withResolvers<string>();
    const child = execFile(process.execPath, [program], { env }, (_error, _stdout, stderr) =>
      resolve(stderr),
    );
    assert.equal(await output, `MySQL cannot be reached at ${url.host} (ETIMEDOUT).\n`);
    assert.equal(child.exitCode, 1);
  });
});
