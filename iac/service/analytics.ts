import { BigqueryDataset } from "@cdktf/provider-google/lib/bigquery-dataset/index.js";
import { BigqueryDatasetIamMember } from "@cdktf/provider-google/lib/bigquery-dataset-iam-member/index.js";
import { BigqueryTable } from "@cdktf/provider-google/lib/bigquery-table/index.js";
import { PubsubSubscription } from "@cdktf/provider-google/lib/pubsub-subscription/index.js";
import type { PubsubTopic } from "@cdktf/provider-google/lib/pubsub-topic/index.js";
import type { TerraformStack } from "cdktf";
import { ANALYTICS, getPubsubAgent } from "../names.ts";
import type { Settings } from "../settings.ts";

/** How long BigQuery may refuse rows before a write is missing there. */
const RETENTION_SECONDS = 31 * 24 * 3600;

/** The columns that Pub/Sub writes for a BigQuery subscription with `write_metadata`. */
const SCHEMA = [
  { name: "subscription_name", type: "STRING" },
  { name: "message_id", type: "STRING" },
  { name: "publish_time", type: "TIMESTAMP" },
  { name: "attributes", type: "STRING" },
  // Not JSON: a delete has no body, and BigQuery would refuse its row.
  { name: "data", type: "STRING" },
];

/**
 * Copies every accepted write to BigQuery. The subscription has no dead-letter topic: a row that
 * BigQuery refuses is not a dead write, and must not be recorded as one.
 */
export function createAnalytics(
  stack: TerraformStack,
  { environment }: Settings,
  projectNumber: string,
  topic: PubsubTopic,
): void {
  const { projectId, region } = environment;
  const dataset = new BigqueryDataset(stack, "analytics", {
    datasetId: ANALYTICS.dataset,
    location: region,
    description: "Every write as it was accepted",
  });
  const table = new BigqueryTable(stack, "analytics-writes", {
    datasetId: dataset.datasetId,
    tableId: ANALYTICS.table,
    schema: JSON.stringify(SCHEMA),
    timePartitioning: { type: "DAY", field: "publish_time" },
    deletionProtection: true,
  });
  const grant = new BigqueryDatasetIamMember(stack, "analytics-writer", {
    datasetId: dataset.datasetId,
    role: "roles/bigquery.dataEditor",
    member: getPubsubAgent(projectNumber),
  });
  new PubsubSubscription(stack, "analytics-subscription", {
    name: ANALYTICS.subscription,
    topic: topic.id,
    messageRetentionDuration: `${RETENTION_SECONDS}s`,
    expirationPolicy: { ttl: "" },
    bigqueryConfig: {
      table: `${projectId}.${dataset.datasetId}.${table.tableId}`,
      writeMetadata: true,
    },
    dependsOn: [grant],
  });
}
