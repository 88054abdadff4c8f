import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { checkSettings } from "../checks/settings-checks.ts";
import { checkStacks } from "../checks/stack-checks.ts";
import { synthesiseUnchecked } from "../synth.ts";
import { listResources, type Properties, type Stacks } from "../terraform-json.ts";
import { ENVIRONMENT, EVERYTHING, findResource, settingsWith } from "../testing.ts";

const PUSH = synthesiseUnchecked(settingsWith());
const ALL = synthesiseUnchecked(settingsWith({ environment: EVERYTHING }));

describe("the platform", () => {
  it("has a database that only Google's proxies reach, over TLS, with backups", () => {
    const { settings, ...database } = findResource(PUSH, "google_sql_database_instance.database");
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

  it("names the instance that a restore has made in every stack, and so must the services", () => {
    const settings = settingsWith({ environment: { databaseInstance: "latam-restored" } });
    const { platform, service, observability } = synthesiseUnchecked(settings);
    assert.match(JSON.stringify(platform), /instances\/latam-restored\\"/);
    assert.match(JSON.stringify(service), /"instance":"latam-restored"/);
    assert.match(JSON.stringify(observability), /some-project:latam-restored/);
    // What is left of the old name are the services' own settings, and a command in a runbook.
    const rest = JSON.stringify([platform, service, observability])
      .replaceAll(/gcloud sql instances describe latam-database/g, "")
      .replaceAll(settings.database.connectionName, "");
    assert.doesNotMatch(rest, /latam-database/);
    const faults = checkSettings(settings).filter((fault) => fault.includes("MYSQL_URL"));
    assert.deepEqual(
      faults,
      ["app.yaml", "subscriber.yaml"].map(
        (file) =>
          `${file}: the socket of MYSQL_URL is "some-project:southamerica-east1:latam-database", but` +
          ' must be "some-project:southamerica-east1:latam-restored".',
      ),
    );
  });

  it("trusts GitHub for one branch of one repository, and never for a pull request", () => {
    const provider = findResource(
      PUSH,
      "google_iam_workload_identity_pool_provider.github-provider",
    );
    assert.equal(
      provider.attribute_condition,
      'assertion.repository == "gabriela/constancia" && assertion.repository_id == "42"' +
        ' && assertion.ref == "refs/heads/main"' +
        ' && !assertion.event_name.startsWith("pull_request")',
    );
    assert.deepEqual(provider.oidc, { issuer_uri: "https://token.actions.githubusercontent.com" });
  });

  it("trusts no repository that is not declared", () => {
    const settings = settingsWith();
    const { github: _, ...environment } = settings.environment;
    const stacks = synthesiseUnchecked({ ...settings, environment });
    assert.doesNotMatch(
      JSON.stringify(stacks),
      /workloadIdentity|workload_identity|githubusercontent/,
    );
    assert.deepEqual(checkStacks(stacks, settings), []);
  });

  it("keeps older states, and prevents public access", () => {
    const bucket = findResource(PUSH, "google_storage_bucket.state");
    assert.deepEqual(bucket.versioning, { enabled: true });
    assert.equal(bucket.public_access_prevention, "enforced");
    assert.equal(bucket.uniform_bucket_level_access, true);
  });

  it("enables Google's APIs before anything else", () => {
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
    const role = findResource(ALL, "google_project_iam_custom_role.deployer-role");
    const permissions = role.permissions as string[];
    assert.ok(permissions.includes("pubsub.topics.setIamPolicy"));
    assert.deepEqual(
      permissions.filter((one) => /delete|destroy|detach|consume|seek/i.test(one)),
      // The cron holds nothing: gcloud replaces a job whose schedule has changed.
      ["cloudscheduler.jobs.delete"],
    );
    assert.equal(new Set(permissions).size, permissions.length);
    // It may create the resources of the stack observability.
    for (const name of ["alertPolicies", "dashboards", "slos", "uptimeCheckConfigs"])
      assert.ok(permissions.includes(`monitoring.${name}.create`), name);
  });
});
