import { spawn } from "node:child_process";
import { once } from "node:events";
import { globSync, mkdirSync, rmSync } from "node:fs";
import { constants } from "node:os";
import { join } from "node:path";
import { startLocalPubsub } from "./local-pubsub.ts";
import { startMysql } from "./mysql.ts";
import type { Engine } from "./mysql-packages.ts";
import { startEmulator } from "./official-emulator.ts";
import { findAnyPort } from "./ports.ts";
import { isRunning } from "./processes.ts";
import { PUBSUB_KINDS } from "./pubsub.ts";
import { endLeftovers, RunFile } from "./run-file.ts";
import { Supervisor } from "./supervisor.ts";

const ROOT = join(import.meta.dirname, "..");
const LOCAL = join(ROOT, ".local");
const FOLDER = join(LOCAL, `test-${process.pid}`);
const MARK = "test.ts";
const TEST_TIMEOUT_MS = 15 * 60_000;
const RUNNER_STOP_DEADLINE_MS = 10_000;
/** Of the lines of what runs in the cloud. It was 99; the rest is for what only a race runs. */
const LEAST_COVERED_LINES_PERCENT = 97;

const say = (line: string) => console.log(`constancia: ${line}`);

await main();

/**
 * Runs the tests with a MySQL and a Pub/Sub of their own, which are gone afterwards, or with the
 * ones that MYSQL_URL and PUBSUB_EMULATOR_HOST name. `--coverage` counts lines too, and fails where
 * too few were run.
 */
async function main(): Promise<void> {
  process.chdir(ROOT);
  await removeLeftovers();
  mkdirSync(FOLDER, { recursive: true });
  process.once("exit", () => rmSync(FOLDER, { recursive: true, force: true }));
  const supervisor = new Supervisor(await RunFile.claim(join(FOLDER, "run.json"), MARK, say), say);
  let interruptRunner = async () => {};
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.on(signal, async () => {
      await interruptRunner();
      await supervisor.stop(128 + constants.signals[signal]);
    });
  }
  try {
    const settings = await startServers(supervisor);
    const given = process.argv.slice(2).filter((argument) => argument !== "--coverage");
    const files = given.length > 0 ? given : findTests();
    const options = given.length + 2 < process.argv.length ? coverageOptions() : [];
    const runner = spawn(process.execPath, [...runnerOptions(), ...options, ...files], {
      env: { ...process.env, ...settings },
      stdio: "inherit",
    });
    const ended = once(runner, "exit");
    interruptRunner = async () => {
      runner.kill("SIGINT");
      const timer = setTimeout(() => runner.kill("SIGKILL"), RUNNER_STOP_DEADLINE_MS);
      await ended;
      clearTimeout(timer);
    };
    const [code] = await ended;
    await supervisor.stop(code ?? 1);
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

async function startServers(supervisor: Supervisor): Promise<Record<string, string>> {
  const engine = (process.env.TEST_ENGINE || "mysql") as Engine;
  if (engine !== "mysql" && engine !== "mariadb") {
    throw new Error(`TEST_ENGINE must be mysql or mariadb, not "${engine}"`);
  }
  const pubsubKind = process.env.TEST_PUBSUB || "local";
  if (!PUBSUB_KINDS.some((kind) => kind === pubsubKind)) {
    throw new Error(`TEST_PUBSUB must be ${PUBSUB_KINDS.join(" or ")}, not "${pubsubKind}"`);
  }
  const onStart = supervisor.add.bind(supervisor);
  const logFile = join(FOLDER, "pubsub.log");
  const startOwnMysql = async () => {
    const folder = join(FOLDER, engine);
    return await startMysql({ folder, port: await findAnyPort(), engine, say, onStart });
  };
  const startOwnPubsub = async () => {
    const options = { port: await findAnyPort(), logFile, say, onStart };
    return pubsubKind === "local" ? await startLocalPubsub(options) : await startEmulator(options);
  };
  const { MYSQL_URL, PUBSUB_EMULATOR_HOST } = process.env;
  const [mysql, pubsub] = await Promise.all([
    MYSQL_URL ? { url: MYSQL_URL } : startOwnMysql(),
    PUBSUB_EMULATOR_HOST ? { host: PUBSUB_EMULATOR_HOST } : startOwnPubsub(),
  ]);
  return {
    TEST_ENGINE: engine,
    TEST_MYSQL_URL: mysql.url,
    TEST_PUBSUB: pubsubKind,
    PUBSUB_EMULATOR_HOST: pubsub.host,
    METADATA_SERVER_DETECTION: "none",
  };
}

function findTests(): string[] {
  return globSync("**/*.test.ts", {
    exclude: ["**/node_modules", ".local", ".git", "proof"],
  }).sort();
}

function runnerOptions(): string[] {
  return [
    "--test",
    "--test-reporter=spec",
    "--test-concurrency=2",
    `--test-timeout=${TEST_TIMEOUT_MS}`,
  ];
}

function coverageOptions(): string[] {
  return [
    "--experimental-test-coverage",
    `--test-coverage-lines=${LEAST_COVERED_LINES_PERCENT}`,
    "--test-coverage-include={api,collections,common,subscriber}/**/*.ts",
    "--test-coverage-exclude=**/*.test.ts",
  ];
}
