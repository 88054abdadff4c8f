import { LoggingMetric } from "@cdktf/provider-google/lib/logging-metric/index.js";
import type { TerraformStack } from "cdktf";
import type { Outcome } from "../../common/receipts.ts";
import { AUDIT_LOG } from "../names.ts";
import type { Settings } from "../settings.ts";

/** Every outcome: the type fails where one is missing. */
const OUTCOMES: Record<Outcome, true> = {
  applied: true,
  superseded: true,
  conflict: true,
  duplicate: true,
  dead: true,
};
/** Few, since only the sums are used. */
const BUCKETS = [1, 10, 100, 1_000];

/** The monitored resource of each process's log lines. */
export function resourcesOfLogs({ environment }: Settings) {
  return {
    api: "gae_app",
    subscriber: environment.delivery === "push" ? "gae_app" : "cloud_run_worker_pool",
    audit: "global",
  };
}

type LogMetric = {
  name: string;
  description: string;
  /** Terms that must all hold. */
  filter: string[];
  /** The number to add up; without it, lines are counted. */
  value?: string;
  labels?: Record<string, string>;
};

/** Counters that are computed from the logs, independently of the metrics that the processes export. */
export function listLogMetrics(settings: Settings): LogMetric[] {
  const { projectId } = settings.environment;
  const { api, subscriber, audit } = resourcesOfLogs(settings);
  const says = (resource: string, message: string) => [
    `resource.type="${resource}"`,
    `jsonPayload.message="${message}"`,
  ];
  const either = (...texts: string[]) => `(${texts.map((text) => `"${text}"`).join(" OR ")})`;
  const ofProcesses = `resource.type=${either(...new Set([api, subscriber]))}`;
  const audited = [`resource.type="${audit}"`, `logName="projects/${projectId}/logs/${AUDIT_LOG}"`];
  return [
    {
      name: "constancia/write_requests",
      // App Engine's own request log, which also has requests that no process answered.
      description: "Requests to write, as App Engine answered them",
      filter: [
        `resource.type="${api}"`,
        `resource.labels.module_id="${settings.api.service}"`,
        `logName="projects/${projectId}/logs/appengine.googleapis.com%2Frequest_log"`,
        'protoPayload.method=("POST" OR "PUT" OR "DELETE")',
        'protoPayload.resource=~"^/api/"',
      ],
      labels: { status: "EXTRACT(protoPayload.status)" },
    },
    {
      name: "constancia/writes_accepted",
      description: "Writes that Pub/Sub acknowledged",
      filter: says(api, "writes accepted"),
      value: "jsonPayload.metadata.count",
    },
    ...Object.keys(OUTCOMES).map((outcome) => ({
      name: `constancia/writes_settled_${outcome}`,
      description: `Writes whose outcome is ${outcome}`,
      filter: [
        ...says(subscriber, "writes settled"),
        `jsonPayload.metadata.outcomes.${outcome}>=1`,
      ],
      value: `jsonPayload.metadata.outcomes.${outcome}`,
    })),
    {
      name: "constancia/dead_messages",
      description: "Messages that can never be settled",
      filter: says(subscriber, "message is dead"),
    },
    {
      name: "constancia/refused_logins",
      description: "Minutes in which MySQL refused the log-in of a process",
      filter: [ofProcesses, 'jsonPayload.message="MySQL refuses the log-in"'],
    },
    {
      name: "constancia/instances_started",
      description: "Instances that began to serve",
      filter: [ofProcesses, `jsonPayload.message=${either("api started", "subscriber started")}`],
    },
    {
      name: "constancia/instances_ended",
      description: "Instances that were asked to stop; those that are killed say nothing",
      filter: [ofProcesses, 'jsonPayload.message="stopping"'],
    },
    {
      name: "constancia/unknown_fates",
      description: "Writes that Pub/Sub did not acknowledge in time",
      filter: says(api, "publishing failed; it is not known whether the writes were accepted"),
      value: "jsonPayload.metadata.count",
    },
    {
      name: "constancia/audits",
      description: "Audits that finished, with any result",
      filter: [...audited, 'jsonPayload.message="audit finished"'],
    },
    {
      name: "constancia/audits_clean",
      description: "Audits that found every accepted write settled",
      filter: [...audited, 'jsonPayload.message="audit finished"', "jsonPayload.status=0"],
    },
    {
      name: "constancia/writes_missing",
      description: "Accepted writes that each audit found without a receipt",
      filter: [...audited, 'jsonPayload.message="audit finished"', "jsonPayload.missing>=0"],
      value: "jsonPayload.missing",
    },
  ];
}

export function createLogMetrics(stack: TerraformStack, settings: Settings): LoggingMetric[] {
  return listLogMetrics(settings).map(
    ({ name, description, filter, value, labels = {} }) =>
      new LoggingMetric(stack, `log-${name.replace("constancia/", "").replaceAll("_", "-")}`, {
        name,
        description,
        filter: filter.join("\nAND "),
        labelExtractors: labels,
        metricDescriptor: {
          metricKind: "DELTA",
          valueType: value ? "DISTRIBUTION" : "INT64",
          unit: "1",
          labels: Object.keys(labels).map((key) => ({ key, valueType: "STRING" })),
        },
        ...(value
          ? {
              valueExtractor: `EXTRACT(${value})`,
              bucketOptions: { explicitBuckets: { bounds: BUCKETS } },
            }
          : {}),
      }),
  );
}
