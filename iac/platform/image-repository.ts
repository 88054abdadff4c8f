import { ArtifactRegistryRepository } from "@cdktf/provider-google/lib/artifact-registry-repository/index.js";
import { ArtifactRegistryRepositoryIamMember } from "@cdktf/provider-google/lib/artifact-registry-repository-iam-member/index.js";
import type { TerraformStack } from "cdktf";
import { IMAGE_REPOSITORY } from "../names.ts";
import type { Settings } from "../settings.ts";
import type { Accounts } from "./accounts.ts";

/** Images to keep for a rollback. */
const KEPT_IMAGES = 10;

/** The repository of the worker pool's images, to which the deployer may push. */
export function createImageRepository(
  stack: TerraformStack,
  { environment }: Settings,
  accounts: Accounts,
): void {
  const repository = new ArtifactRegistryRepository(stack, "images", {
    repositoryId: IMAGE_REPOSITORY,
    location: environment.region,
    format: "DOCKER",
    description: "The worker pool's images",
    cleanupPolicies: [
      { id: "keep-last", action: "KEEP", mostRecentVersions: { keepCount: KEPT_IMAGES } },
      { id: "delete-older", action: "DELETE", condition: { tagState: "ANY", olderThan: "7d" } },
    ],
  });
  new ArtifactRegistryRepositoryIamMember(stack, "images-deployer", {
    repository: repository.name,
    location: repository.location,
    role: "roles/artifactregistry.writer",
    member: accounts.deployer.member,
  });
}
