import { LoggingProjectBucketConfig } from "@cdktf/provider-google/lib/logging-project-bucket-config/index.js";
import { MonitoringMonitoredProject } from "@cdktf/provider-google/lib/monitoring-monitored-project/index.js";
import { ProjectIamMember } from "@cdktf/provider-google/lib/project-iam-member/index.js";
import type { TerraformStack } from "cdktf";
import { LOG_RETENTION_DAYS } from "../observability/objectives.ts";
import type { Settings } from "../settings.ts";

/** Dashboards, alerts and SLOs; logs, which contain ids of items but no items; traces. */
const VIEWER_ROLES = ["roles/monitoring.viewer", "roles/logging.viewer", "roles/cloudtrace.user"];

/**
 * Who may see metrics, logs and traces beside the project's owners, how long logs are kept, and
 * which other projects' metrics this project shows.
 */
export function createAccess(stack: TerraformStack, { environment }: Settings): void {
  const { projectId, viewers, fleet } = environment;
  for (const member of viewers)
    for (const role of VIEWER_ROLES) {
      const id = `see-${member}-${role}`.replaceAll(/[^A-Za-z0-9]+/g, "-");
      new ProjectIamMember(stack, id, { project: projectId, role, member });
    }
  // The log bucket that every project has. The audit needs logs for as long as receipts are kept.
  new LoggingProjectBucketConfig(stack, "logs", {
    project: projectId,
    location: "global",
    bucketId: "_Default",
    retentionDays: LOG_RETENTION_DAYS,
  });
  // Every viewer of this project then sees the other projects' metrics too, so a person decides it.
  for (const fleetProjectId of fleet) {
    new MonitoringMonitoredProject(stack, `fleet-${fleetProjectId}`, {
      metricsScope: `locations/global/metricsScopes/${projectId}`,
      name: fleetProjectId,
    });
  }
}
