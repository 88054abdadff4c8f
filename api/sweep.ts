import type { Collection } from "../common/collection.ts";
import { type Connection, type Pool, query } from "../common/database.ts";
import { type ExpiredRow, selectExpired } from "../common/expired-rows.ts";
import { withNamedLock } from "../common/named-lock.ts";
import type { Logger } from "../common/telemetry/logger.ts";
import type { Write } from "../common/write.ts";
import { deriveExpireId } from "../common/write-id.ts";
import type { Publisher } from "./publisher.ts";

const SWEEP_INTERVAL_MS = 60_000;
/** A timer leaves a sweep to the next minute where another process began one within this time. */
const RECENT_SECONDS = 50;
/** Rows in one statement, and in one sweep of a collection; the rest is for the next one. */
const SWEEP_ROWS = { step: 500, most: 10_000 };

/**
 * Publishes an `expire` for each row that expired a while ago, so that it becomes a tombstone, with a
 * receipt. Nothing that is promised needs it: readers and writers find the item gone from its expiry on.
 * Returns the number of rows; 0 while another process sweeps. The timers of all processes make one
 * sweep a minute together, or they would publish the same writes again and again while no subscriber
 * runs. The cron's call always sweeps.
 */
export type Sweep = (caller: "cron" | "timer") => Promise<number>;

export function createSweep(options: {
  pool: Pool;
  collections: readonly Collection[];
  publisher: Pick<Publisher, "publish">;
  logger: Logger;
  stop: AbortSignal;
}): Sweep {
  const { pool, publisher, logger, stop } = options;
  const collections = options.collections.filter(({ expires }) => expires);
  return async (caller) => {
    if (collections.length === 0) return 0;
    const rows = await withNamedLock(pool, "expiry", async (connection) => {
      const { now, isRecent } = await readLastSweep(connection);
      if (isRecent && caller === "timer") return 0;
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
      // Only now: what could not be published is left to whoever comes next.
      await query(connection, "REPLACE INTO sweeps (name, swept_at) VALUES ('expiry', ?)", [now]);
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
    sweep("timer").catch((error) =>
      logger.warn("the sweep of expired items failed; it runs again in a minute", {
        code: error.code,
      }),
    );
  const timer = setInterval(run, SWEEP_INTERVAL_MS);
  timer.unref();
  stop.addEventListener("abort", () => clearInterval(timer));
}

/** MySQL's clock, in UTC, and whether the last sweep began a short while before. */
async function readLastSweep(connection: Connection): Promise<{ now: unknown; isRecent: boolean }> {
  const [columns] = await query(
    connection,
    "SELECT UTC_TIMESTAMP(3) AS now, EXISTS (SELECT * FROM sweeps WHERE name = 'expiry'" +
      ` AND swept_at > UTC_TIMESTAMP(3) - INTERVAL ${RECENT_SECONDS} SECOND) AS is_recent`,
  );
  return { now: columns?.now, isRecent: columns?.is_recent === 1 };
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
