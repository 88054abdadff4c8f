import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { text } from "node:stream/consumers";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { collections } from "../../collections/collections.ts";
import { PUBLISH, SETTLE } from "../limits.ts";

/** What Docker and others split a longer line into, so that it is no JSON any more. */
const LINE_BYTES = 16 * 1024;
const LOGGER = import.meta.resolve("./logger.ts");
/** Of the line that Google's library adds once, which names its version. */
const DIAGNOSTIC = "logging.googleapis.com/diagnostic";
const TRACE = "4bf92f3577b34da6a3ce929d0e0e4736";

/** The lines of a process that runs `script` with a logger, and then exits. */
async function print(
  script: string,
  { format = "json", readAfterMs = 0, env = {} } = {},
): Promise<string[]> {
  const source = `
    const { createLogger, flushLog } = await import(${JSON.stringify(LOGGER)});
    const options = { service: "api", version: "v7", projectId: "some-project", level: "info" };
    const logger = await createLogger({ ...options, format: ${JSON.stringify(format)} });
    ${script}
    await flushLog();
    process.exit();`;
  const child = spawn(process.execPath, ["--input-type=module", "--eval", source], {
    env: {
      METADATA_SERVER_DETECTION: "none",
      NODE_COMPILE_CACHE: process.env.NODE_COMPILE_CACHE,
      ...env,
    },
    stdio: ["ignore", "pipe", "inherit"],
  });
  await sleep(readAfterMs);
  const output = await text(child.stdout);
  assert.ok(output.endsWith("\n"));
  return output.slice(0, -1).split("\n");
}

/** The one line, beside the one in which Google's library names itself. */
async function printOne(script: string): Promise<string> {
  const lines = await print(script);
  const [line = "", ...more] = lines.filter((line) => !line.includes(DIAGNOSTIC));
  assert.deepEqual(more, []);
  return line;
}

/** A line that nothing splits, parsed; its end counts, too. */
function assertFits(line: string) {
  assert.ok(Buffer.byteLength(line) < LINE_BYTES, `${Buffer.byteLength(line)} bytes`);
  return JSON.parse(line);
}

describe("a log line for Cloud Logging", () => {
  it("has its fields in `metadata`, and severity, labels, trace and time by Google's names", async () => {
    const fields = { count: 1, writes: [{ id: "a" }], trace: TRACE, none: undefined };
    const [first = "", second = "", ...more] = await print(
      `logger.info("some event", ${JSON.stringify(fields)}); logger.warn("another", {});
       logger.debug("below the level");`,
    );
    const line = JSON.parse(first);
    const { seconds, nanos } = line.timestamp;
    assert.ok(Math.abs(Date.now() / 1_000 - seconds) < 60 && nanos < 1e9);
    assert.equal(typeof line["logging.googleapis.com/insertId"], "string");
    assert.deepEqual(line, {
      timestamp: line.timestamp,
      severity: "INFO",
      message: "some event",
      metadata: { count: 1, writes: [{ id: "a" }], trace: TRACE },
      logName: "projects/some-project/logs/winston_log",
      "logging.googleapis.com/labels": { service: "api" },
      "logging.googleapis.com/trace": `projects/some-project/traces/${TRACE}`,
      "logging.googleapis.com/insertId": line["logging.googleapis.com/insertId"],
    });
    assert.ok(DIAGNOSTIC in JSON.parse(second));
    assert.equal(more.length, 1);
    const last = JSON.parse(more[0] as string);
    assert.deepEqual([last.severity, last.message, last.metadata], ["WARNING", "another", {}]);
    assert.ok(!("logging.googleapis.com/trace" in last));
  });

  it("has an error's stack where Error Reporting looks for it, cut to a size", async () => {
    const line = await printOne(
      `logger.error("it failed", { stack: new Error("x".repeat(1_000_000)).stack });`,
    );
    const { severity, message, serviceContext, metadata } = JSON.parse(line);
    assert.equal(severity, "ERROR");
    assert.match(message, /^it failed Error: x+…$/);
    assert.deepEqual(serviceContext, { service: "constancia-api", version: "v7" });
    assert.ok(metadata.stack.length > 6_000 && metadata.truncated);
    assertFits(line);
  });

  it("is whole for each part of the largest batch, and none of its writes is missing", async () => {
    const longest = (length: number) => "x".repeat(length);
    const collection = longest(Math.max(...collections.map(({ name }) => name.length), 32));
    const write = { collection, item: longest(64), trace: TRACE };
    for (const [count, fields, others] of [
      // Every character of this request id is escaped.
      [PUBLISH.maxItems, { ...write, request: '"'.repeat(128) }, "count: writes.length"],
      [
        SETTLE.maxItems,
        { ...write, outcome: "superseded", lagMs: 31 * 86_400_000 },
        "durationMs: 1",
      ],
      [SETTLE.maxItems, { id: 1 }, "durationMs: 1"],
    ] as const) {
      const lines = await print(
        `const { splitIntoLines } = await import(${JSON.stringify(LOGGER)});
         const fields = ${JSON.stringify(fields)};
         const all = Array.from({ length: ${count} }, (_, i) => ({ ...fields, id: String(i).padStart(36, "0") }));
         for (const writes of splitIntoLines(all)) logger.info("some event", { writes, ${others} });`,
      );
      const parsed = lines.filter((line) => !line.includes(DIAGNOSTIC)).map(assertFits);
      const ids = parsed.flatMap(({ metadata }) =>
        metadata.writes.map(({ id }: { id: string }) => id),
      );
      assert.deepEqual(ids.map(Number), [...Array(count).keys()]);
      assert.ok(parsed.every(({ metadata }) => metadata.truncated === undefined));
      assert.ok(parsed.length < 25, `${parsed.length} lines`);
    }
  });

  it("fits whatever it is given, keeps what comes first, and says that it was cut", async () => {
    for (const fields of [
      '{ a: "first", deep: { list: Array(100).fill({ text: "x".repeat(20_000) }) } }',
      '{ a: "first", list: Array(100_000).fill(1), last: "never" }',
      '{ a: "first", list: Array(30_000).fill("\\u0001\\u2028é") }',
      '{ a: "first", text: "\\u0001\\u2028é🙂\\ud800".repeat(9_000) }',
      '{ a: "first", stack: "é".repeat(16_000) }',
      '{ a: "first", names: Object.fromEntries(Array.from({ length: 20_000 }, (_, i) => ["\\u0001".repeat(9) + i, i])) }',
      '{ a: "first", ...Object.fromEntries(Array.from({ length: 5_000 }, (_, i) => ["name" + i, i])) }',
    ]) {
      const { message, metadata } = assertFits(
        await printOne(`logger.info("some event", ${fields});`),
      );
      assert.deepEqual([message.slice(0, 10), metadata.a], ["some event", "first"], fields);
      assert.equal(metadata.truncated, true);
    }
    const { message } = assertFits(await printOne('logger.info("é".repeat(40_000), { a: 1 });'));
    assert.ok(message.length > 7_000 && message.endsWith("…"), message.length);
  });

  it("is not lost when the process exits, however slowly it is read", async () => {
    const script = `for (let i = 0; i < 2_000; i += 1) logger.info("event", { i, x: "x".repeat(500) });`;
    const lines = (await print(script, { readAfterMs: 1_000 })).map((line) => JSON.parse(line));
    const numbers = lines.flatMap(({ message, metadata }) => (message ? [metadata.i] : []));
    assert.deepEqual(
      numbers,
      Array.from({ length: 2_000 }, (_, index) => index),
    );
  });
});

describe("a log line for people", () => {
  const writes = [1, 2, 3, 4].map((id) => ({ id, outcome: "applied" }));
  const script = `logger.info("some event", { text: "a b", list: [1], writes: ${JSON.stringify(writes)} });`;

  it("has the time, the service, the level, the message and the fields, and no colours in a pipe", async () => {
    const [line = ""] = await print(script, { format: "pretty" });
    assert.match(line, /^\d\d:\d\d:\d\d\.\d{3} api {8}info some event /);
    assert.match(
      line,
      / text=a b list=\[1\] \[1 applied \| 2 applied \| 3 applied \| and 1 more\]$/,
    );
  });

  it("is coloured where FORCE_COLOR says so, as npm start does for its terminal", async () => {
    const [line = ""] = await print(script, { format: "pretty", env: { FORCE_COLOR: "1" } });
    assert.ok(line.includes(" \u001b[32minfo\u001b[39m some event \u001b[2mtext=a b "), line);
    assert.ok(line.endsWith(" and 1 more]\u001b[22m"), line);
  });
});
