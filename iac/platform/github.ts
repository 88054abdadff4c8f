import { IamWorkloadIdentityPool } from "@cdktf/provider-google/lib/iam-workload-identity-pool/index.js";
import { IamWorkloadIdentityPoolProvider } from "@cdktf/provider-google/lib/iam-workload-identity-pool-provider/index.js";
import { ServiceAccountIamMember } from "@cdktf/provider-google/lib/service-account-iam-member/index.js";
import type { TerraformStack } from "cdktf";
import { GITHUB } from "../names.ts";
import type { Settings } from "../settings.ts";
import type { Accounts } from "./accounts.ts";

/**
 * Lets the branch's workflows act as the deployer or the auditor, without a key: GitHub signs who is asking, and
 * Google believes it under the condition. Everyone's tokens have the same issuer, so that without
 * the condition any repository of the world could ask. A workflow on `pull_request_target` runs at
 * the branch too, but for a stranger's change.
 */
export function trustGithub(
  stack: TerraformStack,
  { environment }: Settings,
  accounts: Accounts,
): IamWorkloadIdentityPoolProvider {
  const { repository, repositoryId, branch } = environment.github;
  const pool = new IamWorkloadIdentityPool(stack, "github", {
    workloadIdentityPoolId: GITHUB.pool,
    displayName: "GitHub",
    description: "Workflows of the repository that deploys",
  });
  const provider = new IamWorkloadIdentityPoolProvider(stack, "github-provider", {
    workloadIdentityPoolId: pool.workloadIdentityPoolId,
    workloadIdentityPoolProviderId: GITHUB.provider,
    displayName: "GitHub Actions",
    oidc: { issuerUri: "https://token.actions.githubusercontent.com" },
    attributeMapping: {
      "google.subject": "assertion.sub",
      "attribute.repository_id": "assertion.repository_id",
      "attribute.ref": "assertion.ref",
    },
    attributeCondition: [
      `assertion.repository == "${repository}"`,
      `assertion.repository_id == "${repositoryId}"`,
      `assertion.ref == "refs/heads/${branch}"`,
      `!assertion.event_name.startsWith("pull_request")`,
    ].join(" && "),
  });
  for (const name of ["deployer", "auditor"] as const) {
    new ServiceAccountIamMember(stack, `github-${name}`, {
      serviceAccountId: accounts[name].name,
      role: "roles/iam.workloadIdentityUser",
      member: `principalSet://iam.googleapis.com/${pool.name}/attribute.repository_id/${repositoryId}`,
    });
  }
  return provider;
}
