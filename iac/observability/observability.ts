import { type App, DataTerraformRemoteStateGcs, TerraformStack } from "cdktf";
import { getStateBucketName } from "../names.ts";
import { OUTPUTS } from "../platform/platform.ts";
import { keepState } from "../platform/state-bucket.ts";
import { useGoogle } from "../provider.ts";
import type { Settings } from "../settings.ts";
import { createAlerts } from "./alerts.ts";
import { createDashboard } from "./dashboard-layout.ts";
import { createFleetDashboard } from "./fleet-dashboard.ts";
import { createLogMetrics } from "./log-metrics.ts";
import { createNotificationChannel } from "./notification-channel.ts";
import { createServiceLevels } from "./service-levels.ts";
import { createUptimeCheck } from "./uptime-check.ts";

/**
 * How it is seen, and who is told. Every deploy applies it last, once the new version runs: Google
 * takes an SLO only of metrics that something was written to. The deployer may change all of it and
 * delete nothing, so that no deploy takes an alert away; a person does.
 */
export function createObservability(app: App, settings: Settings): TerraformStack {
  const { environment } = settings;
  const stack = new TerraformStack(app, "observability");
  useGoogle(stack, settings);
  keepState(stack, settings);
  const state = new DataTerraformRemoteStateGcs(stack, "platform", {
    bucket: getStateBucketName(environment.projectId),
    prefix: "platform",
  });

  const logMetrics = createLogMetrics(stack, settings);
  createServiceLevels(stack, settings, logMetrics);
  createDashboard(stack, settings);
  createFleetDashboard(stack, settings);
  const hostname = state.getString(OUTPUTS.hostname);
  const uptime = environment.isWatched ? createUptimeCheck(stack, settings, hostname) : undefined;
  createAlerts(stack, settings, { channels: createNotificationChannel(stack), uptime });
  return stack;
}
