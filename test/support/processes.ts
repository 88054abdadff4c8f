import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import type { Collection } from "../../common/collection.ts";
import { readConfig } from "../../common/config.ts";
import type { Running } from "../../common/process.ts";
import { createLogger } from "../../common/telemetry/logger.ts";
import { findAnyPort } from "../../local/ports.ts";
import { until } from "./until.ts";

export type ProcessName = "api" | "subscriber";

/** The API or the subscriber, started as a process of its own. */
export type Spawned = {
  child: ChildProcess;
  port: number;
  url: string;
  /** Everything that it printed so far. */
  output(): string;
  /** Sends a signal and waits for the end; the exit code, or null where a signal ended it. */
  end(signal?: NodeJS.Signals): Promise<number | null>;
};

/** Of the output, the end is kept. */
const MAX_OUTPUT_CHARACTERS = 1_000_000;

/** Starts the API or the subscriber in this process. */
export async function startInProcess(
  name: ProcessName,
  env: Record<string, string>,
  collections: readonly Collection[],
): Promise<Running> {
  process.env.PUBSUB_EMULATOR_HOST = env.PUBSUB_EMULATOR_HOST;
  const config = readConfig({ PORT: "0", ...env }, name);
  const logger = await createLogger({
    service: name,
    projectId: config.GOOGLE_CLOUD_PROJECT,
    format: config.LOG_FORMAT,
    level: config.LOG_LEVEL,
  });
  const { start } =
    name === "api" ? await import("../../api/main.ts") : await import("../../subscriber/main.ts");
  return start(config, logger, collections);
}

/** Starts the API or the subscriber as a process; resolves once it says that it has started. */
export async function spawnProcess(
  name: ProcessName,
  env: Record<string, string>,
  args?: readonly string[],
): Promise<Spawned> {
  const port = await findAnyPort();
  const main = new URL(`../../${name}/main.ts`, import.meta.url).pathname;
  const child = spawn(process.execPath, args ?? [main], {
    env: {
      PATH: process.env.PATH,
      PORT: String(port),
      ...env,
      // A bundle has a compile cache of its own.
      NODE_COMPILE_CACHE: args ? undefined : env.NODE_COMPILE_CACHE,
      LOG_LEVEL: env.LOG_LEVEL === "error" ? "info" : env.LOG_LEVEL,
    },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr])
    stream?.on("data", (chunk) => {
      output = (output + chunk).slice(-MAX_OUTPUT_CHARACTERS);
    });
  // Not "exit", by when its last output may not have been read.
  const ended = once(child, "close");
  await until(`the ${name} has started`, () => {
    if (child.exitCode !== null) throw new Error(`The ${name} ended at once: ${output}`);
    return output.includes(`${name} started`);
  });
  return {
    child,
    port,
    url: `http://127.0.0.1:${port}`,
    output: () => output,
    async end(signal = "SIGTERM") {
      if (child.exitCode === null && child.signalCode === null) {
        child.kill(signal);
        await ended;
      }
      return child.exitCode;
    },
  };
}
