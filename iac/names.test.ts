import assert from "node:assert/strict";
import { it } from "node:test";
import { synthesiseUnchecked } from "./synth.ts";
import { listResources } from "./terraform-json.ts";
import { EVERYTHING, settingsWith } from "./testing.ts";

/** The arguments that name something, with what Google allows, and the form of this project. */
const LIMITS: Record<string, [argument: string, allowed: RegExp, form: RegExp][]> = {
  google_app_engine_application: [],
  google_app_engine_service_network_settings: [["service", /^[a-z0-9-]{1,63}$/, /./]],
  google_artifact_registry_repository: [
    ["repository_id", /^[a-z][a-z0-9-]{0,61}[a-z0-9]$/, /^constancia-/],
  ],
  google_bigquery_dataset: [["dataset_id", /^\w{1,1024}$/, /^constancia_/]],
  google_bigquery_table: [["table_id", /^\w{1,1024}$/, /^writes$/]],
  google_cloud_run_v2_worker_pool: [["name", /^[a-z][a-z0-9-]{0,47}[a-z0-9]$/, /^constancia-/]],
  google_iam_workload_identity_pool: [
    ["workload_identity_pool_id", /^(?!gcp-)[a-z0-9-]{4,32}$/, /^constancia-/],
    ["display_name", /^.{1,32}$/, /./],
    ["description", /^.{1,256}$/, /./],
  ],
  google_iam_workload_identity_pool_provider: [
    ["workload_identity_pool_provider_id", /^(?!gcp-)[a-z0-9-]{4,32}$/, /^constancia-/],
    ["display_name", /^.{1,32}$/, /./],
    ["attribute_condition", /^.{1,4096}$/, /./],
  ],
  google_logging_metric: [["name", /^[\w.,+!*'()%-][\w.,+!*'()%/-]{0,99}$/, /^constancia\//]],
  google_logging_project_bucket_config: [["bucket_id", /^_Default$/, /./]],
  google_monitoring_alert_policy: [
    ["display_name", /^.{1,512}$/, /^[A-Z][A-Za-z]+( \(ticket\))?$/],
  ],
  google_monitoring_custom_service: [["service_id", /^[a-z0-9-]{1,63}$/, /^constancia$/]],
  google_monitoring_dashboard: [],
  google_monitoring_monitored_project: [],
  google_monitoring_notification_channel: [["display_name", /^.{1,512}$/, /^constancia-/]],
  google_monitoring_slo: [
    ["slo_id", /^[A-Za-z0-9_-]{1,63}$/, /./],
    ["display_name", /^.{1,512}$/, /./],
  ],
  google_monitoring_uptime_check_config: [["display_name", /^.{1,512}$/, /^constancia-/]],
  google_project_iam_custom_role: [
    ["role_id", /^[\w.]{3,64}$/, /^constancia/],
    ["title", /^.{1,100}$/, /./],
    ["description", /^.{1,256}$/, /./],
  ],
  google_project_service: [],
  google_pubsub_subscription: [["name", /^(?!goog)[A-Za-z][\w.~+%-]{2,254}$/, /^constancia-/]],
  google_pubsub_topic: [["name", /^(?!goog)[A-Za-z][\w.~+%-]{2,254}$/, /^constancia-/]],
  google_secret_manager_secret: [["secret_id", /^[\w-]{1,255}$/, /^constancia-/]],
  google_secret_manager_secret_version: [],
  google_service_account: [
    ["account_id", /^[a-z][a-z0-9-]{4,28}[a-z0-9]$/, /^constancia-/],
    ["display_name", /^.{1,100}$/, /./],
    ["description", /^.{1,256}$/, /./],
  ],
  google_sql_database: [["name", /^[\w-]{1,64}$/, /^constancia$/]],
  // With the project and a colon at most 98.
  google_sql_database_instance: [["name", /^[a-z][a-z0-9-]{0,66}$/, /^latam-database$/]],
  google_sql_user: [["name", /^[\w-]{1,32}$/, /^constancia$/]],
  google_storage_bucket: [["name", /^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$/, /^constancia-state-/]],
};

it("gives every resource a name that Google allows and that names the project", () => {
  const projectId = `p${"0".repeat(29)}`;
  const stacks = synthesiseUnchecked(settingsWith({ environment: { ...EVERYTHING, projectId } }));
  const seen = new Set<string>();
  for (const { type, address, properties } of listResources(stacks)) {
    if (type.endsWith("_iam_member")) continue;
    const limits = LIMITS[type];
    assert.ok(limits, `${type} has no limits here`);
    seen.add(type);
    for (const [argument, allowed, form] of limits) {
      assert.match(String(properties[argument]), allowed, `${address}, ${argument}`);
      assert.match(String(properties[argument]), form, `${address}, ${argument}`);
    }
  }
  assert.deepEqual([...seen].sort(), Object.keys(LIMITS).sort());
});

it("keeps the conditions of grants within Google's limits", () => {
  const stacks = synthesiseUnchecked(settingsWith());
  for (const { address, properties } of listResources(stacks)) {
    const condition = properties.condition as { title: string; expression: string } | undefined;
    if (!condition) continue;
    assert.ok(condition.title.length <= 100 && condition.expression.length <= 10_000, address);
  }
});
