import { createLogger, type Logger } from "../../common/telemetry/logger.ts";

/** A logger of a part that a test runs in its own process; prints errors, or only what `level` says. */
export function createTestLogger(level = "error"): Promise<Logger> {
  return createLogger({ service: "test", projectId: "test", format: "pretty", level });
}
