import type { IncomingMessage, ServerResponse } from "node:http";
import { collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";
import { Batcher, type BatcherOptions } from "../batcher.ts";
import type { Config } from "../config.ts";
import type { Pool } from "../database.ts";
import { listen } from "../http-server.ts";
import type { Logger } from "./logger.ts";
import type { Telemetry } from "./otlp.ts";
import { watchPool } from "./pool-metrics.ts";

/** Three per decade. */
const BATCH_BUCKETS = [1, 2, 5, 10, 20, 50, 100, 200, 500];
const BATCH_BUCKETS_SECONDS = [
  0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10,
];

/**
 * The metrics that both processes have, named after OpenTelemetry's semantic conventions where these
 * have a name. Each label has few values: never an id or an address.
 */
export type Metrics = {
  /** Each process adds its own metrics to it (api/metrics.ts, subscriber/metrics.ts). */
  registry: Registry;
  /** Creates a batcher that is measured: its queue, its batches' sizes and durations. */
  createBatcher<Item, Result>(
    name: BatcherName,
    options: BatcherOptions<Item, Result>,
  ): Batcher<Item, Result>;
  /** Shows how many of a pool's connections are in use, and how many requests wait for one. */
  watchPool(pool: Pool): void;
};

export type BatcherName = "publish" | "settle" | "read";

/** Creates the metrics of one process. */
export function createMetrics(): Metrics {
  const registry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({ register: registry });
  const batchSize = new Histogram({
    name: "constancia_batch_size",
    help: "Writes or reads handled together.",
    labelNames: ["batcher"],
    buckets: BATCH_BUCKETS,
    registers,
  });
  const batchSeconds = new Histogram({
    name: "constancia_batch_duration_seconds",
    help: "Time from the start of a batch to its result.",
    labelNames: ["batcher"],
    buckets: BATCH_BUCKETS_SECONDS,
    registers,
  });
  const queues: { batcher: BatcherName; queue: { queued: number } }[] = [];
  new Gauge({
    name: "constancia_queue_depth",
    help: "Items waiting for a batch.",
    labelNames: ["batcher"],
    registers,
    collect() {
      this.reset();
      for (const { batcher, queue } of queues) this.inc({ batcher }, queue.queued);
    },
  });
  return {
    registry,
    createBatcher(batcher, options) {
      const size = batchSize.labels(batcher);
      const seconds = batchSeconds.labels(batcher);
      const queue = new Batcher({
        ...options,
        async dispatch(items) {
          size.observe(items.length);
          const stop = seconds.startTimer();
          try {
            return await options.dispatch(items);
          } finally {
            stop();
          }
        },
      });
      queues.push({ batcher, queue });
      return queue;
    },
    watchPool: (pool) => watchPool(registry, pool),
  };
}

/** Starts sending spans and metrics if an OTLP endpoint is configured; loads nothing if not. */
export async function startTelemetry(
  { registry }: Metrics,
  config: Config,
  service: "api" | "subscriber",
  logger: Logger,
): Promise<Telemetry | undefined> {
  if (!config.OTEL_EXPORTER_OTLP_ENDPOINT) return undefined;
  const { startOtlp } = await import("./otlp.ts");
  return startOtlp({ config, service, registry, logger });
}

/** Serves `/metrics` on a port of its own, which clients need not reach. */
export async function serveMetrics(
  { registry }: Metrics,
  { METRICS_PORT, METRICS_HOST }: Pick<Config, "METRICS_PORT" | "METRICS_HOST">,
): Promise<{ port: number; close(): Promise<void> } | undefined> {
  if (METRICS_PORT === undefined) return undefined;
  return listen(
    async (request: IncomingMessage, response: ServerResponse) => {
      if (request.url !== "/metrics") return void response.writeHead(404).end();
      response.setHeader("Content-Type", registry.contentType);
      response.end(await registry.metrics());
    },
    { port: METRICS_PORT, host: METRICS_HOST },
  );
}
