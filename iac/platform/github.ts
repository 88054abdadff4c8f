import { IamWorkloadIdentityPool } from "@cdktf/provider-google/lib/iam-workload-identity-pool/index.js";
import { IamWorkloadIdentityPoolProvider } from "@cdktf/provider-google/lib/iam-workload-identity-pool-provider/index.js";
import { ServiceAccountIamMember } from "@cdktf/provider-google/lib/service-account-iam-member/index.js";
import type { TerraformStack } from "cdktf";
import type { GithubBranch } from "../environments.ts";
import { GITHUB } from "../names.ts";
import type { Accounts } from "./accounts.ts";

/**
 * Lets workflows of the branch act as the deployer or the auditor without a key: Google accepts
 * GitHub's signed token under the condition. All repositories on GitHub share the issuer, so without
 * the condition any of them could act as these accounts. A `pull_request_target` workflow also runs
 * on the branch, but for a change from outside, so pull requests are excluded.
 */
export function createIdentityProvider(
  stack: TerraformStack,
  { repository, repositoryId, branch }: GithubBranch,
  accounts: Accounts,
): void {
  const pool = new IamWorkloadIdentityPool(stack, "github", {
    workloadIdentityPoolId: GITHUB.pool,
    displayName: "GitHub",
    description: "Workflows of the repository that deploys",
  });
  new IamWorkloadIdentityPoolProvider(stack, "github-provider", {
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
}
