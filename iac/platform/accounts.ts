import { ProjectIamMember } from "@cdktf/provider-google/lib/project-iam-member/index.js";
import { ServiceAccount } from "@cdktf/provider-google/lib/service-account/index.js";
import { ServiceAccountIamMember } from "@cdktf/provider-google/lib/service-account-iam-member/index.js";
import type { TerraformStack } from "cdktf";
import { ACCOUNTS, getPubsubAgent } from "../names.ts";
import type { Settings } from "../settings.ts";

const DESCRIPTIONS = {
  api: "Runs the API: publishes writes and reads the database",
  subscriber: "Runs the subscriber: settles writes in the database",
  push: "Signs the tokens of Pub/Sub's pushes; has no rights",
  deployer: "Runs the deploy workflow on GitHub",
  auditor: "Runs the hourly audit workflow on GitHub: reads logs and receipts",
} as const;
export type Accounts = Record<keyof typeof ACCOUNTS, ServiceAccount>;

/** What a process needs to write its logs, and its metrics and traces over OTLP. */
const TELEMETRY_ROLES = {
  log: "roles/logging.logWriter",
  metrics: "roles/telemetry.metricsWriter",
  traces: "roles/telemetry.tracesWriter",
  quota: "roles/serviceusage.serviceUsageConsumer",
};

/** To read which writes were accepted, and to log the audit's result. */
const AUDITOR_ROLES = ["roles/logging.viewer", "roles/logging.logWriter"];

/**
 * The service accounts, who may act as each, and their roles on the whole project. A role on one
 * resource is in the file of that resource; the deployer's roles are in deployer.ts.
 */
export function createAccounts(
  stack: TerraformStack,
  { environment }: Settings,
  projectNumber: string,
): Accounts {
  const { projectId } = environment;
  const create = (name: keyof Accounts) =>
    new ServiceAccount(stack, name, {
      accountId: ACCOUNTS[name],
      displayName: ACCOUNTS[name],
      description: DESCRIPTIONS[name],
    });
  const accounts = {
    api: create("api"),
    subscriber: create("subscriber"),
    push: create("push"),
    deployer: create("deployer"),
    auditor: create("auditor"),
  };

  // Pub/Sub signs the tokens of its pushes as `push`.
  new ServiceAccountIamMember(stack, "push-token", {
    serviceAccountId: accounts.push.name,
    role: "roles/iam.serviceAccountTokenCreator",
    member: getPubsubAgent(projectNumber),
  });
  // An account that starts a resource running as another account must be allowed to act as that one.
  for (const name of ["api", "subscriber", "push"] as const) {
    new ServiceAccountIamMember(stack, `act-as-${name}`, {
      serviceAccountId: accounts[name].name,
      role: "roles/iam.serviceAccountUser",
      member: accounts.deployer.member,
    });
  }
  const grant = (id: string, name: keyof Accounts, role: string) =>
    new ProjectIamMember(stack, id, {
      project: projectId,
      role,
      member: accounts[name].member,
    });
  for (const name of ["api", "subscriber"] as const) {
    for (const [kind, role] of Object.entries(TELEMETRY_ROLES))
      grant(`${kind}-${name}`, name, role);
  }
  // The audit runs on a schedule without review, so its account can change nothing but the log.
  for (const role of AUDITOR_ROLES) grant(`auditor-${role.split(".")[1]}`, "auditor", role);
  return accounts;
}
