import {
  MonitoringAlertPolicy,
  type MonitoringAlertPolicyConditions,
} from "@cdktf/provider-google/lib/monitoring-alert-policy/index.js";
import { MonitoringNotificationChannel } from "@cdktf/provider-google/lib/monitoring-notification-channel/index.js";
import type { MonitoringUptimeCheckConfig } from "@cdktf/provider-google/lib/monitoring-uptime-check-config/index.js";
import { Fn, Op, TerraformCount, type TerraformStack, TerraformVariable, Token } from "cdktf";
import type { Settings } from "../settings.ts";
import { type Condition, listAlertRules } from "./alert-rules.ts";
import { THRESHOLDS } from "./objectives.ts";
import { describeRunbook } from "./runbooks.ts";

/** How often conditions are evaluated. The windows of a WARNING are hours and days long. */
const EVALUATION = { CRITICAL: "60s", WARNING: "300s" };
/** An incident closes after this long without a match. Google's minimum is half an hour. */
const CLOSE_AFTER = "3600s";
/** Each region checks once a minute; its last result counts for this long. */
const UPTIME_WINDOW = "300s";

/** One alert for each symptom that clients notice. The runbook leads from the symptom to the cause. */
export function createAlerts(
  stack: TerraformStack,
  settings: Settings,
  uptime: MonitoringUptimeCheckConfig | undefined,
): void {
  const { projectId } = settings.environment;
  const channels = createNotificationChannels(stack);
  const paged = new Set<string>();
  for (const { symptom, severity, conditions } of listAlertRules(settings)) {
    // The slow burn of a symptom that also pages needs a display name of its own.
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
      // A metric exists once it has data, which is after its alerts are created.
      disableMetricValidation: true,
    },
  };
}

/** The number of regions whose last check failed, as Google's console builds the condition. */
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

/**
 * Who is told of alerts, passed in when the stack is applied, so that it is not in the repository:
 * TF_VAR_alert_email, and TF_VAR_alert_slack_channel. Slack gives its token to Cloud Monitoring's page
 * only, where a person allows the app; so that channel is made there, and named here. Without either,
 * alerts notify nobody. Returns the names of the channels.
 */
function createNotificationChannels(stack: TerraformStack): string[] {
  const email = createVariable("alert_email", {
    description: "Where alerts are sent by e-mail.",
    form: "^([^@ ]+@[^@ ]+)?$",
    errorMessage: "It must be an e-mail address, or empty.",
  });
  const slack = createVariable("alert_slack_channel", {
    description: "The Cloud Monitoring channel of Slack that alerts are sent to.",
    form: "^(projects/[^/ ]+/notificationChannels/[0-9]+)?$",
    errorMessage: "It must be projects/PROJECT/notificationChannels/NUMBER, or empty.",
  });
  const channel = new MonitoringNotificationChannel(stack, "email", {
    displayName: "constancia-alerts",
    type: "email",
    labels: { email_address: email.stringValue },
    count: TerraformCount.of(Fn.conditional(Op.gte(Fn.lengthOf(email.stringValue), 1), 1, 0)),
  });
  const emails = `${channel.terraformResourceType}.${channel.friendlyUniqueId}[*].name`;
  return Token.asList(`\${concat(${emails}, compact([var.${slack.friendlyUniqueId}]))}`);

  function createVariable(
    name: string,
    { description, form, errorMessage }: Record<"description" | "form" | "errorMessage", string>,
  ): TerraformVariable {
    const variable = new TerraformVariable(stack, name, {
      type: "string",
      default: "",
      nullable: false,
      description,
    });
    const condition = Fn.can(Fn.regex(form, variable.stringValue));
    variable.addValidation({ condition, errorMessage });
    return variable;
  }
}
