import { spawn } from "node:child_process";
import { once } from "node:events";
import { globSync, mkdirSync, rmSync } from "node:fs";
import { constants } from "node:os";
import { join, relative } from "node:path";
import { run } from "node:test";
import { spec } from "node:test/reporters";
import { prepareMonitoringPrograms } from "../monitoring/programs.ts";
import { UsageError } from "../ops/command-line.ts";
import { findChromium } from "./chromium.ts";
import { startLocalPubsub } from "./local-pubsub.ts";
import { startMysql } from "./mysql.ts";
import { startEmulator } from "./official-emulator.ts";
import { findAnyPort } from "./ports.ts";
import { isRunning, killDescendants, withProgress } from "./processes.ts";
import { endLeftovers, RunFile } from "./run-file.ts";
import { Supervisor } from "./supervisor.ts";
import { HELP, readTestOptions, type TestOptions } from "./test-options.ts";
import { collectSummary, writeJobSummary } from "./test-summary.ts";

const ROOT = join(import.meta.dirname, "..");
const LOCAL = join(ROOT, ".local");
const FOLDER = join(LOCAL, `test-${process.pid}`);
const MARK = "test.ts";
const TEST_TIMEOUT_MS = 15 * 60_000;
/** Of the lines of what runs in the cloud. It was 99; the rest is for what only a race runs. */
const LEAST_COVERED_LINES_PERCENT = 97;
const COVERAGE = {
  coverage: true,
  lineCoverage: LEAST_COVERED_LINES_PERCENT,
  coverageIncludeGlobs: ["{api,collections,common,subscriber}/**/*.ts"],
  coverageExcludeGlobs: ["**/*.test.ts"],
};
/** The test files that take longest, in their order; they do not have to be complete. */
const LONGEST = [
  "test/settling/tables.test.ts",
  "test/settling/silent-mysql.test.ts",
  "test/operations/monitoring.test.ts",
  "test/settling/faults-apart.test.ts",
  "test/console/console.test.ts",
  "test/settling/outages.test.ts",
  "test/operations/migrate.test.ts",
  "test/settling/two-versions.test.ts",
  "test/settling/nothing-lost.test.ts",
  "test/operations/traces.test.ts",
  "test/pubsub/faults.test.ts",
  "test/settling/settle-mysql.test.ts",
  "deploy/rollout/rollout.test.ts",
  "test/settling/connections.test.ts",
  "test/settling/pull.test.ts",
  "test/deploy/bundle.test.ts",
  "test/http/owner.test.ts",
  "test/settling/publish.test.ts",
  "test/operations/audit.test.ts",
  "test/http/changes.test.ts",
  "test/deploy/rollout.test.ts",
  "local/mysql-server.test.ts",
  "test/deploy/compose.test.ts",
  "common/telemetry/logger.test.ts",
  "test/http/bulk.test.ts",
  "test/http/large-answers.test.ts",
  "test/settling/push.test.ts",
  "test/settling/owner-mysql.test.ts",
  "test/pubsub/push.test.ts",
  "test/docs/operations-docs.test.ts",
  "test/http/bad-input.test.ts",
  "test/http/openapi-security.test.ts",
  "test/http/conditions.test.ts",
  "test/http/exact-values.test.ts",
  "test/http/forged-tokens.test.ts",
  "test/http/created.test.ts",
  "test/settling/publish-time.test.ts",
  "test/operations/metrics.test.ts",
  "test/http/pages.test.ts",
  "test/http/second-collection.test.ts",
];
/**
 * The tests' data end with them, so nothing waits for the disk; what a killed server has committed
 * is still there, since only the machine's own failure would lose it.
 */
const MYSQL_ARGS: string[] = [
  "--innodb-flush-log-at-trx-commit=2",
  "--innodb-doublewrite=0",
  "--skip-log-bin",
  "--innodb-flush-method=nosync",
];

/** After the tests nothing is printed, so that the runner's summary comes last. */
let isQuiet = false;
const say = (line: string) => {
  if (!isQuiet) console.log(`constancia: ${line}`);
};

try {
  const options = readTestOptions();
  if (options.help) console.log(HELP);
  else await main(options);
} catch (error) {
  if (!(error instanceof UsageError)) throw error;
  console.error(`constancia: ${error.message}\n\n${HELP}`);
  process.exitCode = 2;
}

async function main(options: TestOptions): Promise<void> {
  process.chdir(ROOT);
  await removeLeftovers();
  mkdirSync(FOLDER, { recursive: true });
  process.once("exit", () => {
    killDescendants();
    rmSync(FOLDER, { recursive: true, force: true });
  });
  const supervisor = new Supervisor(await RunFile.claim(join(FOLDER, "run.json"), MARK, say), say);
  const interrupted = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.on(signal, () => {
      interrupted.abort();
      void supervisor.interrupt(128 + constants.signals[signal]);
    });
  }
  try {
    await Promise.all([
      startServers(supervisor, options),
      options.check ? runCheck() : undefined,
      options.files.length === 0 ? fetchPrograms() : undefined,
    ]);
    const hasPassed = await runTests(options, interrupted.signal);
    isQuiet = true;
    if (!interrupted.signal.aborted) await supervisor.stop(hasPassed ? 0 : 1);
  } catch (error) {
    await supervisor.stop(1, (error as Error).message);
  }
}

async function removeLeftovers(): Promise<void> {
  for (const folder of globSync(join(LOCAL, "test-*"))) {
    const pid = Number(/\d+$/.exec(folder)?.[0]);
    if (isRunning({ pid, mark: MARK })) continue;
    await endLeftovers(join(folder, "run.json"), say);
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Starts the servers that are not given, and sets the variables that the tests find them by. */
async function startServers(
  supervisor: Supervisor,
  { engine, pubsub: pubsubKind, coverage }: TestOptions,
): Promise<void> {
  const onStart = supervisor.add.bind(supervisor);
  const startOwnMysql = async () => {
    const folder = join(FOLDER, engine);
    const args = MYSQL_ARGS;
    return await startMysql({ folder, port: findAnyPort, engine, say, onStart, args });
  };
  const startOwnPubsub = async () => {
    const logFile = join(FOLDER, "pubsub.log");
    const options = { port: await findAnyPort(), logFile, say, onStart };
    return pubsubKind === "local" ? await startLocalPubsub(options) : await startEmulator(options);
  };
  const { MYSQL_URL, PUBSUB_EMULATOR_HOST } = process.env;
  const [mysql, pubsub] = await Promise.all([
    MYSQL_URL ? { url: MYSQL_URL } : startOwnMysql(),
    PUBSUB_EMULATOR_HOST ? { host: PUBSUB_EMULATOR_HOST } : startOwnPubsub(),
  ]);
  Object.assign(process.env, {
    TEST_ENGINE: engine,
    TEST_MYSQL_URL: mysql.url,
    TEST_PUBSUB: pubsubKind,
    PUBSUB_EMULATOR_HOST: pubsub.host,
    METADATA_SERVER_DETECTION: "none",
    // Each test file is a process of its own that loads much the same modules. V8 counts the lines
    // of code from the cache less exactly.
    ...(coverage ? {} : { NODE_COMPILE_CACHE: join(LOCAL, "compile-cache") }),
  });
}

/** What `npm run check` finds is printed only where it finds something. */
async function runCheck(): Promise<void> {
  const check = spawn("npm", ["run", "--silent", "check"], { stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  for (const stream of [check.stdout, check.stderr])
    stream.setEncoding("utf8").on("data", (text: string) => {
      output += text;
    });
  const [code] = await withProgress(say, "checking format, lint and types", once(check, "close"));
  if (code !== 0) throw new Error(`npm run check failed:\n${output}`);
  say("format, lint and types are as they should be");
}

/** Fetches what single tests need, before they start; those say themselves what is missing. */
async function fetchPrograms(): Promise<void> {
  await Promise.allSettled([
    findChromium(join(LOCAL, "browser"), say),
    prepareMonitoringPrograms(say),
  ]);
}

/** Runs each test file as a process of its own; whether all tests have passed. */
async function runTests(options: TestOptions, signal: AbortSignal): Promise<boolean> {
  const files = options.files.length > 0 ? options.files : findTests();
  say(`running ${files.length} test files, ${options.jobs} at a time`);
  const events = run({
    files: files.map((file) => join(ROOT, file)),
    concurrency: options.jobs,
    execArgv: [`--import=${join(import.meta.dirname, "test-process.ts")}`],
    timeout: TEST_TIMEOUT_MS,
    signal,
    ...(options.coverage ? COVERAGE : {}),
  });
  let hasPassed = true;
  let done = 0;
  events.on("test:fail", ({ todo }) => {
    // What is marked `todo` shows a fault that is known; the summary counts it.
    hasPassed &&= todo !== undefined;
  });
  const summary = collectSummary(events, ROOT);
  const reporter = events.compose(spec);
  events.on("test:summary", ({ success, file }) => {
    hasPassed &&= success;
    // The reporter names no file of which only the process has failed.
    if (!success && file) say(`${relative(ROOT, file)} has failed`);
  });
  // Comes as soon as a file has ended; the reports of its tests come in the order of the files.
  events.on("test:complete", ({ name, file, details }) => {
    if (file === undefined || name !== file) return;
    done += 1;
    const seconds = (details.duration_ms / 1_000).toFixed(1);
    say(`${done} of ${files.length} files: ${relative(ROOT, file)} took ${seconds} s`);
  });
  reporter.pipe(process.stdout);
  await once(reporter, "end");
  writeJobSummary(summary);
  return hasPassed;
}

/** All test files, those that take longest first, so that none of these is the last to end. */
function findTests(): string[] {
  const files = globSync("**/*.test.ts", {
    exclude: ["**/node_modules", ".local", ".git", "proof"],
  }).sort();
  return [
    ...LONGEST.filter((file) => files.includes(file)),
    ...files.filter((file) => !LONGEST.includes(file)),
  ];
}
