import type { LoggingMetric } from "@cdktf/provider-google/lib/logging-metric/index.js";
import { MonitoringCustomService } from "@cdktf/provider-google/lib/monitoring-custom-service/index.js";
import {
  MonitoringSlo,
  type MonitoringSloRequestBasedSli,
} from "@cdktf/provider-google/lib/monitoring-slo/index.js";
import type { TerraformStack } from "cdktf";
import type { Settings } from "../settings.ts";
import { ANSWERS } from "./indicators.ts";
import { resourcesOfLogs } from "./log-metrics.ts";
import { OBJECTIVES, PERIOD_DAYS } from "./objectives.ts";

/** The monitored resource of metrics that are exported by OTLP. */
const OTLP_RESOURCE = "prometheus_target";

/**
 * The four objectives as SLOs of Cloud Monitoring, which shows how much error budget is left. The
 * alerts use PromQL (indicators.ts) instead, because it accepts a metric that has no data yet.
 */
export function createServiceLevels(
  stack: TerraformStack,
  settings: Settings,
  logMetrics: readonly LoggingMetric[],
): void {
  const service = new MonitoringCustomService(stack, "constancia", {
    serviceId: "constancia",
    displayName: "Constancia",
  });
  for (const [name, { goal, title, sli }] of Object.entries(listServiceLevels(settings))) {
    new MonitoringSlo(stack, `slo-${name}`, {
      service: service.serviceId,
      sloId: name,
      displayName: title,
      goal,
      rollingPeriodDays: PERIOD_DAYS,
      requestBasedSli: sli,
      dependsOn: [...logMetrics],
    });
  }
}

type ServiceLevel = { goal: number; title: string; sli: MonitoringSloRequestBasedSli };

function listServiceLevels(settings: Settings): Record<keyof typeof OBJECTIVES, ServiceLevel> {
  const { availability, answers, freshness, durability } = OBJECTIVES;
  const { api, audit } = resourcesOfLogs(settings);
  const formatFilter = (type: string, resource: string, ...terms: string[]) =>
    [
      `metric.type="${type}"`,
      `resource.type="${resource}"`,
      `resource.labels.project_id="${settings.environment.projectId}"`,
      ...terms,
    ].join(" AND ");
  const logged = (name: string, resource: string, ...terms: string[]) =>
    formatFilter(`logging.googleapis.com/user/constancia/${name}`, resource, ...terms);
  const within = (histogram: string, seconds: number, ...terms: string[]) => ({
    distributionCut: {
      distributionFilter: formatFilter(
        `prometheus.googleapis.com/${histogram}/histogram`,
        OTLP_RESOURCE,
        ...terms,
      ),
      range: { max: seconds },
    },
  });
  return {
    availability: {
      goal: availability.goal,
      title: `${percent(availability.goal)} of the requests to write are not answered 5xx`,
      sli: {
        goodTotalRatio: {
          totalServiceFilter: logged("write_requests", api),
          badServiceFilter: logged("write_requests", api, 'metric.labels.status=starts_with("5")'),
        },
      },
    },
    answers: {
      goal: answers.goal,
      title: `${percent(answers.goal)} of the answers are sent within ${answers.withinSeconds} s`,
      sli: within(
        "http_server_request_duration_seconds",
        answers.withinSeconds,
        `metric.labels.http_route=monitoring.regex.full_match("${ANSWERS.routes}")`,
        `metric.labels.http_response_status_code=monitoring.regex.full_match("${ANSWERS.statuses}")`,
      ),
    },
    freshness: {
      goal: freshness.goal,
      title: `${percent(freshness.goal)} of the writes settle within ${freshness.withinSeconds} s`,
      sli: within("constancia_write_lag_seconds", freshness.withinSeconds),
    },
    durability: {
      goal: durability.goal,
      title: "Every audit finds every accepted write settled",
      sli: {
        goodTotalRatio: {
          totalServiceFilter: logged("audits", audit),
          goodServiceFilter: logged("audits_clean", audit),
        },
      },
    },
  };
}

function percent(share: number): string {
  return `${Number((share * 100).toFixed(4))} %`;
}
