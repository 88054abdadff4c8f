import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text as readText } from "node:stream/consumers";
import { after, before, describe, it } from "node:test";
import { v7 } from "uuid";
import { collections } from "../../collections/collections.ts";
import { type Pool, query } from "../../common/database.ts";
import { DAY_MS } from "../../common/limits.ts";
import { getWriteTime, mintWriteId } from "../../common/write-id.ts";
import { auditWrites, createFindings } from "../../ops/audit/auditor.ts";
import { AUDIT } from "../../ops/audit/main.ts";
import { runInProcess } from "../support/commands.ts";
import { createTestEnvironment, type TestEnvironment } from "../support/environment.ts";
import { type Client, createClient } from "../support/http.ts";
import type { Spawned } from "../support/processes.ts";
import { until } from "../support/until.ts";

const COMMAND = new URL("../../ops/audit/main.ts", import.meta.url).pathname;
const GCLOUD = new URL("../support/stand-in-logs.ts", import.meta.url).pathname;
const WAIT = { prefer: "wait=30" };
/** Of a command that ought to look at what is in flight as well. */
const NO_GRACE = ["--grace", "0s"];
const REFUSED = "refused by the table";

type Write = { id: string; collection: string; item: string; request?: string };
type Report = {
  counts: {
    acceptedLines: number;
    bareIds: number;
    others: number;
    unreadable: number;
    writes: number;
    repeated: number;
    settled: Record<string, number>;
    inFlight: number;
    beyondRetention: number;
    missing: number;
  };
  missing: { write: string; collection?: string; item?: string; request?: string }[];
};

/** On a busy machine every audit takes so long that it prints its progress. */
const removeProgress = (err: string) => err.replace(/^read .* missing so far\n/gm, "");

describe("npm run ops -- audit", () => {
  let environment: TestEnvironment;
  let api: Spawned;
  let client: Client;
  const folder = mkdtempSync(join(tmpdir(), "audit-test-"));

  before(async () => {
    environment = await createTestEnvironment();
    api = await environment.spawn("api", { LOG_FORMAT: "json" });
    client = createClient(api.url);
    await environment.startSubscriber();
    mkdirSync(join(folder, "bin"));
    const script = `#!/bin/sh\nexec '${process.execPath}' '${GCLOUD}' "$@"\n`;
    writeFileSync(join(folder, "bin", "gcloud"), script, { mode: 0o755 });
  });
  after(async () => {
    await environment.close();
    rmSync(folder, { recursive: true });
  });

  /** Starts the command as a process of its own. */
  function start(args: string[]) {
    const child = spawn(process.execPath, [COMMAND, ...args], {
      env: { PATH: process.env.PATH, ...environment.env },
      stdio: ["pipe", "pipe", "pipe"],
    });
    // It may end before it has read all.
    child.stdin.on("error", () => {});
    const status = new Promise((resolve) => child.once("close", resolve));
    return { child, status };
  }

  /** Runs the command; `input` is its standard input. */
  async function run(args: string[], input = "", more: Record<string, string> = {}) {
    const env = { PATH: process.env.PATH, ...environment.env, ...more };
    const { status, out, err } = await runInProcess(AUDIT, args, { env, input });
    assert.doesNotMatch(out + err, /\n +at |node_modules/, "a stack");
    return { status, out, err: removeProgress(err) };
  }

  /** Audits a text, and reads the document that it prints. */
  async function audit(input: string, args: string[] = NO_GRACE, env: Record<string, string> = {}) {
    const { status, out, err } = await run(["--file", "-", "--json", ...args], input, env);
    assert.notEqual(out, "", err);
    return { status, err, ...(JSON.parse(out) as Report) };
  }

  const since = (...args: string[]) => ["--since", "1h", "--json", ...args];
  /** With the stand-in for gcloud, over these entries. */
  async function auditLogs(entries: unknown[], args = since(), env: Record<string, string> = {}) {
    writeFileSync(join(folder, "entries.json"), JSON.stringify(entries));
    writeFileSync(join(folder, "calls"), "");
    const PATH = `${join(folder, "bin")}:${process.env.PATH}`;
    const answer = await run([...args, ...NO_GRACE], "", { PATH, STAND_IN: folder, ...env });
    const calls = readFileSync(join(folder, "calls"), "utf8").trim().split("\n");
    return { ...answer, calls };
  }

  const formatLine = (...writes: Write[]) =>
    `${JSON.stringify({ severity: "INFO", message: "writes accepted", metadata: { writes } })}\n`;
  const buildEntry = (insertId: number, timestamp: string, ...writes: Write[]) => ({
    insertId: String(insertId),
    timestamp,
    jsonPayload: { message: "writes accepted", metadata: { writes } },
  });
  const lost = (more: Partial<Write> = {}): Write => {
    return { id: mintWriteId(), collection: "data", item: "lost", request: "r-1", ...more };
  };

  /** Items that are settled, with the write of each. */
  async function create(count: number): Promise<Write[]> {
    const names = Array.from({ length: count }, (_, index) => ({ nombre: `tema ${index}` }));
    const { body } = await client.post("/api/data", names, WAIT);
    await until("all are settled", async () => {
      const sql = "SELECT COUNT(*) AS count FROM data WHERE id IN (?)";
      const ids = body.results.map(({ id }) => id);
      return (await query(environment.pool, sql, [ids]))[0]?.count === count;
    });
    return body.results.map(({ id, write }) => ({ id: write, collection: "data", item: id }));
  }

  it("finds every write of the API's own log settled, with whichever outcome", async () => {
    const sql = `ALTER TABLE data ADD CONSTRAINT not_refused CHECK (nombre <> '${REFUSED}')`;
    await query(environment.pool, sql);
    const key = { ...WAIT, "idempotency-key": "audit" };
    const put = (nombre: string, headers = {}) =>
      client.put("/api/data/audited", { nombre }, { ...WAIT, ...headers });
    assert.equal((await put("first")).status, 201);
    assert.equal((await put("second")).status, 200);
    assert.equal((await put(REFUSED)).status >= 400, true);
    assert.equal((await client.delete("/api/data/audited", WAIT)).status, 204);
    assert.equal((await client.post("/api/data", { nombre: "keyed" }, key)).status, 201);
    assert.equal((await client.post("/api/data", { nombre: "keyed" }, key)).status, 200);
    const many = Array.from({ length: 600 }, () => ({ nombre: "many" }));
    const { body } = await client.post("/api/data", many, WAIT);
    for (const { receipt } of body.results) await client.settled(receipt);
    await query(environment.pool, "ALTER TABLE data DROP CONSTRAINT not_refused");
    const log = join(folder, "api.log");
    writeFileSync(log, `npm start\n\n${api.output()}[a line of another program]\n{"a":1}\n`);
    const { status, out, err } = await run(["--file", log, ...NO_GRACE]);
    assert.equal(err, "");
    assert.equal(status, 0);
    assert.match(out, /^distinct writes +606$/m);
    assert.match(out, /^settled +606 {2}applied 604, duplicate 1, dead 1$/m);
    for (const none of ["in flight", "beyond retention", "missing", "repeated ids"])
      assert.match(out, new RegExp(`^${none} +0$`, "m"));
    assert.match(out, /^other lines +[3-9]\d*$/m);
    assert.doesNotMatch(out, /^missing [0-9a-f]/m);
  });

  it("names a write whose receipt is gone, wherever it was, and ends with 1", async () => {
    const [row, kept] = (await create(2)) as [Write, Write];
    const { body: first } = await client.put("/api/data/moved", { nombre: "x" }, { ...WAIT });
    const { body: replaced } = await client.put("/api/data/moved", { nombre: "y" });
    await client.settled(replaced.receipt);
    const { body: second } = await client.put("/api/data/moved", { nombre: "z" }, WAIT);
    assert.equal(second.nombre, "z");
    assert.equal(first.nombre, "x");
    await query(environment.pool, "DELETE FROM data WHERE id = ?", [row.item]);
    await query(environment.pool, "DELETE FROM writes WHERE id = ?", [replaced.write]);
    const moved = lost({ id: replaced.write, item: "moved", request: "r-2" });
    const input = formatLine(row, kept) + formatLine(moved);
    const { status, counts, missing, err } = await audit(input);
    assert.equal(err, "");
    assert.equal(status, 1);
    assert.equal(counts.missing, 2);
    assert.equal(counts.settled.applied, 1);
    const accepted = (id: string) => new Date(getWriteTime(id)).toISOString();
    assert.deepEqual(missing, [
      { write: row.id, collection: "data", item: row.item, accepted: accepted(row.id) },
      {
        write: moved.id,
        collection: "data",
        item: "moved",
        request: "r-2",
        accepted: accepted(moved.id),
      },
    ]);
    const { status: again, out } = await run(["--file=-", ...NO_GRACE], input);
    assert.equal(again, 1);
    assert.ok(
      out.endsWith(
        `missing                     2\n\n` +
          `missing ${row.id}  data/${row.item}  request unknown  accepted ${accepted(row.id)}\n` +
          `missing ${moved.id}  data/moved  request r-2  accepted ${accepted(moved.id)}\n`,
      ),
      out,
    );
  });

  it("takes no receipt of another item or write for a write's own", async () => {
    const [one] = (await create(1)) as [Write];
    const { status, missing } = await audit(formatLine(lost({ item: one.item })));
    assert.equal(status, 1);
    assert.equal(missing.length, 1);
    const elsewhere = await audit(formatLine(lost({ collection: "unheardOf", item: one.item })));
    assert.equal(elsewhere.missing[0]?.collection, "unheardOf");
  });

  it("counts as in flight what is younger than the grace, if it is unsettled", async () => {
    const [settled] = (await create(1)) as [Write];
    const input =
      formatLine(lost(), settled) + formatLine(lost({ id: v7({ msecs: Date.now() - 61_000 }) }));
    const { status, counts } = await audit(input, []);
    assert.equal(status, 1);
    assert.equal(counts.inFlight, 1);
    assert.equal(counts.settled.applied, 1);
    assert.equal(counts.missing, 1);
    const patient = await audit(input, ["--grace", "2m"]);
    assert.equal(patient.status, 0);
    assert.equal(patient.counts.inFlight, 2);
  });

  it("tells what is beyond the retention from what is missing; a row may be older", async () => {
    const old = v7({ msecs: Date.now() - 31 * DAY_MS });
    const oldRow = v7({ msecs: Date.now() - 31 * DAY_MS });
    const [row] = (await create(1)) as [Write];
    await query(environment.pool, "UPDATE data SET version = ? WHERE id = ?", [oldRow, row.item]);
    const input = formatLine(lost({ id: old }), { ...row, id: oldRow });
    const { status, counts } = await audit(input);
    assert.equal(status, 0);
    assert.equal(counts.beyondRetention, 1);
    assert.equal(counts.settled.applied, 1);
    const longer = await audit(input, NO_GRACE, { RECEIPT_RETENTION_DAYS: "32" });
    assert.equal(longer.status, 1);
    assert.deepEqual([longer.counts.beyondRetention, longer.counts.missing], [0, 1]);
  });

  it("counts a write that is read again once", async () => {
    const [one, two] = (await create(2)) as [Write, Write];
    const gone = lost();
    const input = `${formatLine(one, two, gone)}${formatLine(two)}${formatLine(gone)}${one.id}\n`;
    const { status, counts, missing } = await audit(input);
    assert.equal(status, 1);
    assert.deepEqual([counts.writes, counts.repeated, missing.length], [3, 3, 1]);
    assert.deepEqual([counts.acceptedLines, counts.bareIds], [3, 1]);
  });

  it("reads gcloud's entries, as an array or one a line", async () => {
    const [one, two] = (await create(2)) as [Write, Write];
    const time = new Date().toISOString();
    const other = {
      insertId: "x",
      timestamp: time,
      textPayload: 'writes accepted ] } " \\" [ { of a text',
    };
    const entries = [buildEntry(1, time, one), other, buildEntry(2, time, two, lost()), "a string"];
    const inputs = [
      JSON.stringify(entries, null, 2),
      JSON.stringify(entries),
      `\n ${JSON.stringify(entries)}\n[]`,
      entries.map((entry) => JSON.stringify(entry)).join("\r\n"),
    ];
    for (const input of inputs) {
      const { status, counts, err } = await audit(input);
      assert.equal(err, "");
      assert.equal(status, 1);
      assert.deepEqual([counts.acceptedLines, counts.writes, counts.others], [2, 3, 2], input);
      assert.deepEqual([counts.settled.applied, counts.missing, counts.unreadable], [2, 1, 0]);
    }
  });

  it("finds bare ids wherever their receipts are, and says what that costs", async () => {
    const writes = await create(3);
    const { body: replaced } = await client.put("/api/data/bare", { nombre: "x" });
    await client.settled(replaced.receipt);
    await client.put("/api/data/bare", { nombre: "y" }, WAIT);
    const gone = mintWriteId();
    const ids = [...writes.map(({ id }) => id), replaced.write, gone];
    for (const input of [`${ids.join("\n")}`, JSON.stringify(ids)]) {
      const { status, counts, missing, err } = await audit(input);
      assert.equal(status, 1);
      assert.deepEqual([counts.bareIds, counts.settled.applied], [5, 4]);
      assert.deepEqual(
        missing.map(({ write, item }) => [write, item]),
        [[gone, undefined]],
      );
      assert.equal(err, "4 bare ids have no receipt yet: reading every row to find them.\n");
    }
    const { status, err } = await audit(replaced.write);
    assert.deepEqual({ status, err }, { status: 0, err: "" });
  });

  it("misses no version that is replaced while it is looked for", async () => {
    for (const [isBare, statement] of [
      [false, /WHERE id IN .*/],
      [true, /ORDER BY id LIMIT/],
    ] as const) {
      const [write] = (await create(1)) as [Write];
      let replacements = 0;
      /** Replaces it behind the read of its row, or just before every row is read. */
      const replace = async () => {
        replacements += 1;
        await client.put(`/api/data/${write.item}`, { nombre: "newer" }, WAIT);
      };
      const slowQuery = async (options: { sql: string }) => {
        const isRead = /FROM `data`/.test(options.sql) && statement.test(options.sql);
        if (isRead && isBare) await replace();
        const answer = await environment.pool.query(options);
        if (isRead && !isBare) await replace();
        return answer;
      };
      const findings = createFindings();
      const accepted = isBare ? { id: write.id } : write;
      await auditWrites({
        pool: { query: slowQuery } as unknown as Pool,
        collections,
        source: (async function* () {
          yield [accepted];
        })(),
        graceMs: 0,
        retentionMs: DAY_MS,
        findings,
        onScan: () => {},
      });
      assert.equal(replacements, 1);
      assert.deepEqual([findings.settled.applied, findings.missing], [1, 0]);
    }
  });

  it("says that broken input may hide writes, and ends with 3, or with 1 if some are missing", async () => {
    const [one] = (await create(1)) as [Write];
    const whole = formatLine(one);
    const array = JSON.stringify([buildEntry(1, "t", one), buildEntry(2, "t", one)], null, 2);
    const broken = [
      whole + whole.slice(0, -20),
      `${whole}api-1  | 12:00:00.000 api info writes accepted [x | y]\n`,
      whole + formatLine({ ...one, id: "not-an-id" }),
      whole + formatLine({ ...one, item: "ñ" }),
      whole + formatLine(),
      whole + formatLine(one).replace('"metadata"', '"elsewhere"'),
      array.slice(0, -3),
      array.slice(0, -1),
    ];
    for (const input of broken) {
      const { status, err, counts } = await audit(input);
      assert.equal(counts.settled.applied, 1);
      assert.equal(counts.unreadable, 1, input.slice(-200));
      assert.equal(status, 3);
      assert.match(err, /^Some of the input is broken, .* LOG_FORMAT=json\.\n$/);
    }
    assert.equal((await audit(formatLine(lost()) + whole.slice(0, -20))).status, 1);
    const long = `${"x".repeat(3_000_000)}\n${whole}`;
    assert.deepEqual((await audit(long)).counts.others, 1);
    assert.equal((await audit("")).status, 0);
  });

  it("reads Google Cloud's logs page by page, by time, each entry once", async () => {
    const writes = await create(1_300);
    const startMs = Date.now() - 60_000;
    // The first page ends among entries of one instant.
    const entries = writes.map((write, index) => {
      const tick = index > 900 && index < 1_100 ? 900 : index;
      return buildEntry(index, new Date(startMs + tick).toISOString(), write);
    });
    const { status, out, err, calls } = await auditLogs([...entries].reverse());
    assert.equal(err, "");
    assert.equal(status, 0);
    const { counts } = JSON.parse(out) as Report;
    assert.deepEqual([counts.acceptedLines, counts.repeated], [1_300, 0]);
    assert.equal(counts.settled.applied, 1_300);
    assert.equal(calls.length, 2);
    assert.ok(calls[1]?.includes(`timestamp>="${entries[901]?.timestamp}"`), calls[1]);

    const instant = new Date(startMs).toISOString();
    const atOnce = entries.map((entry) => ({ ...entry, timestamp: instant }));
    const dense = JSON.parse((await auditLogs(atOnce)).out) as Report;
    assert.deepEqual([dense.counts.acceptedLines, dense.counts.repeated], [1_300, 0]);
  });

  it("reads between --since and --until only, as times or as times ago", async () => {
    const ago = (ms: number) => new Date(Date.now() - ms).toISOString();
    const [old, middle, young] = [lost(), lost(), lost()];
    const entries = [
      buildEntry(1, ago(3_000_000), old),
      buildEntry(2, ago(1_000_000), middle),
      buildEntry(3, ago(1_000), young),
    ];
    const findMissing = async (...args: string[]) => {
      const { status, out } = await auditLogs(entries, [...args, "--json"]);
      assert.equal(status, 1);
      return (JSON.parse(out) as Report).missing.map(({ write }) => write);
    };
    assert.deepEqual(await findMissing("--since=1h"), [old.id, middle.id, young.id]);
    assert.deepEqual(await findMissing("--since=30m", "--until=90s"), [middle.id]);
    assert.deepEqual(await findMissing(`--since=${ago(3_100_000)}`, `--until=${ago(900_000)}`), [
      old.id,
      middle.id,
    ]);
    const { status } = await auditLogs([], ["--since", "2d"]);
    assert.equal(status, 0);
  });

  it("ends with 3, and says why, where gcloud or MySQL cannot be asked", async () => {
    const entries = [buildEntry(1, new Date().toISOString(), lost())];
    const faults: [Record<string, string>, RegExp][] = [
      [
        { FAULT: "fail" },
        /^gcloud logging read failed \(status 1\): .*PERMISSION_DENIED.* use --file .*\n$/,
      ],
      [{ FAULT: "garbage" }, /^gcloud logging read printed something that is not JSON\.\n$/],
      [{ FAULT: "cut" }, /^gcloud logging read printed something that is not JSON\.\n$/],
      [
        { PATH: "/nowhere" },
        /^gcloud is not on the PATH: install the Google Cloud CLI.* use --file /,
      ],
      [{ GOOGLE_CLOUD_PROJECT: "" }, /^The configuration is invalid:\n.*GOOGLE_CLOUD_PROJECT/],
      [{ MYSQL_URL: "" }, /^The configuration is invalid:\n.*MYSQL_URL is missing/],
      [{ MYSQL_URL: "mysql://me:secret@127.0.0.1:1/db" }, /^MySQL cannot be reached at 127.*\n$/],
    ];
    for (const [env, sentence] of faults) {
      const { status, out, err } = await auditLogs(entries, since(), env);
      assert.deepEqual({ status, out }, { status: 3, out: "" }, JSON.stringify(env));
      assert.match(err, sentence);
      assert.doesNotMatch(err, /secret/);
    }
    const { status, err } = await run(["--file=-"], "", { MYSQL_URL: "mysql://me@127.0.0.1:1/db" });
    assert.equal(status, 3);
    assert.match(err, /^MySQL cannot be reached/);
    await query(environment.pool, "RENAME TABLE writes TO away");
    const tableless = await run(["--file=-"], formatLine(lost()));
    await query(environment.pool, "RENAME TABLE away TO writes");
    assert.equal(tableless.status, 3);
    assert.match(tableless.err, /^MySQL: Table .* Run npm run migrate first\.\n$/);
  });

  it("prints its progress while it reads for long", async () => {
    const { child, status } = start(["--file=-", "--json", ...NO_GRACE]);
    let err = "";
    child.stderr.on("data", (chunk) => {
      err += chunk;
    });
    const out = readText(child.stdout);
    child.stdin.write(formatLine(lost()));
    const progress = "read 1 accepted lines, 1 writes; 0 missing so far\n";
    await until("it has printed progress", () => err.includes(progress));
    child.stdin.end();
    assert.equal(await status, 1);
    assert.equal((JSON.parse(await out) as Report).counts.missing, 1);
  });

  it("names very many, and lets nothing that was logged steer the terminal", async () => {
    const writes = Array.from({ length: 20_000 }, () => lost({ request: "\u001b[2J" }));
    const { missing } = await audit(writes.map((write) => formatLine(write)).join(""));
    assert.deepEqual(
      missing.map(({ write }) => write),
      writes.map(({ id }) => id),
    );
    const { out } = await run(["--file=-", ...NO_GRACE], formatLine(...writes.slice(0, 2)));
    assert.doesNotMatch(out, /[\p{Cc}--\n]/v);
    const { child, status } = start(["--file=-", ...NO_GRACE]);
    child.stdout.destroy();
    child.stdin.end(writes.map((write) => formatLine(write)).join(""));
    assert.equal(removeProgress(await readText(child.stderr)), "");
    assert.equal(await status, 1);
  });

  it("is a program: it reads its standard input, and its status is the result", async () => {
    const { child, status } = start(["--file=-", ...NO_GRACE]);
    child.stdin.end(formatLine(lost()));
    assert.match(await readText(child.stdout), /^missing +1$/m);
    assert.equal(await status, 1);
    const wrong = start(["--file=-", "--grace=x"]);
    assert.match(await readText(wrong.child.stderr), /^--grace must be a duration/);
    assert.equal(await wrong.status, 2);
  });

  it("helps on --help, and tells of wrong arguments on standard error with 2", async () => {
    for (const flag of ["--help", "-h"]) {
      const { status, out, err } = await run([flag]);
      assert.deepEqual({ status, err }, { status: 0, err: "" });
      for (const part of ["--since", "--until", "--file", "--grace", "--json", "Exit status: 0"])
        assert.ok(out.includes(part), part);
    }
    const wrong: [string[], RegExp][] = [
      [[], /^Give either --since or --file\./],
      [["--since=1h", "--file=-"], /^Give either --since or --file\./],
      [["--file=-", "--until=1h"], /^--until is only for --since\./],
      [["--since=1h", "--until=2h"], /^--since must be before --until/],
      [["--since=2099-01-01T00:00:00Z"], /^--since must be before/],
      [["--file=/no/such/file"], /^The file \/no\/such\/file cannot be read \(ENOENT\)\./],
      [[`--file=${tmpdir()}`], /is a folder/],
      [["--file=-", "--grace=x"], /^--grace must be a duration/],
      [["--since"], /^Option '--since <value>' argument missing/],
      [["--unknown"], /^Unknown option '--unknown'/],
      [["x"], /^Unexpected argument 'x'/],
      ...["", "1", "h", "1w", "-1h", "1.5h", "yesterday", "2026-13-01T00:00:00Z"].map(
        (text): [string[], RegExp] => [[`--since=${text}`], /^--since must be a time ago/],
      ),
    ];
    for (const [args, sentence] of wrong) {
      const { status, out, err } = await run(args);
      assert.equal(status, 2, args.join(" "));
      assert.equal(out, "");
      assert.match(err, sentence);
      assert.ok(err.includes("npm run ops -- audit --since"), "the usage");
    }
  });
});
