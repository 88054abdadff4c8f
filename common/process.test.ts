import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline/promises";
import { text } from "node:stream/consumers";
import { describe, it } from "node:test";
import { confusesEscapedKeys } from "./json.ts";
import { STOP_DEADLINE_MS } from "./limits.ts";

const PROCESS = import.meta.resolve("./process.ts");
const { NODE_COMPILE_CACHE } = process.env;
const ENV = {
  ...(NODE_COMPILE_CACHE ? { NODE_COMPILE_CACHE } : {}),
  GOOGLE_CLOUD_PROJECT: "some-project",
  MYSQL_URL: "mysql://user@127.0.0.1:1/database",
  METADATA_SERVER_DETECTION: "none",
  ACCESS: "public",
};

/** Runs a process whose start is `start`; sends `signals` once it says so; returns its output and end. */
async function run(start: string, signals: NodeJS.Signals[] = []) {
  const source = `
    const { prepareProcess, createStopHandler } = await import(${JSON.stringify(PROCESS)});
    const { logger } = await prepareProcess("api");
    const keepAlive = setInterval(() => {}, 1_000);
    const start = async () => { ${start} };
    const stop = createStopHandler(start(), logger);
    process.on("SIGTERM", stop).on("SIGINT", stop);
    logger.info("ready");`;
  const child = spawn(process.execPath, ["--input-type=module", "--eval", source], {
    env: ENV,
    stdio: ["ignore", "pipe", "pipe"],
  });
  const exited = once(child, "exit");
  const errors = text(child.stderr);
  const lines: Record<string, string>[] = [];
  for await (const row of createInterface(child.stdout)) {
    const line = JSON.parse(row);
    if (line.message === "ready") for (const signal of signals) child.kill(signal);
    else if (line.message) lines.push(line);
  }
  const [code] = await exited;
  if (confusesEscapedKeys())
    assert.equal(lines.shift()?.message, "working around a bug in the JSON parser of this Node");
  return { code, messages: lines.map(({ message }) => message), lines, errors: await errors };
}

describe("a process", () => {
  it("stops on SIGTERM and SIGINT, once", async () => {
    const stop = `return { stop: async () => logger.info("closed") };`;
    const cases: NodeJS.Signals[][] = [["SIGTERM"], ["SIGINT"], ["SIGINT", "SIGTERM", "SIGTERM"]];
    for (const { code, messages } of await Promise.all(cases.map((signals) => run(stop, signals))))
      assert.deepEqual([code, messages], [0, ["stopping", "closed", "stopped"]]);
  });

  it("exits at the deadline where stopping, or starting, takes longer", async () => {
    const starts = [
      "return { stop: () => new Promise(() => {}) };",
      "await new Promise(() => {});",
    ];
    const since = performance.now();
    for (const { code, messages } of await Promise.all(
      starts.map((one) => run(one, ["SIGTERM"])),
    )) {
      assert.ok(performance.now() - since > STOP_DEADLINE_MS);
      assert.equal(code, 0);
      assert.deepEqual(messages, [
        "stopping",
        "the stop deadline has passed; exiting with work in progress",
      ]);
    }
  });

  it("says in a sentence, without a stack, what of its configuration the collections contradict", async () => {
    const { code, lines, errors } = await run(`
      const { ConfigError } = await import(${JSON.stringify(import.meta.resolve("./config.ts"))});
      throw new ConfigError(["ACCESS must not be public."]);`);
    assert.deepEqual([code, lines], [1, []]);
    assert.equal(errors, "The configuration is invalid:\n  - ACCESS must not be public.\n");
  });

  it("logs an error that nothing caught, and exits with 1", async () => {
    const failures = [
      `throw new Error("some failure");`,
      `setTimeout(() => { throw new Error("some failure"); }); return { stop() {} };`,
      `throw "some failure";`,
    ];
    for (const { code, lines } of await Promise.all(failures.map((failure) => run(failure)))) {
      assert.equal(code, 1);
      assert.deepEqual(
        lines.map(({ severity }) => severity),
        ["ERROR"],
      );
      assert.match(
        lines[0]?.message as string,
        /^uncaught error; the process exits .*some failure/,
      );
    }
  });
});
