import { type Config, ConfigError, loadConfig } from "./config.ts";
import { assertLimits, STOP_DEADLINE_MS } from "./limits.ts";
import { createLogger, type Logger } from "./telemetry/logger.ts";

/** A running process: its port, if it listens, and its way to end. */
export type Running = {
  port: number | undefined;
  /** Where `/metrics` is apart, if it is. */
  metricsPort?: number | undefined;
  /** Takes no more, finishes what it has, closes what it opened. */
  stop(): Promise<void>;
};

/**
 * Runs one of the processes: reads the configuration, starts, and on SIGTERM or SIGINT stops
 * within App Engine's 2 seconds and exits 0. What nobody caught is logged and ends it with 1.
 */
export async function runProcess(
  name: "api" | "subscriber",
  start: (config: Config, logger: Logger) => Promise<Running>,
): Promise<void> {
  assertLimits();
  const config = await loadConfigOrExit(name);
  const logger = createLogger({
    service: name,
    projectId: config.GOOGLE_CLOUD_PROJECT,
    format: config.LOG_FORMAT,
    level: config.LOG_LEVEL,
  });
  for (const event of ["uncaughtException", "unhandledRejection"] as const)
    process.on(event, (error: Error) => {
      logger.error("the process ends on an error that nobody caught", { stack: error?.stack });
      process.exit(1);
    });
  let running: Running | undefined;
  let isStopping = false;
  const end = async (signal: string) => {
    if (isStopping) return;
    isStopping = true;
    logger.info("stopping", { signal });
    const timer = setTimeout(() => {
      logger.warn("stopped before everything was finished; Pub/Sub delivers it again");
      process.exit();
    }, STOP_DEADLINE_MS);
    await running?.stop();
    clearTimeout(timer);
    logger.info("stopped");
    process.exit();
  };
  process.on("SIGTERM", end).on("SIGINT", end);
  running = await start(config, logger);
}

async function loadConfigOrExit(name: "api" | "subscriber"): Promise<Config> {
  try {
    return await loadConfig(process.env, name);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    process.stderr.write(`${error.message}\n`);
    process.exit(1);
  }
}
