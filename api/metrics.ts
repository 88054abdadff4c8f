import { Counter, Histogram, type Registry } from "prom-client";
import type { Metrics } from "../common/telemetry/metrics.ts";
import type { Write } from "../common/write.ts";
import { createFreshness } from "./freshness.ts";
import type { Reader } from "./reader.ts";
import type { OnAnswered } from "./request/context.ts";

/** The API's own metrics, beside those of every process. */
export type ApiMetrics = {
  /** Counts writes that Pub/Sub holds. */
  countAccepted(writes: readonly Write[]): void;
  /** Counts each request once it is answered, or its client has closed the connection. */
  countAnswered: OnAnswered;
};

/** As OpenTelemetry's semantic conventions advise for `http.server.request.duration`. */
const REQUEST_BUCKETS_SECONDS = [
  0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10,
];

/** Adds the API's metrics to its process's. */
export function createApiMetrics({ registry }: Metrics, reader: Reader): ApiMetrics {
  const registers = [registry];
  const duration = new Histogram({
    name: "http_server_request_duration_seconds",
    help: "From a request's headers to the end of its answer.",
    labelNames: ["http_request_method", "http_route", "http_response_status_code"],
    buckets: REQUEST_BUCKETS_SECONDS,
    registers,
  });
  countObserved(registers, duration);
  const accepted = new Counter({
    name: "constancia_writes_accepted_total",
    help: "Writes that Pub/Sub holds.",
    labelNames: ["collection"],
    registers,
  });
  const freshness = createFreshness(registers, reader);
  const countAnswered: OnAnswered = ({ method, route, status, seconds }) =>
    duration.observe(
      { http_request_method: method, http_route: route, http_response_status_code: status },
      seconds,
    );
  return {
    countAccepted(writes) {
      for (const [collection, own] of Map.groupBy(writes, (write) => write.collection.name))
        accepted.inc({ collection }, own.length);
      freshness.accepted(writes);
    },
    countAnswered,
  };
}

/** The histogram has the number of requests already, so it is read from there when it is collected. */
function countObserved(registers: Registry[], duration: Histogram): void {
  new Counter({
    name: "all_requests",
    help: "Requests that were answered.",
    labelNames: ["method", "route", "status"],
    registers,
    async collect() {
      const { values } = await duration.get();
      // No await may follow: otherwise two concurrent reads would count everything twice.
      this.reset();
      for (const { metricName, labels, value } of values) {
        if (!metricName?.endsWith("_count")) continue;
        const { http_request_method, http_route, http_response_status_code } = labels;
        const status = http_response_status_code as number;
        this.inc({ method: http_request_method, route: http_route, status }, value);
      }
    },
  });
}
