import { collections as declared } from "../collections/collections.ts";
import type { Collection } from "../common/collection.ts";
import type { Config } from "../common/config.ts";
import { closePool, openPool } from "../common/database.ts";
import { listen } from "../common/http-server.ts";
import { createStopHandler, prepareProcess, type Running } from "../common/process.ts";
import { watchReadiness } from "../common/readiness.ts";
import type { Logger } from "../common/telemetry/logger.ts";
import { createMetrics, serveMetrics, startTelemetry } from "../common/telemetry/metrics.ts";
import { answerProblems } from "./answer/errors.ts";
import { createApp } from "./app.ts";
import { createApiMetrics } from "./metrics.ts";
import { createPublisher } from "./publisher.ts";
import { createReader } from "./reader.ts";
import { assertOwnersKnown } from "./request/owner.ts";
import { warnOfUnknownScopes } from "./request/scope-names.ts";
import { answerUnhandled } from "./routes/route.ts";
import { createSweep, startSweep } from "./sweep.ts";

if (import.meta.main) {
  const { config, logger } = await prepareProcess("api");
  const stop = createStopHandler(start(config, logger, declared), logger);
  process.on("SIGTERM", stop).on("SIGINT", stop);
}

/** Starts the API on the given collections; resolves once it listens. */
export async function start(
  config: Config,
  logger: Logger,
  collections: readonly Collection[],
): Promise<Running> {
  assertOwnersKnown(config, collections);
  warnOfUnknownScopes(config, collections, logger);
  const ending = new AbortController();
  const stop = ending.signal;
  const { MYSQL_URL: mysqlUrl, MYSQL_POOL_SIZE: poolSize } = config;
  const pool = openPool({ mysqlUrl, poolSize, logger });
  const metrics = createMetrics();
  metrics.watchPool(pool);
  const readiness = watchReadiness({ pool, collections, logger, stop });
  const reader = createReader({ pool, poolSize, collections, metrics });
  const counts = createApiMetrics(metrics, reader);
  const telemetry = await startTelemetry(metrics, config, "api", logger);
  const publisher = createPublisher({
    projectId: config.GOOGLE_CLOUD_PROJECT,
    emulatorHost: config.PUBSUB_EMULATOR_HOST,
    topic: config.PUBSUB_TOPIC,
    logger,
    metrics,
    onAccepted: counts.countAccepted,
  });
  const sweep = createSweep({ pool, collections, publisher, logger, stop });
  startSweep(sweep, { logger, stop });
  const app = createApp({
    config,
    collections,
    publisher,
    reader,
    readiness,
    metrics,
    counts,
    sweep,
    logger,
    stop,
  });
  // Your own routes and middleware belong here, before the two that answer everything else.
  app.use(answerUnhandled, answerProblems(logger));
  const server = await listen(app, { port: config.PORT });
  const metricsServer = await serveMetrics(metrics, config);
  publisher.warmUp();
  logger.info("api started", { port: server.port, metricsPort: metricsServer?.port });
  return {
    port: server.port,
    metricsPort: metricsServer?.port,
    async stop() {
      ending.abort();
      await Promise.all([server.close(), metricsServer?.close()]);
      await publisher.stop();
      await telemetry?.flush();
      await closePool(pool);
    },
  };
}
