import { MonitoringDashboard } from "@cdktf/provider-google/lib/monitoring-dashboard/index.js";
import type { TerraformStack } from "cdktf";
import { getVariable, type Settings } from "../settings.ts";
import { drawDashboard, type Line, type Tile } from "./dashboard-layout.ts";
import { listIndicators } from "./indicators.ts";
import { resourcesOfLogs } from "./log-metrics.ts";
import { OBJECTIVES, THRESHOLDS } from "./objectives.ts";
import { type Selector, selectFrom } from "./promql.ts";

/**
 * A dashboard with one line for each project of `fleet`, whose metrics this project shows
 * (platform/access.ts). It is created only where `fleet` names a project.
 */
export function createFleetDashboard(stack: TerraformStack, settings: Settings): void {
  const { projectId, fleet } = settings.environment;
  if (fleet.length === 0) return;
  const selector = selectFrom([projectId, ...fleet]);
  new MonitoringDashboard(stack, "fleet", {
    dashboardJson: drawDashboard("Constancia, all systems", listFleetTiles(selector, settings)),
  });
}

function listFleetTiles(selector: Selector, settings: Settings): Tile[] {
  const { own, google, logged } = selector;
  const { audit } = resourcesOfLogs(settings);
  const indicators = listIndicators(selector, settings);
  const each = (query: string): Line[] => [{ legend: "{{project_id}}", query }];
  const by = (query: string) => query.replaceAll("sum(", "sum by (project_id) (");
  const burning = (objective: keyof typeof indicators) => {
    const { bad, total } = indicators[objective];
    const budget = Number((1 - OBJECTIVES[objective].goal).toFixed(6));
    return each(by(`(${bad("1h")}) / (${total("1h")}) / ${budget}`));
  };
  const settle = getVariable(settings.subscriber, "PUBSUB_SUBSCRIPTION");
  const age = google(
    "pubsub.googleapis.com/subscription/oldest_unacked_message_age",
    `subscription_id="${settle}"`,
  );
  const missing = logged("constancia/writes_missing_sum", audit);
  const disk = google("cloudsql.googleapis.com/database/disk/utilization");
  return [
    { title: "Availability, burn rate of the hour", threshold: 1, lines: burning("availability") },
    { title: "Freshness, burn rate of the hour", threshold: 1, lines: burning("freshness") },
    { title: "Answers, burn rate of the hour", threshold: 1, lines: burning("answers") },
    {
      title: "Missing writes, by the hour",
      lines: each(by(`sum(increase(${missing}[1h]))`)),
    },
    {
      title: "Age of the oldest message",
      unit: "s",
      threshold: THRESHOLDS.backlogSeconds,
      lines: each(`max by (project_id) (${age})`),
    },
    {
      title: "Dead letters not replayed",
      lines: each(`max by (project_id) (${own("constancia_open_dead_letters")})`),
    },
    {
      title: "Writes accepted, a second",
      lines: each(`sum by (project_id) (rate(${own("constancia_writes_accepted_total")}[5m]))`),
    },
    { title: "MySQL: share of the disk used", lines: each(`max by (project_id) (${disk})`) },
    {
      title: "Processes awake",
      lines: each(`count by (project_id) (${own("process_resident_memory_bytes")})`),
    },
  ];
}
