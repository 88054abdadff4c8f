import assert from "node:assert/strict";
import { it } from "node:test";
import { synthesiseUnchecked } from "./synth.ts";
import { listResources, type Properties, type Stacks } from "./terraform-json.ts";
import { EVERYTHING, settingsWith } from "./testing.ts";

// A grant that is not in these lists is a mistake, or belongs in them: then a reviewer sees it.
// Each line: on what, which role, to whom, under which condition.
const GRANTS = [
  "bucket of App Engine's code: roles/storage.legacyBucketReader to deployer",
  "bucket of App Engine's code: roles/storage.objectAdmin to deployer",
  "bucket state: roles/storage.legacyBucketReader to deployer",
  "bucket state: roles/storage.objectAdmin to deployer, only-observability",
  "bucket state: roles/storage.objectAdmin to deployer, only-service",
  "bucket state: roles/storage.objectViewer to deployer, only-platform",
  "project: constanciaDeployer to deployer",
  "project: roles/appengine.deployer to deployer",
  "project: roles/appengine.serviceAdmin to deployer",
  "project: roles/cloudbuild.builds.builder to App Engine's builds",
  "project: roles/cloudbuild.builds.editor to deployer",
  "project: roles/cloudsql.client to api, only-latam-database",
  "project: roles/cloudsql.client to auditor, only-latam-database",
  "project: roles/cloudsql.client to subscriber, only-latam-database",
  "project: roles/logging.logWriter to api",
  "project: roles/logging.logWriter to auditor",
  "project: roles/logging.logWriter to subscriber",
  "project: roles/logging.viewer to auditor",
  "project: roles/logging.viewer to deployer",
  "project: roles/monitoring.viewer to deployer",
  "project: roles/serviceusage.serviceUsageConsumer to api",
  "project: roles/serviceusage.serviceUsageConsumer to subscriber",
  "project: roles/telemetry.metricsWriter to api",
  "project: roles/telemetry.metricsWriter to subscriber",
  "project: roles/telemetry.tracesWriter to api",
  "project: roles/telemetry.tracesWriter to subscriber",
  "secret api-keys: roles/secretmanager.secretAccessor to api",
  "secret mysql-password: roles/secretmanager.secretAccessor to api",
  "secret mysql-password: roles/secretmanager.secretAccessor to auditor",
  "secret mysql-password: roles/secretmanager.secretAccessor to subscriber",
  "service account api: roles/iam.serviceAccountUser to deployer",
  "service account auditor: roles/iam.workloadIdentityUser to repository 42",
  "service account deployer: roles/iam.workloadIdentityUser to repository 42",
  "service account push: roles/iam.serviceAccountTokenCreator to Pub/Sub",
  "service account push: roles/iam.serviceAccountUser to deployer",
  "service account subscriber: roles/iam.serviceAccountUser to deployer",
  "subscription settle: roles/pubsub.subscriber to Pub/Sub",
  "topic dead-letters: roles/pubsub.publisher to Pub/Sub",
  "topic writes: roles/pubsub.publisher to api",
];
/** With a worker pool, analytics, API keys and somebody who may look. */
const FURTHER_GRANTS = [
  "dataset analytics: roles/bigquery.dataEditor to Pub/Sub",
  "image repository images: roles/artifactregistry.writer to deployer",
  "project: roles/cloudtrace.user to group:oncall@example.com",
  "project: roles/logging.viewer to group:oncall@example.com",
  "project: roles/monitoring.viewer to group:oncall@example.com",
  "project: roles/run.developer to deployer",
  "subscription keep: roles/pubsub.subscriber to subscriber",
  "subscription settle: roles/pubsub.subscriber to subscriber",
];

it("grants what is listed, and nothing else", () => {
  const everything = settingsWith({ environment: EVERYTHING });
  assert.deepEqual(listGrants(synthesiseUnchecked(settingsWith())), GRANTS);
  assert.deepEqual(
    listGrants(synthesiseUnchecked(everything)),
    [...GRANTS, ...FURTHER_GRANTS].sort(),
  );
});

it("lets the account build that App Engine builds as, where it is another", () => {
  const buildAccount = "42-compute@developer.gserviceaccount.com";
  const grants = listGrants(synthesiseUnchecked(settingsWith({ environment: { buildAccount } })));
  const usual = "project: roles/cloudbuild.builds.builder to App Engine's builds";
  assert.ok(!grants.includes(usual));
  assert.ok(
    grants.includes(usual.replace("App Engine's builds", `serviceAccount:${buildAccount}`)),
  );
});

it("never grants a basic role, to everyone, or a whole policy at once", () => {
  const stacks = synthesiseUnchecked(settingsWith({ environment: EVERYTHING }));
  const text = JSON.stringify(stacks);
  assert.doesNotMatch(text, /roles\/(owner|editor|viewer)"|allUsers|allAuthenticatedUsers/);
  // A binding or a policy takes away what others were granted; a member only adds.
  assert.deepEqual(
    listResources(stacks).filter(({ type }) => /_iam_(binding|policy)$/.test(type)),
    [],
  );
  assert.equal(listResources(stacks, "google_service_account_key").length, 0);
});

/** What a kind of grant is on: how it is called here, and the argument that names it. */
const KINDS: Record<string, [kind: string, argument: string]> = {
  google_artifact_registry_repository_iam_member: ["image repository", "repository"],
  google_bigquery_dataset_iam_member: ["dataset", "dataset_id"],
  google_project_iam_member: ["project", "project"],
  google_pubsub_subscription_iam_member: ["subscription", "subscription"],
  google_pubsub_topic_iam_member: ["topic", "topic"],
  google_secret_manager_secret_iam_member: ["secret", "secret_id"],
  google_service_account_iam_member: ["service account", "service_account_id"],
  google_storage_bucket_iam_member: ["bucket", "bucket"],
};

function listGrants(stacks: Stacks): string[] {
  return listResources(stacks)
    .filter(({ type }) => /_iam_(member|binding|policy)$/.test(type))
    .map(({ type, properties }) => {
      const [kind, argument] = KINDS[type] ?? [type, "project"];
      const { role, member, condition } = properties;
      const title = (condition as Properties)?.title;
      const on = `${kind}${nameResource(String(properties[argument]))}`;
      return `${on}: ${nameRole(role)} to ${getIamMember(member)}${title ? `, ${title}` : ""}`;
    })
    .sort();
}

function nameResource(reference: string): string {
  const [, id = ""] = /^\$\{\w+\.([\w-]+)\.\w+\}$/.exec(reference) ?? [];
  if (reference.includes("code_bucket")) return " of App Engine's code";
  return id === "" ? reference.replace(/^some-project$/, "") : ` ${id}`;
}

function nameRole(role: unknown): string {
  return String(role).replace(/^\$\{google_project_iam_custom_role.+\}$/, "constanciaDeployer");
}

function getIamMember(member: unknown): string {
  return String(member)
    .replace(/^\$\{google_service_account\.(\w+)\.member\}$/, "$1")
    .replace(/^serviceAccount:constancia-(\w+)@some-project\.iam\.gserviceaccount\.com$/, "$1")
    .replace(/^serviceAccount:some-project@appspot\.gserviceaccount\.com$/, "App Engine's builds")
    .replace(
      /^serviceAccount:service-\$\{\S+number\}@gcp-sa-pubsub\.iam\.gserviceaccount\.com$/,
      "Pub/Sub",
    )
    .replace(
      /^principalSet:\/\/iam\.googleapis\.com\/\$\{google_iam_workload_identity_pool\.github\.name\}\/attribute\.repository_id\//,
      "repository ",
    );
}
