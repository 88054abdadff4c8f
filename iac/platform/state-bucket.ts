import { StorageBucket } from "@cdktf/provider-google/lib/storage-bucket/index.js";
import { StorageBucketIamMember } from "@cdktf/provider-google/lib/storage-bucket-iam-member/index.js";
import { GcsBackend, type TerraformStack } from "cdktf";
import { getIamMember, getStateBucketName } from "../names.ts";
import type { Settings } from "../settings.ts";

/** Older states that are kept: some weeks of several deploys a day. */
const KEPT_VERSIONS = 100;

/** Where a stack's state lies; all stacks share the bucket, each under its own name. */
export function keepState(stack: TerraformStack, { environment }: Settings): void {
  new GcsBackend(stack, {
    bucket: getStateBucketName(environment.projectId),
    prefix: stack.node.id,
  });
}

/**
 * The bucket of the state, which holds the state of the stack that describes it: it is made by one
 * command before the first apply, and imported here by that apply.
 *
 * The deployer writes the states of `service` and `observability` and only reads that of `platform`, or it could bend
 * what a person applies next. Listing cannot be bound to a name, and Terraform lists at `init`.
 */
export function createStateBucket(stack: TerraformStack, { environment }: Settings): void {
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
  const member = getIamMember("deployer", projectId);
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
    new StorageBucketIamMember(stack, id, { bucket: bucket.name, member, ...grant });
  }
}
