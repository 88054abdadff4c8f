import { StorageBucket } from "@cdktf/provider-google/lib/storage-bucket/index.js";
import { StorageBucketIamMember } from "@cdktf/provider-google/lib/storage-bucket-iam-member/index.js";
import type { TerraformStack } from "cdktf";
import { getStateBucketName } from "../names.ts";
import type { Settings } from "../settings.ts";
import type { Accounts } from "./accounts.ts";

/** Older states to keep: several weeks at a few deploys a day. */
const KEPT_VERSIONS = 100;

/**
 * The bucket of Terraform's state, and what the deployer may do in it. The bucket also holds the
 * state of this stack: it is created by one command before the first apply, which imports it.
 *
 * The deployer writes the states of `service` and `observability` and only reads that of
 * `platform`; otherwise a deploy could change what a person applies next. `terraform init` lists
 * the bucket, and IAM cannot limit a list to a prefix.
 */
export function createStateBucket(
  stack: TerraformStack,
  { environment }: Settings,
  { deployer }: Accounts,
): void {
  const { projectId, region } = environment;
  const name = getStateBucketName(projectId);
  const bucket = new StorageBucket(stack, "state", {
    name,
    location: region,
    uniformBucketLevelAccess: true,
    publicAccessPrevention: "enforced",
    versioning: { enabled: true },
    lifecycleRule: [
      {
        action: { type: "Delete" },
        condition: { numNewerVersions: KEPT_VERSIONS, withState: "ARCHIVED" },
      },
    ],
    lifecycle: { preventDestroy: true },
  });
  bucket.importFrom(name);
  const within = (prefix: string) => ({
    title: `only-${prefix}`,
    expression: `resource.name.startsWith("projects/_/buckets/${name}/objects/${prefix}/")`,
  });
  const grants = [
    { id: "state-list", role: "roles/storage.legacyBucketReader" },
    { id: "state-write", role: "roles/storage.objectAdmin", condition: within("service") },
    {
      id: "state-write-observability",
      role: "roles/storage.objectAdmin",
      condition: within("observability"),
    },
    { id: "state-read", role: "roles/storage.objectViewer", condition: within("platform") },
  ];
  for (const { id, ...grant } of grants) {
    new StorageBucketIamMember(stack, id, {
      bucket: bucket.name,
      member: deployer.member,
      ...grant,
    });
  }
}
