import assert from "node:assert/strict";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { isRunning, startProcess } from "./processes.ts";
import { AlreadyRunning, RunFile } from "./run-file.ts";

const MARK = "run-file.test.ts";
const NEVER_A_PID = 2 ** 22 + 1;
let folder: string;
let path: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "constancia-test-"));
  path = join(folder, "run.json");
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

test("a second supervisor is refused with the first one's address", async () => {
  const first = await RunFile.claim(path, MARK, () => {});
  await assert.rejects(
    RunFile.claim(path, MARK, () => {}),
    /already starting \(process \d+\)$/,
  );
  first.recordAddress("http://localhost:8080");
  await assert.rejects(
    RunFile.claim(path, MARK, () => {}),
    (error) => error instanceof AlreadyRunning && /at http:\/\/localhost:8080/.test(error.message),
  );
  first.recordStopping();
  await assert.rejects(
    RunFile.claim(path, MARK, () => {}),
    /is stopping \(process \d+\); start it again once that has ended$/,
  );
  first.release();
  assert.ok(!existsSync(path));
});

test("a killed supervisor's process is ended; a stranger with a recorded pid is not", async () => {
  const mark = `leftover-${process.pid}`;
  const command = [process.execPath, "-e", "setInterval(() => {}, 1000)", mark];
  const own = await startProcess({ name: "own", command, mark, stopDeadlineMs: 1_000 });
  const stranger = { name: "a stranger", pid: process.pid, mark: "not its command line" };
  const { name, pid } = own;
  writeFileSync(
    path,
    JSON.stringify({ pid: NEVER_A_PID, mark, processes: [stranger, { name, pid, mark }] }),
  );
  const said: string[] = [];
  await RunFile.claim(path, MARK, (line) => said.push(line));
  assert.equal(isRunning(own), false);
  assert.deepEqual(said, [`ending own (process ${pid}), left by a run that was killed`]);
});

test("an unreadable file is ignored", async () => {
  writeFileSync(path, "{");
  await RunFile.claim(path, MARK, () => {});
});
