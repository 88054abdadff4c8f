import { MonitoringUptimeCheckConfig } from "@cdktf/provider-google/lib/monitoring-uptime-check-config/index.js";
import type { TerraformStack } from "cdktf";
import type { Settings } from "../settings.ts";

/** Google asks from three places at least; the callers' own comes first. */
const REGIONS = ["SOUTH_AMERICA", "USA_VIRGINIA", "EUROPE"];
/** An instance may have to start, and then asks for its secret and its tables. */
const TIMEOUT_SECONDS = 10;

/**
 * Asks the API every minute whether it is ready, from outside and through everything that clients
 * go through. The question changes nothing: it reads no item and accepts no write. It keeps one
 * instance awake, which costs more than all the rest of this stack (cost-at-rest.ts).
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
