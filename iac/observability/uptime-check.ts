import { MonitoringUptimeCheckConfig } from "@cdktf/provider-google/lib/monitoring-uptime-check-config/index.js";
import type { TerraformStack } from "cdktf";
import type { Settings } from "../settings.ts";

/** Google requires at least three; the first is nearest to the clients. */
const REGIONS = ["SOUTH_AMERICA", "USA_VIRGINIA", "EUROPE"];
/** Long enough for an instance to start, read its secret and check its tables. */
const TIMEOUT_SECONDS = 10;

/**
 * Checks every minute from outside whether the API is ready, on the path that clients use. It reads
 * no item and accepts no write. It keeps one instance running, which costs more than the rest of
 * this stack (proof/scale/cost.ts).
 */
export function createUptimeCheck(
  stack: TerraformStack,
  { environment }: Settings,
  hostname: string,
): MonitoringUptimeCheckConfig {
  return new MonitoringUptimeCheckConfig(stack, "uptime", {
    displayName: "constancia-ready",
    period: "60s",
    timeout: `${TIMEOUT_SECONDS}s`,
    selectedRegions: REGIONS,
    httpCheck: {
      requestMethod: "GET",
      path: "/health/ready",
      port: 443,
      useSsl: true,
      validateSsl: true,
      acceptedResponseStatusCodes: [{ statusClass: "STATUS_CLASS_2XX" }],
    },
    monitoredResource: {
      type: "uptime_url",
      labels: { project_id: environment.projectId, host: hostname },
    },
  });
}
