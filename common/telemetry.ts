import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";

/** The process's metrics, in Prometheus' names and units. Labels are bounded sets. */
export type Metrics = ReturnType<typeof createMetrics>;

/** Seconds from acceptance to settlement that tell one pace from another. */
const LAG_BUCKETS_SECONDS = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 3600];
const BATCH_BUCKETS = [1, 2, 5, 10, 20, 50, 100, 200, 500];

/** Makes the metrics of one process; `registry.metrics()` is what `/metrics` shows. */
export function createMetrics() {
  const registers = [new Registry()];
  const registry = registers[0] as Registry;
  collectDefaultMetrics({ register: registry });
  return {
    registry,
    accepted: new Counter({
      name: "constancia_writes_accepted_total",
      help: "Writes that Pub/Sub holds.",
      labelNames: ["collection"],
      registers,
    }),
    settled: new Counter({
      name: "constancia_writes_settled_total",
      help: "Writes whose outcome is committed.",
      labelNames: ["collection", "outcome"],
      registers,
    }),
    lagSeconds: new Histogram({
      name: "constancia_write_lag_seconds",
      help: "From acceptance to settlement, stamped after the commit.",
      buckets: LAG_BUCKETS_SECONDS,
      registers,
    }),
    batchSize: new Histogram({
      name: "constancia_batch_size",
      help: "Writes or reads handled together.",
      labelNames: ["batcher"],
      buckets: BATCH_BUCKETS,
      registers,
    }),
    queued: new Gauge({
      name: "constancia_queue_depth",
      help: "Items waiting for a batch.",
      labelNames: ["batcher"],
      registers,
    }),
  };
}
