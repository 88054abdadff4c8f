import { MonitoringDashboard } from "@cdktf/provider-google/lib/monitoring-dashboard/index.js";
import type { TerraformStack } from "cdktf";
import { getDatabaseInstance } from "../names.ts";
import { getVariable, type Settings } from "../settings.ts";
import { drawDashboard, type Line, type Tile } from "./dashboard-layout.ts";
import { listInstanceTiles } from "./instance-tiles.ts";
import { resourcesOfLogs } from "./log-metrics.ts";
import { OBJECTIVES, THRESHOLDS } from "./objectives.ts";
import { type Selector, selectFrom } from "./promql.ts";

/** The dashboard of one project: requests, then writes, then what they depend on. */
export function createDashboard(stack: TerraformStack, settings: Settings): void {
  new MonitoringDashboard(stack, "dashboard", {
    dashboardJson: drawDashboard(
      `Constancia, ${settings.environment.projectId}`,
      listTiles(settings),
    ),
  });
}

function listTiles(settings: Settings): Tile[] {
  const selector = selectFrom([settings.environment.projectId]);
  return [
    ...listClientTiles(selector, settings),
    ...listWriteTiles(selector, settings),
    ...listBatchTiles(selector),
    ...listInstanceTiles(selector, settings),
    ...listDatabaseTiles(selector, settings),
  ];
}

const line = (legend: string, query: string): Line => ({ legend, query });
/** The rate of a counter per second. Over five minutes, so that one lost export leaves no gap. */
const rate = (selected: string, ...by: string[]) =>
  `sum${by.length > 0 ? ` by (${by.join(", ")})` : ""} (rate(${selected}[5m]))`;
const quantile = (share: number, bucket: string, ...by: string[]) =>
  `histogram_quantile(${share}, ${rate(bucket, "le", ...by)})`;

function listClientTiles({ own, logged }: Selector, settings: Settings): Tile[] {
  const { api } = resourcesOfLogs(settings);
  const duration = own("http_server_request_duration_seconds_bucket");
  return [
    {
      title: "Traffic, requests a second",
      lines: [line("{{method}} {{route}}", rate(own("all_requests"), "method", "route"))],
    },
    {
      title: "Errors, 5xx a second",
      lines: [
        line("{{status}} {{route}}", rate(own("all_requests", 'status=~"5.."'), "status", "route")),
        line(
          "{{status}} of writes, as App Engine answered",
          rate(logged("constancia/write_requests", api, 'status=~"5.."'), "status"),
        ),
      ],
    },
    {
      title: "Answer latency",
      unit: "s",
      threshold: OBJECTIVES.answers.withinSeconds,
      lines: [
        line("p50", quantile(0.5, duration)),
        line("p99 {{http_route}}", quantile(0.99, duration, "http_route")),
      ],
    },
  ];
}

function listWriteTiles({ own, google, logged }: Selector, settings: Settings): Tile[] {
  const { api, subscriber, audit } = resourcesOfLogs(settings);
  const lag = own("constancia_write_lag_seconds_bucket");
  const names = ["PUBSUB_SUBSCRIPTION", "PUBSUB_DEAD_LETTER_SUBSCRIPTION"] as const;
  const subscriptions = names.map((name) => getVariable(settings.subscriber, name)).join("|");
  const subscription = (metric: string) =>
    `max by (subscription_id) (${google(
      `pubsub.googleapis.com/subscription/${metric}`,
      `subscription_id=~"${subscriptions}"`,
    )})`;
  const inTheHour = (selected: string) => `sum(increase(${selected}[1h]))`;
  return [
    {
      title: "Writes accepted and settled, a second",
      lines: [
        line("accepted", rate(own("constancia_writes_accepted_total"))),
        line("{{outcome}}", rate(own("constancia_writes_settled_total"), "outcome")),
      ],
    },
    {
      title: "Lag, from acceptance to settlement",
      unit: "s",
      threshold: OBJECTIVES.freshness.withinSeconds,
      lines: [line("p50", quantile(0.5, lag)), line("p99", quantile(0.99, lag))],
    },
    {
      title: "Unsettled writes, and the age of the oldest",
      threshold: THRESHOLDS.unsettledSeconds,
      lines: [
        line("writes", `sum(${own("constancia_unsettled_writes")})`),
        line("seconds", `max(${own("constancia_oldest_unsettled_write_seconds")})`),
      ],
    },
    {
      title: "Backlog, messages",
      lines: [line("{{subscription_id}}", subscription("num_undelivered_messages"))],
    },
    {
      title: "Backlog, age of the oldest message",
      unit: "s",
      threshold: THRESHOLDS.backlogSeconds,
      lines: [line("{{subscription_id}}", subscription("oldest_unacked_message_age"))],
    },
    {
      title: "Dead letters",
      lines: [
        line("not replayed", `max(${own("constancia_open_dead_letters")})`),
        line("died in the hour", inTheHour(logged("constancia/dead_messages", subscriber))),
      ],
    },
    {
      title: "Conservation, by the hour",
      lines: [
        line("missing", inTheHour(logged("constancia/writes_missing_sum", audit))),
        line("clean audits", inTheHour(logged("constancia/audits_clean", audit))),
        line("fate unknown", inTheHour(logged("constancia/unknown_fates_sum", api))),
      ],
    },
  ];
}

function listBatchTiles({ own }: Selector): Tile[] {
  return [
    {
      title: "Batch size, median",
      lines: [line("{{batcher}}", quantile(0.5, own("constancia_batch_size_bucket"), "batcher"))],
    },
    {
      title: "Batch duration, p99",
      unit: "s",
      lines: [
        line(
          "{{batcher}}",
          quantile(0.99, own("constancia_batch_duration_seconds_bucket"), "batcher"),
        ),
      ],
    },
    {
      title: "Waiting for a batch",
      lines: [line("{{batcher}}", `sum by (batcher) (${own("constancia_queue_depth")})`)],
    },
    {
      title: "Pool: connections to MySQL",
      lines: [
        line("{{state}}", `sum by (state) (${own("db_client_connection_count")})`),
        line("requests waiting", `sum(${own("db_client_connection_pending_requests")})`),
      ],
    },
    {
      title: "Event-loop delay, p99",
      unit: "s",
      lines: [line("{{job}}", `max by (job) (${own("nodejs_eventloop_lag_p99_seconds")})`)],
    },
    {
      title: "Memory of the largest process",
      unit: "By",
      lines: [line("{{job}}", `max by (job) (${own("process_resident_memory_bytes")})`)],
    },
  ];
}

function listDatabaseTiles({ google }: Selector, { environment }: Settings): Tile[] {
  const ofDatabase = (path: string) =>
    `max(${google(
      `cloudsql.googleapis.com/database/${path}`,
      `database_id="${environment.projectId}:${getDatabaseInstance(environment)}"`,
    )})`;
  return [
    {
      title: "MySQL: processor, memory and disk, share used",
      threshold: THRESHOLDS.diskNowShare,
      lines: ["cpu", "memory", "disk"].map((part) => line(part, ofDatabase(`${part}/utilization`))),
    },
    {
      title: "MySQL: disk used",
      unit: "By",
      lines: [line("used", ofDatabase("disk/bytes_used")), line("size", ofDatabase("disk/quota"))],
    },
    {
      title: "MySQL: connections",
      lines: [line("connections", ofDatabase("network/connections"))],
    },
  ];
}
