import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { describe, it } from "node:test";
import { VARIABLES } from "../common/variables.ts";
import { ENVIRONMENTS } from "./environments.ts";
import { readSettings } from "./settings.ts";
import { synthesise, synthesiseUnchecked } from "./synth.ts";
import { listResources, type Properties, STACKS, type Stacks } from "./terraform-json.ts";
import { ENVIRONMENT, EVERYTHING, settingsWith } from "./testing.ts";

const PUSH = synthesiseUnchecked(settingsWith());
const ALL = synthesiseUnchecked(settingsWith({ environment: EVERYTHING }));

/** The one resource of its address. */
function find(stacks: Stacks, address: string): Properties {
  const [type = "", id = ""] = address.split(".");
  const found = listResources(stacks, type).find((one) => one.address === `${type}.${id}`);
  assert.ok(found, `${address} is not there`);
  return found.properties;
}

/** Every string of a configuration. */
function getStrings(value: unknown): string[] {
  if (typeof value === "string") return [value];
  return value && typeof value === "object" ? Object.values(value).flatMap(getStrings) : [];
}

describe("the stacks", () => {
  it("are made, and are safe, for every environment that is declared, and every option", () => {
    for (const environment of Object.values(ENVIRONMENTS)) synthesise(readSettings(environment));
    for (const delivery of ["push", "worker-pool"] as const)
      for (const analytics of [false, true])
        synthesise(settingsWith({ environment: { delivery, analytics } }));
  });

  it("are the same bytes each time, in another process too", () => {
    const again = `
      import { synthesise } from "./iac/synth.ts";
      import { settingsWith } from "./iac/testing.ts";
      process.stdout.write(JSON.stringify(synthesise(settingsWith())));`;
    const other = execFileSync(process.execPath, ["--input-type=module", "--eval", again], {
      cwd: new URL("../", import.meta.url),
      encoding: "utf8",
    });
    assert.deepEqual(synthesise(settingsWith()), synthesise(settingsWith()));
    assert.deepEqual(JSON.parse(other), synthesise(settingsWith()));
  });

  it("refer to nothing that is not there", () => {
    for (const stacks of [PUSH, ALL])
      for (const config of Object.values(stacks)) {
        const { resource = {}, variable = {}, data = {} } = config;
        const known = new Set([
          ...Object.entries(resource).flatMap(([type, made]) =>
            Object.keys(made).map((id) => `${type}.${id}`),
          ),
          ...Object.keys(variable).map((id) => `var.${id}`),
          ...Object.entries(data).flatMap(([type, read]) =>
            Object.keys(read as Properties).map((id) => `data.${type}.${id}`),
          ),
          "each.value",
        ]);
        const referred = getStrings(config).flatMap((text) => [
          ...[...text.matchAll(/\$\{((?:data\.)?[\w-]+\.[\w-]+)/g)].map(([, address]) => address),
          ...(/^google_\w+\.[\w-]+$/.test(text) ? [text] : []),
        ]);
        assert.deepEqual(
          referred.filter((address) => address && !known.has(address) && !/toset/.test(address)),
          [],
        );
      }
  });

  it("read from one another only what is there", () => {
    const outputs = Object.keys(PUSH.platform.output ?? {});
    const read = getStrings([PUSH, ALL].flatMap((stacks) => [stacks.service, stacks.observability]))
      .map((text) => /terraform_remote_state\.platform\.outputs\.(\w+)/.exec(text)?.[1])
      .filter((name) => name !== undefined);
    assert.ok(read.length > 3);
    assert.deepEqual(
      read.filter((name) => !outputs.includes(name)),
      [],
    );
  });

  it("keep their state in one bucket, each apart", () => {
    const bucket = "constancia-state-some-project";
    for (const stack of STACKS)
      assert.deepEqual(PUSH[stack].terraform?.backend, { gcs: { bucket, prefix: stack } });
    assert.deepEqual(PUSH.platform.import, [{ id: bucket, to: "google_storage_bucket.state" }]);
  });

  it("hold no secret: it is given when they are applied, and is kept by no plan and no state", () => {
    const settings = settingsWith({
      environment: EVERYTHING,
      variables: {
        API_KEYS_SECRET: "projects/some-project/secrets/constancia-api-keys/versions/1",
      },
    });
    const stacks = synthesiseUnchecked(settings);
    const secrets = ["mysql_password", "api_keys"];
    for (const name of secrets) {
      const {
        default: value,
        ephemeral,
        sensitive,
        validation,
      } = stacks.service.variable?.[name] ?? {};
      assert.deepEqual([value, ephemeral, sensitive], [undefined, true, true]);
      const [{ condition }] = validation as [{ condition: string }];
      assert.match(
        condition,
        new RegExp(`^\\$\\{\\(?length\\(var\\.${name}\\) >= [1-9]\\d+\\)?\\}$`),
      );
    }
    // Write-only arguments are the only ones that may be given such a value.
    const users = listResources(stacks).flatMap(({ properties }) =>
      Object.entries(properties)
        .filter(([, value]) => secrets.some((name) => value === `\${var.${name}}`))
        .map(([argument]) => argument),
    );
    assert.deepEqual(users.sort(), ["password_wo", "secret_data_wo", "secret_data_wo"]);
    const text = JSON.stringify(stacks);
    assert.doesNotMatch(text, /"(password|secret_data|root_password|private_key)"/);
  });

  it("make the secret of the API's keys once app.yaml names it", () => {
    const getSecrets = (stacks: Stacks) =>
      listResources(stacks, "google_secret_manager_secret").map((one) => one.properties.secret_id);
    const API_KEYS_SECRET = "projects/some-project/secrets/constancia-api-keys/versions/latest";
    const named = synthesiseUnchecked(settingsWith({ api: { variables: { API_KEYS_SECRET } } }));
    const without = settingsWith();
    delete without.api.variables.API_KEYS_SECRET;
    assert.deepEqual(getSecrets(synthesiseUnchecked(without)), ["constancia-mysql-password"]);
    assert.deepEqual(getSecrets(named), ["constancia-mysql-password", "constancia-api-keys"]);
  });
});

describe("the platform", () => {
  it("has a database that only Google's proxies reach, by TLS, and that can be had back", () => {
    const { settings, ...database } = find(PUSH, "google_sql_database_instance.database");
    const { ip_configuration, backup_configuration, ...rest } = settings as Properties;
    assert.deepEqual(
      [database.name, database.database_version, database.deletion_protection],
      ["latam-database", "MYSQL_8_4", true],
    );
    assert.deepEqual(ip_configuration, {
      ipv4_enabled: true,
      ssl_mode: "ENCRYPTED_ONLY",
      server_ca_mode: "GOOGLE_MANAGED_INTERNAL_CA",
    });
    assert.equal(rest.connector_enforcement, "REQUIRED");
    assert.equal(rest.tier, ENVIRONMENT.tier);
    assert.equal(rest.deletion_protection_enabled, true);
    assert.equal((rest.insights_config as Properties).query_insights_enabled, true);
    const backup = backup_configuration as Properties;
    assert.deepEqual([backup.enabled, backup.binary_log_enabled], [true, true]);
  });

  it("lets GitHub in from one branch of one repository, and never for a pull request", () => {
    const provider = find(PUSH, "google_iam_workload_identity_pool_provider.github-provider");
    assert.equal(
      provider.attribute_condition,
      'assertion.repository == "someone/constancia" && assertion.repository_id == "42"' +
        ' && assertion.ref == "refs/heads/main"' +
        ' && !assertion.event_name.startsWith("pull_request")',
    );
    assert.deepEqual(provider.oidc, { issuer_uri: "https://token.actions.githubusercontent.com" });
  });

  it("keeps the older states, and nobody can make them public", () => {
    const bucket = find(PUSH, "google_storage_bucket.state");
    assert.deepEqual(bucket.versioning, { enabled: true });
    assert.equal(bucket.public_access_prevention, "enforced");
    assert.equal(bucket.uniform_bucket_level_access, true);
  });

  it("switches on Google's services before anything else", () => {
    const apis = "google_project_service.apis";
    for (const { address, properties } of listResources(PUSH).filter(
      (one) => one.stack === "platform",
    ))
      if (address !== apis) assert.ok((properties.depends_on as string[]).includes(apis), address);
    const getList = ({ platform }: Stacks) =>
      String(platform.resource?.google_project_service?.apis?.for_each);
    assert.match(getList(PUSH), /"pubsub\.googleapis\.com"/);
    assert.doesNotMatch(getList(PUSH), /"(run|bigquery)\.googleapis\.com"/);
    for (const name of ["run", "bigquery"]) assert.ok(getList(ALL).includes(`"${name}.googleapis`));
  });

  it("gives the deployer no right to delete what holds writes, items or secrets", () => {
    const role = find(ALL, "google_project_iam_custom_role.deployer-role");
    const permissions = role.permissions as string[];
    assert.ok(permissions.includes("pubsub.topics.setIamPolicy"));
    assert.deepEqual(
      permissions.filter((one) => /delete|destroy|detach|consume|seek/i.test(one)),
      [],
    );
    assert.equal(new Set(permissions).size, permissions.length);
    // What the last stack is made of, it may make.
    for (const name of ["alertPolicies", "dashboards", "slos", "uptimeCheckConfigs"])
      assert.ok(permissions.includes(`monitoring.${name}.create`), name);
  });
});

describe("the service", () => {
  it("pushes to the subscriber with a token, as subscriber.yaml wants it", () => {
    const { subscriber } = settingsWith();
    const paths = { settle: "/push", keep: "/push/dead-letters" };
    for (const [id, path] of Object.entries(paths)) {
      const { push_config } = find(PUSH, `google_pubsub_subscription.${id}`);
      assert.deepEqual(push_config, {
        push_endpoint: `https://subscriber-dot-\${data.terraform_remote_state.platform.outputs.hostname}${path}`,
        oidc_token: {
          audience: subscriber.variables.PUSH_AUDIENCE,
          service_account_email: subscriber.variables.PUSH_SERVICE_ACCOUNT,
        },
      });
    }
  });

  it("makes what the processes look for by default", () => {
    const named = (type: string) => listResources(PUSH, type).map((one) => one.properties.name);
    const topics = named("google_pubsub_topic");
    const subscriptions = named("google_pubsub_subscription");
    assert.ok(topics.includes(VARIABLES.PUBSUB_TOPIC.default));
    assert.ok(subscriptions.includes(VARIABLES.PUBSUB_SUBSCRIPTION.default));
    assert.ok(subscriptions.includes(VARIABLES.PUBSUB_DEAD_LETTER_SUBSCRIPTION.default));
  });

  it("forwards dead letters after all the attempts there are, and keeps them for a month", () => {
    const settle = find(PUSH, "google_pubsub_subscription.settle");
    assert.deepEqual(settle.dead_letter_policy, {
      dead_letter_topic: "${google_pubsub_topic.dead-letters.id}",
      max_delivery_attempts: 100,
    });
    assert.deepEqual(settle.retry_policy, { minimum_backoff: "1s", maximum_backoff: "600s" });
    const keep = find(PUSH, "google_pubsub_subscription.keep");
    assert.equal(keep.topic, "${google_pubsub_topic.dead-letters.id}");
    assert.equal(keep.message_retention_duration, "2678400s");
    assert.equal(keep.dead_letter_policy, undefined);
  });

  it("pulls in a worker pool instead, with the variables of subscriber.yaml", () => {
    for (const id of ["settle", "keep"])
      assert.equal(find(ALL, `google_pubsub_subscription.${id}`).push_config, undefined);
    assert.equal(listResources(PUSH, "google_cloud_run_v2_worker_pool").length, 0);
    const pool = find(ALL, "google_cloud_run_v2_worker_pool.worker-pool");
    assert.deepEqual(pool.scaling, { manual_instance_count: 2, scaling_mode: "MANUAL" });
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

  it("keeps every write in BigQuery only where analytics are on, and calls none of them dead", () => {
    assert.equal(listResources(PUSH, "google_bigquery_dataset").length, 0);
    const subscription = find(ALL, "google_pubsub_subscription.analytics-subscription");
    assert.deepEqual(subscription.bigquery_config, {
      table:
        "some-project.${google_bigquery_dataset.analytics.dataset_id}.${google_bigquery_table.analytics-writes.table_id}",
      write_metadata: true,
    });
    assert.equal(subscription.dead_letter_policy, undefined);
  });

  it("leaves the services' settings out of the first apply, before there are services", () => {
    const ingress = listResources(PUSH, "google_app_engine_service_network_settings");
    assert.deepEqual(
      ingress.map(({ properties }) => [properties.service, properties.count]),
      ["default", "subscriber"].map((name) => [name, "${var.services_deployed ? 1 : 0}"]),
    );
  });

  it("does not lose items, writes or the state to a destroy", () => {
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
    assert.equal(find(PUSH, "google_sql_database.items").deletion_policy, "ABANDON");
  });
});
