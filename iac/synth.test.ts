import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { describe, it } from "node:test";
import { ENVIRONMENTS } from "./environments.ts";
import { readSettings } from "./settings.ts";
import { synthesise, synthesiseUnchecked } from "./synth.ts";
import { listResources, type Properties, STACKS, type Stacks } from "./terraform-json.ts";
import { EVERYTHING, settingsWith } from "./testing.ts";

const PUSH = synthesiseUnchecked(settingsWith());
const ALL = synthesiseUnchecked(settingsWith({ environment: EVERYTHING }));

/** Every string of a configuration. */
function listStrings(value: unknown): string[] {
  if (typeof value === "string") return [value];
  return value && typeof value === "object" ? Object.values(value).flatMap(listStrings) : [];
}

describe("the stacks", () => {
  it("are safe for every environment and every option", () => {
    for (const environment of Object.values(ENVIRONMENTS)) synthesise(readSettings(environment));
    for (const delivery of ["push", "worker-pool"] as const)
      for (const analytics of [false, true])
        synthesise(settingsWith({ environment: { delivery, analytics } }));
  });

  it("are the same bytes each time, also in another process", () => {
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

  it("refer only to resources that exist", () => {
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
        const referred = listStrings(config).flatMap((text) => [
          ...[...text.matchAll(/\$\{((?:data\.)?[\w-]+\.[\w-]+)/g)].map(([, address]) => address),
          ...(/^google_\w+\.[\w-]+$/.test(text) ? [text] : []),
        ]);
        assert.deepEqual(
          referred.filter((address) => address && !known.has(address) && !/toset/.test(address)),
          [],
        );
      }
  });

  it("read only existing outputs of one another", () => {
    const outputs = Object.keys(PUSH.platform.output ?? {});
    const read = listStrings(
      [PUSH, ALL].flatMap((stacks) => [stacks.service, stacks.observability]),
    )
      .map((text) => /terraform_remote_state\.platform\.outputs\.(\w+)/.exec(text)?.[1])
      .filter((name) => name !== undefined);
    assert.ok(read.length > 3);
    assert.deepEqual(
      read.filter((name) => !outputs.includes(name)),
      [],
    );
  });

  it("keep their states in one bucket under different prefixes", () => {
    const bucket = "constancia-state-some-project";
    for (const stack of STACKS)
      assert.deepEqual(PUSH[stack].terraform?.backend, { gcs: { bucket, prefix: stack } });
    assert.deepEqual(PUSH.platform.import, [{ id: bucket, to: "google_storage_bucket.state" }]);
  });

  it("contain no secret: it is passed when they are applied, and kept in no plan and no state", () => {
    const stacks = synthesiseUnchecked(settingsWith({ environment: EVERYTHING }));
    const secrets = ["mysql_password"];
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
    assert.deepEqual(users.sort(), ["password_wo", "secret_data_wo"]);
    const text = JSON.stringify(stacks);
    assert.doesNotMatch(text, /"(password|secret_data|root_password|private_key)"/);
  });

  it("create the secrets of the API keys without a version and without an input", () => {
    const listSecrets = (stacks: Stacks) =>
      listResources(stacks, "google_secret_manager_secret").map((one) => one.properties.secret_id);
    const usual = ["constancia-mysql-password", "constancia-api-keys", "constancia-rollout-key"];
    assert.deepEqual(listSecrets(PUSH), usual);
    const API_KEYS_SECRET = "projects/some-project/secrets/other-keys/versions/latest";
    const named = synthesiseUnchecked(settingsWith({ api: { variables: { API_KEYS_SECRET } } }));
    assert.deepEqual(listSecrets(named), usual.toSpliced(1, 1, "other-keys"));
    for (const stacks of [PUSH, named]) {
      assert.equal(listResources(stacks, "google_secret_manager_secret_version").length, 1);
      const inputs = Object.keys(stacks.service.variable ?? {});
      assert.deepEqual(inputs.toSorted(), [
        "mysql_password",
        "mysql_password_version",
        "services_deployed",
      ]);
    }
  });
});
