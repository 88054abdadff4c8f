import { SecretManagerSecret } from "@cdktf/provider-google/lib/secret-manager-secret/index.js";
import { SecretManagerSecretIamMember } from "@cdktf/provider-google/lib/secret-manager-secret-iam-member/index.js";
import { SecretManagerSecretVersion } from "@cdktf/provider-google/lib/secret-manager-secret-version/index.js";
import type { TerraformStack, TerraformVariable } from "cdktf";
import { type ACCOUNTS, getIamMember } from "../names.ts";
import { getSecret, type Settings } from "../settings.ts";
import { createSecretInput, createVersionInput } from "./inputs.ts";

/** What is given from outside to be kept, and its number. */
export type Password = { value: TerraformVariable; version: TerraformVariable };

/**
 * The secrets that app.yaml and subscriber.yaml name, and who may read each. The API's keys are
 * one of them only once app.yaml names it.
 */
export function createSecrets(stack: TerraformStack, settings: Settings): Password {
  const password = {
    value: createSecretInput(
      stack,
      "mysql_password",
      "The password of the database's user; once kept, it is in the secret.",
    ),
    version: createVersionInput(stack, "mysql_password"),
  };
  const passwordSecret = getSecret(settings.api, "MYSQL_PASSWORD_SECRET");
  if (passwordSecret) {
    const readers = ["api", "subscriber", "auditor"] as const;
    keep("mysql-password", passwordSecret, password, readers);
  }

  const keysSecret = getSecret(settings.api, "API_KEYS_SECRET");
  if (keysSecret) {
    const value = createSecretInput(stack, "api_keys", "What API_KEYS is to be.");
    const version = createVersionInput(stack, "api_keys");
    keep("api-keys", keysSecret, { value, version }, ["api"]);
  }
  return password;

  function keep(
    id: string,
    secretId: string,
    { value, version }: Password,
    readers: readonly (keyof typeof ACCOUNTS)[],
  ): void {
    const secret = new SecretManagerSecret(stack, id, { secretId, replication: { auto: {} } });
    new SecretManagerSecretVersion(stack, `${id}-version`, {
      secret: secret.id,
      secretDataWo: value.stringValue,
      secretDataWoVersion: version.numberValue,
      // What is replaced can be had back, should the new one be wrong.
      deletionPolicy: "DISABLE",
      lifecycle: { createBeforeDestroy: true },
    });
    for (const reader of readers) {
      new SecretManagerSecretIamMember(stack, `${id}-${reader}`, {
        secretId: secret.secretId,
        role: "roles/secretmanager.secretAccessor",
        member: getIamMember(reader, settings.environment.projectId),
      });
    }
  }
}
