import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { VARIABLES } from "../../common/variables.ts";
import { synthesiseUnchecked } from "../synth.ts";
import { listResources, type Properties } from "../terraform-json.ts";
import { EVERYTHING, findResource, settingsWith } from "../testing.ts";

const PUSH = synthesiseUnchecked(settingsWith());
const ALL = synthesiseUnchecked(settingsWith({ environment: EVERYTHING }));

describe("the service", () => {
  it("pushes to the subscriber with the token that subscriber.yaml requires", () => {
    const { subscriber } = settingsWith();
    const paths = { settle: "/push", keep: "/push/dead-letters" };
    for (const [id, path] of Object.entries(paths)) {
      const { push_config } = findResource(PUSH, `google_pubsub_subscription.${id}`);
      assert.deepEqual(push_config, {
        push_endpoint: `https://subscriber-dot-\${data.terraform_remote_state.platform.outputs.hostname}${path}`,
        oidc_token: {
          audience: subscriber.variables.PUSH_AUDIENCE,
          service_account_email: subscriber.variables.PUSH_SERVICE_ACCOUNT,
        },
      });
    }
  });

  it("creates the topics and subscriptions that the processes use by default", () => {
    const named = (type: string) => listResources(PUSH, type).map((one) => one.properties.name);
    const topics = named("google_pubsub_topic");
    const subscriptions = named("google_pubsub_subscription");
    assert.ok(topics.includes(VARIABLES.PUBSUB_TOPIC.default));
    assert.ok(subscriptions.includes(VARIABLES.PUBSUB_SUBSCRIPTION.default));
    assert.ok(subscriptions.includes(VARIABLES.PUBSUB_DEAD_LETTER_SUBSCRIPTION.default));
  });

  it("forwards dead letters after the maximum of attempts, and keeps them for a month", () => {
    const settle = findResource(PUSH, "google_pubsub_subscription.settle");
    assert.deepEqual(settle.dead_letter_policy, {
      dead_letter_topic: "${google_pubsub_topic.dead-letters.id}",
      max_delivery_attempts: 100,
    });
    assert.deepEqual(settle.retry_policy, { minimum_backoff: "1s", maximum_backoff: "600s" });
    const keep = findResource(PUSH, "google_pubsub_subscription.keep");
    assert.equal(keep.topic, "${google_pubsub_topic.dead-letters.id}");
    assert.equal(keep.message_retention_duration, "604800s");
    assert.equal(keep.dead_letter_policy, undefined);
  });

  it("pulls in a worker pool instead, with the variables of subscriber.yaml", () => {
    for (const id of ["settle", "keep"])
      assert.equal(findResource(ALL, `google_pubsub_subscription.${id}`).push_config, undefined);
    assert.equal(PUSH["worker-pool"].resource, undefined);
    assert.deepEqual(
      listResources(ALL, "google_cloud_run_v2_worker_pool").map(({ stack }) => stack),
      ["worker-pool"],
      "its secret, its grants and the migrations come first",
    );
    const pool = findResource(ALL, "google_cloud_run_v2_worker_pool.worker-pool");
    assert.deepEqual(pool.scaling, { manual_instance_count: 2 });
    const template = pool.template as { containers: Properties[]; volumes: Properties[] };
    const container = template.containers[0] as Properties;
    const variables = Object.fromEntries(
      (container.env as { name: string; value: string }[]).map(({ name, value }) => [name, value]),
    );
    const { subscriber } = settingsWith();
    assert.equal(variables.DELIVERY, "pull");
    assert.equal(variables.MYSQL_URL, subscriber.variables.MYSQL_URL);
    assert.equal(variables.GOOGLE_CLOUD_PROJECT, "some-project");
    assert.deepEqual(
      Object.keys(variables).filter((name) => name.startsWith("PUSH_")),
      [],
    );
    assert.equal(container.image, "${var.subscriber_image}");
    assert.deepEqual(template.volumes, [
      {
        name: "cloudsql",
        cloud_sql_instance: { instances: ["some-project:southamerica-east1:latam-database"] },
      },
    ]);
  });

  it("copies writes to BigQuery only with analytics, without a dead-letter topic", () => {
    assert.equal(listResources(PUSH, "google_bigquery_dataset").length, 0);
    const subscription = findResource(ALL, "google_pubsub_subscription.analytics-subscription");
    assert.deepEqual(subscription.bigquery_config, {
      table:
        "some-project.${google_bigquery_dataset.analytics.dataset_id}.${google_bigquery_table.analytics-writes.table_id}",
      write_metadata: true,
    });
    assert.equal(subscription.dead_letter_policy, undefined);
  });

  it("skips the services' settings in the first apply, before the services exist", () => {
    const ingress = listResources(PUSH, "google_app_engine_service_network_settings");
    assert.deepEqual(
      ingress.map(({ properties }) => [properties.service, properties.count]),
      ["default", "subscriber"].map((name) => [name, "${var.services_deployed ? 1 : 0}"]),
    );
  });

  it("protects items, writes and the state from a destroy", () => {
    const kept = listResources(PUSH)
      .filter(({ properties }) => (properties.lifecycle as Properties)?.prevent_destroy)
      .map(({ address }) => address);
    assert.deepEqual(kept.sort(), [
      "google_app_engine_application.application",
      "google_pubsub_subscription.keep",
      "google_pubsub_subscription.settle",
      "google_pubsub_topic.dead-letters",
      "google_pubsub_topic.writes",
      "google_storage_bucket.state",
    ]);
    assert.equal(findResource(PUSH, "google_sql_database.items").deletion_policy, "ABANDON");
  });
});
