import { ProjectIamMember } from "@cdktf/provider-google/lib/project-iam-member/index.js";
import { ServiceAccount } from "@cdktf/provider-google/lib/service-account/index.js";
import { ServiceAccountIamMember } from "@cdktf/provider-google/lib/service-account-iam-member/index.js";
import type { TerraformStack } from "cdktf";
import { ACCOUNTS, getIamMember, getPubsubAgent } from "../names.ts";
import type { Settings } from "../settings.ts";

const MEANINGS = {
  api: "Runs the API: publishes writes and reads the database",
  subscriber: "Runs the subscriber: settles writes in the database",
  push: "Whom Pub/Sub's pushes come from; has no rights",
  deployer: "Whom GitHub's workflow deploys as",
  auditor: "Whom GitHub's hourly audit runs as: reads logs and receipts",
} as const;
export type Accounts = Record<keyof typeof ACCOUNTS, ServiceAccount>;

/**
 * What a running process tells of itself: its lines on standard output, and its metrics and traces
 * by OTLP, which are charged to the project's quota.
 */
const TELLING = {
  log: "roles/logging.logWriter",
  metrics: "roles/telemetry.metricsWriter",
  traces: "roles/telemetry.tracesWriter",
  quota: "roles/serviceusage.serviceUsageConsumer",
};

/** The accounts, and who may act as one of them. What each may do stands with what it does it to. */
export function createServiceAccounts(
  stack: TerraformStack,
  { environment }: Settings,
  projectNumber: string,
): Accounts {
  const { projectId } = environment;
  const create = (name: keyof Accounts) =>
    new ServiceAccount(stack, name, {
      accountId: ACCOUNTS[name],
      displayName: ACCOUNTS[name],
      description: MEANINGS[name],
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
  // Who starts something that runs as an account must be allowed to act as it.
  for (const name of ["api", "subscriber", "push"] as const) {
    new ServiceAccountIamMember(stack, `act-as-${name}`, {
      serviceAccountId: accounts[name].name,
      role: "roles/iam.serviceAccountUser",
      member: getIamMember("deployer", projectId),
      dependsOn: [accounts.deployer],
    });
  }
  for (const name of ["api", "subscriber"] as const) {
    for (const [what, role] of Object.entries(TELLING)) {
      new ProjectIamMember(stack, `${what}-${name}`, {
        project: projectId,
        role,
        member: getIamMember(name, projectId),
        dependsOn: [accounts[name]],
      });
    }
  }
  return accounts;
}
