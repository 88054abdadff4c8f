import type { IncomingMessage, ServerResponse } from "node:http";
import { collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";
import { Batcher, type BatcherOptions } from "../batcher.ts";
import type { Config } from "../config.ts";
import type { Pool } from "../database.ts";
import { listen } from "../http-server.ts";
import type { Logger } from "./logger.ts";
import type { Exporter } from "./otlp.ts";
import { createTracing, type EndedSpan, type Tracing } from "./tracing.ts";

/** Three steps a decade: enough to tell one size from another. */
const BATCH_BUCKETS = [1, 2, 5, 10, 20, 50, 100, 200, 500];
const BATCH_BUCKETS_SECONDS = [
  ...[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
];

/**
 * The metrics that both processes have, in Prometheus' names and units, with OpenTelemetry's
 * semantic conventions where they have a name. Labels are bounded sets: never an id or an address.
 */
export type Metrics = {
  /** What `/metrics` shows; each process adds its own (api/metrics.ts, subscriber/metrics.ts). */
  registry: Registry;
  /** A batcher whose queue, batch sizes and durations are shown under this name. */
  createBatcher<Item, Result>(
    name: BatcherName,
    options: BatcherOptions<Item, Result>,
  ): Batcher<Item, Result>;
  /** Shows how many of a pool's connections are in use, and how many borrowers wait. */
  watchPool(pool: Pool): void;
};

export type BatcherName = "publish" | "settle" | "read";

/** Makes the metrics of one process. */
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
    help: "From a batch's start to its answer.",
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
    watchPool: (pool) => watchPool(registers, pool),
  };
}

/** Named as OpenTelemetry's semantic conventions for database clients have it. */
function watchPool(registers: Registry[], pool: Pool): void {
  // The driver counts them nowhere else.
  const inside = pool.pool as unknown as Record<
    "_allConnections" | "_freeConnections" | "_connectionQueue",
    { length: number }
  >;
  new Gauge({
    name: "db_client_connection_count",
    help: "Connections to MySQL that are open.",
    labelNames: ["state"],
    registers,
    collect() {
      const idle = inside._freeConnections.length;
      this.set({ state: "idle" }, idle);
      this.set({ state: "used" }, inside._allConnections.length - idle);
    },
  });
  new Gauge({
    name: "db_client_connection_pending_requests",
    help: "Borrowers waiting for a connection to MySQL.",
    registers,
    collect() {
      this.set(inside._connectionQueue.length);
    },
  });
}

/** OpenTelemetry's SDK is loaded so long after the start, which has better things to do. */
const LOAD_EXPORTER_MS = 1_000;
/** Spans that wait for it at most. */
const EARLY_SPANS = 10_000;

/** Opens the way to the OTLP endpoint, if there is one; without it nothing is traced or loaded. */
export function startTracing(
  { registry }: Metrics,
  config: Config,
  service: "api" | "subscriber",
  logger: Logger,
): Tracing | undefined {
  const endpoint = config.OTEL_EXPORTER_OTLP_ENDPOINT;
  if (!endpoint) return undefined;
  const early: EndedSpan[] = [];
  let exporter: Exporter | undefined;
  let loading: Promise<void> | undefined;
  const load = () => {
    loading ??= loadExporter().catch((error: Error) => {
      logger.warn("telemetry is not sent", { error: error.message });
    });
    return loading;
  };
  setTimeout(load, LOAD_EXPORTER_MS).unref();
  return createTracing({
    ratio: config.OTEL_TRACES_SAMPLER_ARG,
    exporter: {
      add(span) {
        if (exporter) exporter.add(span);
        else if (early.length < EARLY_SPANS) early.push(span);
      },
      async flush() {
        await load();
        await exporter?.flush();
      },
    },
  });

  async function loadExporter(): Promise<void> {
    const { createExporter } = await import("./otlp.ts");
    exporter = await createExporter({
      ...{ endpoint, service, logger },
      projectId: config.GOOGLE_CLOUD_PROJECT,
      registry: config.OTEL_METRICS_EXPORTER === "otlp" ? registry : undefined,
    });
    for (const span of early.splice(0)) exporter.add(span);
  }
}

/** Serves `/metrics` at an address of its own, apart from what clients reach. */
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
