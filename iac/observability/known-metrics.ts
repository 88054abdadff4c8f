/**
 * For the tests: every metric that the processes export, and every metric of Google's that a query
 * uses, with its labels. A query of any other metric returns nothing, without an error.
 */
const ALWAYS = ["project_id", "job", "instance"];

const COUNTERS_AND_GAUGES: Record<string, string[]> = {
  all_requests: ["method", "route", "status"],
  constancia_writes_accepted_total: ["collection"],
  constancia_unsettled_writes: [],
  constancia_oldest_unsettled_write_seconds: [],
  constancia_watched_lag_seconds: [],
  constancia_writes_settled_total: ["collection", "outcome"],
  constancia_open_dead_letters: [],
  constancia_refused_logins_total: [],
  constancia_queue_depth: ["batcher"],
  db_client_connection_count: ["state"],
  db_client_connection_pending_requests: [],
  nodejs_eventloop_lag_p99_seconds: [],
  process_resident_memory_bytes: [],
};

/** The histograms, with their labels and bounds. */
export const HISTOGRAMS: Record<string, { labels: string[]; bounds?: number[] }> = {
  http_server_request_duration_seconds: {
    labels: ["http_request_method", "http_route", "http_response_status_code"],
    bounds: [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10],
  },
  constancia_write_lag_seconds: {
    labels: [],
    bounds: [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 3600],
  },
  constancia_batch_size: { labels: ["batcher"] },
  constancia_batch_duration_seconds: { labels: ["batcher"] },
};

const DATABASE = ["database_id"];
const GOOGLE_METRICS: Record<string, string[]> = {
  "pubsub_googleapis_com:subscription_num_undelivered_messages": ["subscription_id"],
  "pubsub_googleapis_com:subscription_oldest_unacked_message_age": ["subscription_id"],
  "appengine_googleapis_com:system_instance_count": ["module_id", "state"],
  "cloudsql_googleapis_com:database_cpu_utilization": DATABASE,
  "cloudsql_googleapis_com:database_memory_utilization": DATABASE,
  "cloudsql_googleapis_com:database_disk_utilization": DATABASE,
  "cloudsql_googleapis_com:database_disk_bytes_used": DATABASE,
  "cloudsql_googleapis_com:database_disk_quota": DATABASE,
  "cloudsql_googleapis_com:database_network_connections": DATABASE,
};

/** The labels of each metric by its name in PromQL, without the log-based metrics. */
export const KNOWN_METRICS: Record<string, readonly string[]> = Object.fromEntries([
  ...[...Object.entries(COUNTERS_AND_GAUGES), ...Object.entries(GOOGLE_METRICS)].map(
    ([name, labels]) => [name, [...labels, ...ALWAYS]],
  ),
  ...Object.entries(HISTOGRAMS).flatMap(([name, { labels }]) => [
    [`${name}_bucket`, [...labels, ...ALWAYS, "le"]],
    [`${name}_count`, [...labels, ...ALWAYS]],
    [`${name}_sum`, [...labels, ...ALWAYS]],
  ]),
]);
