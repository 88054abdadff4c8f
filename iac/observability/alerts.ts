import {
  MonitoringAlertPolicy,
  type MonitoringAlertPolicyConditions,
} from "@cdktf/provider-google/lib/monitoring-alert-policy/index.js";
import type { MonitoringUptimeCheckConfig } from "@cdktf/provider-google/lib/monitoring-uptime-check-config/index.js";
import type { TerraformStack } from "cdktf";
import type { Settings } from "../settings.ts";
import { type Condition, listAlertRules } from "./alert-rules.ts";
import { THRESHOLDS } from "./objectives.ts";
import { describeRunbook } from "./runbooks.ts";

/** Conditions are asked this often; a window of three days does not change faster than that. */
const EVALUATION = { CRITICAL: "60s", WARNING: "300s" };
/** What has been quiet for so long is closed; the shortest that Google takes is half an hour. */
const CLOSE_AFTER = "3600s";
/** The regions ask once a minute each, and this is what counts as their last answer. */
const UPTIME_WINDOW = "300s";

/** An alert for each symptom, and none for a cause: the runbook leads from one to the other. */
export function createAlerts(
  stack: TerraformStack,
  settings: Settings,
  { channels, uptime }: { channels: string[]; uptime: MonitoringUptimeCheckConfig | undefined },
): void {
  const { projectId } = settings.environment;
  const paged = new Set<string>();
  for (const { symptom, severity, conditions } of listAlertRules(settings)) {
    // The slow burn of what also pages: Google wants no two policies of one name.
    const isSecond = paged.has(symptom);
    paged.add(symptom);
    create(`${symptom}${isSecond ? "-ticket" : ""}`, {
      displayName: isSecond ? `${symptom} (ticket)` : symptom,
      severity,
      conditions: conditions.map((one) => toCondition(one, EVALUATION[severity])),
      documentation: describeRunbook(symptom, projectId),
    });
  }
  if (!uptime) return;
  create("ApiDown", {
    displayName: "ApiDown",
    severity: "CRITICAL",
    conditions: [toUptimeCondition(uptime)],
    documentation: describeRunbook("ApiDown", projectId),
  });

  function create(
    id: string,
    policy: {
      displayName: string;
      severity: "CRITICAL" | "WARNING";
      conditions: MonitoringAlertPolicyConditions[];
      documentation: { subject: string; content: string };
    },
  ): void {
    new MonitoringAlertPolicy(stack, `alert-${id}`, {
      ...policy,
      combiner: "OR",
      notificationChannels: channels,
      alertStrategy: { autoClose: CLOSE_AFTER },
      documentation: { ...policy.documentation, mimeType: "text/markdown" },
    });
  }
}

function toCondition(
  { name, query, forSeconds = 0 }: Condition,
  evaluationInterval: string,
): MonitoringAlertPolicyConditions {
  return {
    displayName: name,
    conditionPrometheusQueryLanguage: {
      query,
      duration: `${forSeconds}s`,
      evaluationInterval,
      // A metric is there once something was written to it, and the alerts are there before.
      disableMetricValidation: true,
    },
  };
}

/** As Google's own console makes it: how many regions last had no good answer. */
function toUptimeCondition(uptime: MonitoringUptimeCheckConfig): MonitoringAlertPolicyConditions {
  return {
    displayName: `${THRESHOLDS.failingRegions} regions or more get no 2xx of /health/ready`,
    conditionThreshold: {
      filter: [
        'resource.type="uptime_url"',
        'metric.type="monitoring.googleapis.com/uptime_check/check_passed"',
        `metric.labels.check_id="${uptime.uptimeCheckId}"`,
      ].join(" AND "),
      aggregations: [
        {
          alignmentPeriod: UPTIME_WINDOW,
          perSeriesAligner: "ALIGN_NEXT_OLDER",
          crossSeriesReducer: "REDUCE_COUNT_FALSE",
          groupByFields: ["resource.label.host"],
        },
      ],
      comparison: "COMPARISON_GT",
      thresholdValue: THRESHOLDS.failingRegions - 1,
      duration: "60s",
      trigger: { count: 1 },
    },
  };
}
