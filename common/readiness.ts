import { setTimeout as sleep } from "node:timers/promises";
import type { Collection } from "./collection.ts";
import type { Pool } from "./database.ts";
import { findSchemaFaults } from "./schema-check.ts";
import type { Logger } from "./telemetry/logger.ts";

/** Whether the tables fit the collections; asked again until they do. */
export type Readiness = { readonly isReady: boolean; readonly faults: readonly string[] };

const RETRY_MS = 1_000;

/**
 * Checks the tables at start and every second until they fit. `faults` says what is missing, or
 * that MySQL cannot be asked. Once ready, a process stays ready: writes need no database.
 */
export function watchReadiness(options: {
  pool: Pool;
  collections: readonly Collection[];
  logger: Logger;
  stop: AbortSignal;
}): Readiness {
  const { pool, collections, logger, stop } = options;
  const readiness = { isReady: false, faults: ["The tables have not been checked yet."] };
  void check();
  return readiness;

  async function check(): Promise<void> {
    for (let told = ""; !readiness.isReady && !stop.aborted; ) {
      readiness.faults = await findSchemaFaults(pool, collections).catch((error) => [
        `MySQL cannot be asked (${error.code ?? error.name}).`,
      ]);
      readiness.isReady = readiness.faults.length === 0;
      const faults = readiness.faults.join(" ");
      if (faults !== told) logger.warn("not ready", { faults: readiness.faults });
      told = faults;
      if (!readiness.isReady)
        await sleep(RETRY_MS, undefined, { signal: stop, ref: false }).catch(() => {});
    }
  }
}
