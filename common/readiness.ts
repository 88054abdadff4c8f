import { setTimeout as sleep } from "node:timers/promises";
import { assertDistinctNames, type Collection } from "./collection.ts";
import type { Pool } from "./database.ts";
import { isRefusedLogin } from "./database-faults.ts";
import { findSchemaFaults } from "./schema-check.ts";
import type { Logger } from "./telemetry/logger.ts";

/** Whether the tables match the collections; checked again until they do. */
export type Readiness = {
  readonly isReady: boolean;
  /** Why it is not ready: `schema` where the tables were checked and do not match. */
  readonly cause: "unchecked" | "no-database" | "schema" | undefined;
  /** A sentence for each fault. */
  readonly faults: readonly string[];
};

const RETRY_MS = 1_000;

/**
 * Checks the tables at start and every second until they match. Once ready, a process stays ready:
 * writes need no database. Throws where two collections have the same name.
 */
export function watchReadiness(options: {
  pool: Pool;
  collections: readonly Collection[];
  logger: Logger;
  stop: AbortSignal;
}): Readiness {
  const { pool, collections, logger, stop } = options;
  assertDistinctNames(collections);
  const readiness: { -readonly [Key in keyof Readiness]: Readiness[Key] } = {
    isReady: false,
    cause: "unchecked",
    faults: ["The tables have not been checked yet."],
  };
  void check();
  return readiness;

  async function check(): Promise<void> {
    for (let logged = ""; !readiness.isReady && !stop.aborted; ) {
      try {
        readiness.faults = await findSchemaFaults(pool, collections);
        readiness.isReady = readiness.faults.length === 0;
        readiness.cause = readiness.isReady ? undefined : "schema";
      } catch (error) {
        const { code, name } = error as NodeJS.ErrnoException;
        const what = isRefusedLogin(error) ? "refuses the log-in" : "does not respond";
        readiness.faults = [`MySQL ${what} (${code ?? name}).`];
        readiness.cause = "no-database";
      }
      const faults = readiness.faults.join(" ");
      if (faults !== logged) logger.warn("not ready", { faults: readiness.faults });
      logged = faults;
      if (!readiness.isReady)
        await sleep(RETRY_MS, undefined, { signal: stop, ref: false }).catch(() => {});
    }
  }
}
