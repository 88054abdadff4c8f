import { type Config, ConfigError, loadConfig, type ProcessName } from "./config.ts";
import { confusesEscapedKeys } from "./json.ts";
import { assertLimits, STOP_DEADLINE_MS } from "./limits.ts";
import { createLogger, flushLog, type Logger } from "./telemetry/logger.ts";

/** A running process: its ports, and how to stop it. */
export type Running = {
  /** Undefined where the process does not listen. */
  port: number | undefined;
  /** The port of `/metrics`, where it has its own. */
  metricsPort?: number | undefined;
  /** Takes no more work, finishes what it has, closes what it opened. */
  stop(): Promise<void>;
};

/** At the stop deadline, so that the process still ends within App Engine's 2 seconds. */
const DEADLINE_FLUSH_MS = 200;
/** A process that failed waits at most this long until its last line is written. */
const FLUSH_DEADLINE_MS = 1_000;

/**
 * What both processes do first: reads the configuration, or exits with 1 and one message that names
 * all that is wrong with it; creates the logger; says where {@link parseJson} works around a fault
 * of this Node; and logs an uncaught error before the process exits with 1. A {@link ConfigError} of a
 * start is printed as one of the variables is, without a stack.
 */
export async function prepareProcess(
  name: ProcessName,
): Promise<{ config: Config; logger: Logger }> {
  assertLimits();
  const config = await loadConfigOrExit(name);
  const logger = await createLogger({
    service: name,
    version: config.GAE_VERSION,
    projectId: config.GOOGLE_CLOUD_PROJECT,
    format: config.LOG_FORMAT,
    level: config.LOG_LEVEL,
  });
  if (confusesEscapedKeys())
    logger.info("working around a bug in the JSON parser of this Node", { node: process.version });
  for (const event of ["uncaughtException", "unhandledRejection"] as const)
    process.on(event, (error: unknown) => {
      if (error instanceof ConfigError) return exitWith(error);
      const stack = error instanceof Error ? error.stack : String(error);
      logger.error("uncaught error; the process exits", { stack });
      process.exitCode = 1;
      setTimeout(process.exit, FLUSH_DEADLINE_MS);
      void flushLog().then(() => process.exit());
    });
  return { config, logger };
}

/**
 * Returns what `main.ts` does on SIGTERM and SIGINT: stops the process, also one that is still
 * starting, within App Engine's 2 seconds, then exits. A second signal changes nothing.
 */
export function createStopHandler(
  starting: Promise<Running>,
  logger: Logger,
): (signal: string) => Promise<void> {
  let isStopping = false;
  return async (signal) => {
    if (isStopping) return;
    isStopping = true;
    logger.info("stopping", { signal });
    setTimeout(() => {
      logger.warn("the stop deadline has passed; exiting with work in progress");
      setTimeout(process.exit, DEADLINE_FLUSH_MS);
      void flushLog().then(() => process.exit());
    }, STOP_DEADLINE_MS);
    const running = await starting;
    await running.stop();
    logger.info("stopped");
    await flushLog();
    process.exit();
  };
}

async function loadConfigOrExit(name: ProcessName): Promise<Config> {
  try {
    return await loadConfig(name);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return exitWith(error);
  }
}

function exitWith({ message }: ConfigError): never {
  process.stderr.write(`${message}\n`);
  process.exit(1);
}
