import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { until } from "../test/support/until.ts";
import { isRunning } from "./processes.ts";

const RUNNER = join(import.meta.dirname, "test.ts");
const TEST_FILE = "test/support/unending-test.ts";
/** Of every process that Node runs. */
const MARK = "node";

type Interruption = { title: string; interrupt(runner: number): void };

const INTERRUPTIONS: Interruption[] = [
  { title: "Ctrl-C in a terminal", interrupt: (runner) => process.kill(-runner, "SIGINT") },
  { title: "a signal to the runner", interrupt: (runner) => process.kill(runner, "SIGTERM") },
  { title: "a runner that is killed", interrupt: (runner) => process.kill(runner, "SIGKILL") },
];

for (const { title, interrupt } of INTERRUPTIONS)
  test(`${title} ends all that the test files have started`, async (t) => {
    const folder = mkdtempSync(join(tmpdir(), "constancia-test-"));
    t.after(() => rmSync(folder, { recursive: true, force: true }));
    const file = join(folder, "pids");
    const { NODE_TEST_CONTEXT: _, ...env } = process.env;
    // With servers that are given it starts none of its own; these are not asked.
    const given = { MYSQL_URL: "mysql://localhost", PUBSUB_EMULATOR_HOST: "localhost:1" };
    const runner = spawn(process.execPath, [RUNNER, TEST_FILE], {
      detached: true,
      stdio: "ignore",
      env: { ...env, ...given, PIDS_FILE: file },
    });
    const ended = once(runner, "exit");
    const readPids = () =>
      existsSync(file) ? (readFileSync(file, "utf8").match(/\d+(?= )/g) ?? []).map(Number) : [];
    await until("the test file has started its servers", () => {
      assert.equal(runner.exitCode, null);
      return readPids().length === 3;
    });
    const started = readPids().map((pid) => ({ pid, mark: MARK }));
    assert.ok(started.every(isRunning));
    interrupt(runner.pid as number);
    await ended;
    await until("all have ended", () => !started.some(isRunning));
  });
