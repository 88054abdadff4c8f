import { SecretManagerSecret } from "@cdktf/provider-google/lib/secret-manager-secret/index.js";
import { SecretManagerSecretIamMember } from "@cdktf/provider-google/lib/secret-manager-secret-iam-member/index.js";
import { SecretManagerSecretVersion } from "@cdktf/provider-google/lib/secret-manager-secret-version/index.js";
import { Fn, Op, type TerraformStack, TerraformVariable } from "cdktf";
import { UsageError } from "../../ops/command-line.ts";
import { type ACCOUNTS, API_KEYS_SECRET, getIamMember, ROLLOUT_KEY_SECRET } from "../names.ts";
import { getSecret, type Settings } from "../settings.ts";

/** A shorter secret is a typing error or can be guessed. */
const MIN_SECRET_LENGTH = 16;

/** A secret that is passed in when the stack is applied, and the version number of its value. */
type SecretInput = { value: TerraformVariable; version: TerraformVariable };

/** The input of the database's password, and the version of the secret that keeps it. */
export type Password = SecretInput & { kept: SecretManagerSecretVersion };

/**
 * The secrets that app.yaml and subscriber.yaml name, and who may read each. Returns the password of
 * the database. The values of the API keys are no input: `npm run ops -- keys` adds versions to their
 * secrets, which are there from the first deploy on, so that clients can have their keys before
 * app.yaml requires any.
 */
export function createSecrets(stack: TerraformStack, settings: Settings): Password {
  const password = createInput(
    stack,
    "mysql_password",
    "The password of the database user, kept in Secret Manager.",
  );
  const passwordSecret = getSecret(settings.api, "MYSQL_PASSWORD_SECRET");
  if (!passwordSecret)
    throw new UsageError(
      `${settings.api.file}: MYSQL_PASSWORD_SECRET must name a secret's version.`,
    );
  const secret = createSecret("mysql-password", passwordSecret, ["api", "subscriber", "auditor"]);
  const kept = new SecretManagerSecretVersion(stack, "mysql-password-version", {
    secret: secret.id,
    secretDataWo: password.value.stringValue,
    secretDataWoVersion: password.version.numberValue,
    // A disabled version can be enabled again if the new value is wrong.
    deletionPolicy: "DISABLE",
    lifecycle: { createBeforeDestroy: true },
  });
  createSecret("api-keys", getSecret(settings.api, "API_KEYS_SECRET") ?? API_KEYS_SECRET, ["api"]);
  // Only the deployer reads it, whose role on the project permits that.
  createSecret("rollout-key", ROLLOUT_KEY_SECRET, []);
  return { ...password, kept };

  function createSecret(
    id: string,
    secretId: string,
    readers: readonly (keyof typeof ACCOUNTS)[],
  ): SecretManagerSecret {
    const secret = new SecretManagerSecret(stack, id, { secretId, replication: { auto: {} } });
    for (const reader of readers) {
      new SecretManagerSecretIamMember(stack, `${id}-${reader}`, {
        secretId: secret.secretId,
        role: "roles/secretmanager.secretAccessor",
        member: getIamMember(reader, settings.environment.projectId),
      });
    }
    return secret;
  }
}

/**
 * The variables TF_VAR_name and TF_VAR_name_version. The value is ephemeral: neither the plan nor
 * the state stores it. Terraform cannot see that it changed; a higher version shows it.
 */
function createInput(stack: TerraformStack, name: string, description: string): SecretInput {
  const value = new TerraformVariable(stack, name, {
    type: "string",
    description,
    sensitive: true,
    nullable: false,
  });
  value.addValidation({
    condition: Op.gte(Fn.lengthOf(value.stringValue), MIN_SECRET_LENGTH),
    errorMessage: `It must have at least ${MIN_SECRET_LENGTH} characters.`,
  });
  value.addOverride("ephemeral", true);
  const version = new TerraformVariable(stack, `${name}_version`, {
    type: "number",
    default: 1,
    description: `Increase by one to write ${name} again.`,
  });
  return { value, version };
}
