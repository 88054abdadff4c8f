import { collections as declared } from "../collections/collections.ts";
import type { Collection } from "../common/collection.ts";
import { type Config, stripsCronHeader } from "../common/config.ts";
import { closePool, openPool } from "../common/database.ts";
import { listen } from "../common/http-server.ts";
import {
  FEED_IDLE_SECONDS,
  HOLD_MS,
  IDLE_SECONDS,
  SETTLE,
  SETTLE_DEADLINE_MS,
} from "../common/limits.ts";
import { createStopHandler, prepareProcess, type Running } from "../common/process.ts";
import { watchReadiness } from "../common/readiness.ts";
import type { Logger } from "../common/telemetry/logger.ts";
import { createMetrics, serveMetrics, startTelemetry } from "../common/telemetry/metrics.ts";
import type { Decision } from "./decide.ts";
import { getMessageBytes, type Message } from "./message.ts";
import { createSubscriberMetrics } from "./metrics.ts";
import { startRetention } from "./retention.ts";
import { createSettle } from "./settle.ts";
import { WaitingHold } from "./waiting-hold.ts";

if (import.meta.main) {
  const { config, logger } = await prepareProcess("subscriber");
  const stop = createStopHandler(start(config, logger, declared), logger);
  process.on("SIGTERM", stop).on("SIGINT", stop);
}

/** Starts the subscriber on the given collections; resolves once it takes messages. */
export async function start(
  config: Config,
  logger: Logger,
  collections: readonly Collection[],
): Promise<Running> {
  const ending = new AbortController();
  const stop = ending.signal;
  const pool = openPool({
    mysqlUrl: config.MYSQL_URL,
    poolSize: config.MYSQL_POOL_SIZE,
    idleSeconds: collections.some(({ feed }) => feed) ? FEED_IDLE_SECONDS : IDLE_SECONDS,
    logger,
  });
  const readiness = watchReadiness({ pool, collections, logger, stop });
  const metrics = createMetrics();
  metrics.watchPool(pool);
  const telemetry = await startTelemetry(metrics, config, "subscriber", logger);
  const count = createSubscriberMetrics(metrics, pool);
  const settle = createSettle({
    pool,
    collections,
    logger,
    stop,
    holdMs: HOLD_MS[config.DELIVERY],
    traced: telemetry && config,
    onSettled(writes) {
      count(writes);
      hold.wake(writes.map(({ item }) => item));
    },
  });
  const batcher = metrics.createBatcher<Message, Decision>("settle", {
    ...SETTLE,
    deadlineMs: SETTLE_DEADLINE_MS[config.DELIVERY],
    // Writes of one item are never in two batches at once: the transactions would wait for each other.
    getKey: ({ attributes }) => attributes["ce-subject"],
    dispatch: settle,
    getSize: getMessageBytes,
  });
  const hold = new WaitingHold({ batcher, stop });
  const sweep = startRetention({
    pool,
    collections,
    logger,
    stop,
    retentionDays: config.RECEIPT_RETENTION_DAYS,
  });
  const delivery = await (config.DELIVERY === "pull" ? pull() : push());
  const metricsServer = await serveMetrics(metrics, config);
  logger.info("subscriber started", {
    delivery: config.DELIVERY,
    metricsPort: metricsServer?.port,
  });
  return {
    port: delivery.port,
    metricsPort: metricsServer?.port,
    async stop() {
      ending.abort();
      await Promise.all([delivery.stop(), metricsServer?.close()]);
      await batcher.drain();
      await telemetry?.flush();
      await closePool(pool);
    },
  };

  // Only the modules of the configured delivery are loaded: push.ts imports Express and Google's
  // authentication library; pull.ts loads Pub/Sub's library when it starts to pull.
  async function pull() {
    const { startPull } = await import("./pull.ts");
    const { stop } = startPull({
      projectId: config.GOOGLE_CLOUD_PROJECT,
      emulatorHost: config.PUBSUB_EMULATOR_HOST,
      subscription: config.PUBSUB_SUBSCRIPTION,
      deadLetterSubscription: config.PUBSUB_DEAD_LETTER_SUBSCRIPTION,
      batcher: hold,
      logger,
    });
    return { stop, port: undefined };
  }

  async function push() {
    const { createPush, createVerifier } = await import("./push.ts");
    const verify =
      config.PUSH_AUTH === "off"
        ? async () => true
        : createVerifier({
            audience: config.PUSH_AUDIENCE,
            serviceAccount: config.PUSH_SERVICE_ACCOUNT,
            certsUrl: config.PUSH_CERTS_URL,
          });
    const isReady = () => readiness.isReady;
    const app = createPush({
      batcher: hold,
      verify,
      isReady,
      sweep,
      isCronStripped: stripsCronHeader(config),
      logger,
    });
    const server = await listen(app, {
      port: config.PORT,
    });
    return { stop: () => server.close(), port: server.port };
  }
}
