import type { App, TerraformStack } from "cdktf";
import type { Settings } from "../settings.ts";
import { createStack, readPlatform } from "../stack.ts";
import { createAlerts } from "./alerts.ts";
import { createDashboard } from "./dashboard.ts";
import { createFleetDashboard } from "./fleet-dashboard.ts";
import { createLogMetrics } from "./log-metrics.ts";
import { createServiceLevels } from "./service-levels.ts";
import { createUptimeCheck } from "./uptime-check.ts";

/**
 * The stack with metrics, SLOs, dashboards and alerts. Every deploy applies it last, when the new
 * version runs, because Google accepts an SLO only of metrics that have data. The deployer may change
 * all of it and delete nothing, so no deploy removes an alert.
 */
export function createObservability(app: App, settings: Settings): TerraformStack {
  const stack = createStack(app, "observability", settings);
  const { hostname } = readPlatform(stack, settings);

  const logMetrics = createLogMetrics(stack, settings);
  createServiceLevels(stack, settings, logMetrics);
  createDashboard(stack, settings);
  createFleetDashboard(stack, settings);
  const { isWatched } = settings.environment;
  const uptime = isWatched ? createUptimeCheck(stack, settings, hostname) : undefined;
  createAlerts(stack, settings, uptime);
  return stack;
}
