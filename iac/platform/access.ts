import { LoggingProjectBucketConfig } from "@cdktf/provider-google/lib/logging-project-bucket-config/index.js";
import { ProjectIamMember } from "@cdktf/provider-google/lib/project-iam-member/index.js";
import type { TerraformStack } from "cdktf";
import { LOG_RETENTION_DAYS } from "../observability/objectives.ts";
import type { Settings } from "../settings.ts";

/** Dashboards, alerts and SLOs; log lines, which name items but hold none; traces. */
const ROLES = ["roles/monitoring.viewer", "roles/logging.viewer", "roles/cloudtrace.user"];

/** Who may look, beside the project's owners, and how far back the logs reach. */
export function createAccess(stack: TerraformStack, { environment }: Settings): void {
  const { projectId, viewers } = environment;
  for (const member of viewers)
    for (const role of ROLES) {
      const id = `see-${member}-${role}`.replaceAll(/[^A-Za-z0-9]+/g, "-");
      new ProjectIamMember(stack, id, { project: projectId, role, member });
    }
  // The bucket that every project has; said here, because the audit reads no further back.
  new LoggingProjectBucketConfig(stack, "logs", {
    project: projectId,
    location: "global",
    bucketId: "_Default",
    retentionDays: LOG_RETENTION_DAYS,
  });
}
