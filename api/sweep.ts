import type { Collection } from "../common/collection.ts";
import type { Pool } from "../common/database.ts";
import { type ExpiredRow, selectExpired } from "../common/expired-rows.ts";
import { withNamedLock } from "../common/named-lock.ts";
import type { Logger } from "../common/telemetry/logger.ts";
import type { Write } from "../common/write.ts";
import { deriveExpireId } from "../common/write-id.ts";
import type { Publisher } from "./publisher.ts";

const SWEEP_INTERVAL_MS = 60_000;
/** Rows in one statement, and in one sweep of a collection; the rest is for the next one. */
const SWEEP_ROWS = { step: 500, most: 10_000 };

/**
 * Publishes an `expire` for each row that expired a while ago, so that it becomes a tombstone, with a
 * receipt. Nothing that is promised needs it: readers and writers find the item gone from its expiry on.
 * Returns the number of rows; 0 while another process sweeps.
 */
export type Sweep = () => Promise<number>;

export function createSweep(options: {
  pool: Pool;
  collections: readonly Collection[];
  publisher: Pick<Publisher, "publish">;
  logger: Logger;
  stop: AbortSignal;
}): Sweep {
  const { pool, publisher, logger, stop } = options;
  const collections = options.collections.filter(({ expires }) => expires);
  return async () => {
    if (collections.length === 0) return 0;
    const rows = await withNamedLock(pool, "expiry", async (connection) => {
      let swept = 0;
      for (const collection of collections)
        for (let after: ExpiredRow | undefined, count = 0; count < SWEEP_ROWS.most; ) {
          const limit = SWEEP_ROWS.step;
          const found = await selectExpired(connection, collection, { after, limit });
          const writes = found.map((row) => buildExpire(collection, row));
          await Promise.all(writes.map((write) => publisher.publish(write, "sweep")));
          swept += found.length;
          count += found.length;
          after = found.at(-1);
          if (found.length < limit || stop.aborted) break;
        }
      return swept;
    });
    if (rows) logger.info("expired items were published to be swept", { rows });
    return rows ?? 0;
  };
}

/** Sweeps every minute until `stop` aborts. On App Engine, cron.yaml does so while no instance runs. */
export function startSweep(
  sweep: Sweep,
  { logger, stop }: { logger: Logger; stop: AbortSignal },
): void {
  const run = () =>
    sweep().catch((error) =>
      logger.warn("the sweep of expired items failed; it runs again in a minute", {
        code: error.code,
      }),
    );
  const timer = setInterval(run, SWEEP_INTERVAL_MS);
  timer.unref();
  stop.addEventListener("abort", () => clearInterval(timer));
}

/** However often it is published, it is one write. */
function buildExpire(collection: Collection, { id, version, expiresAt }: ExpiredRow): Write {
  return {
    id: deriveExpireId(version, expiresAt),
    kind: "expire",
    collection,
    itemId: id,
    acceptedAt: Date.now(),
    ifMatch: version,
  };
}
