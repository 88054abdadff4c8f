import { AppEngineApplication } from "@cdktf/provider-google/lib/app-engine-application/index.js";
import { ProjectIamMember } from "@cdktf/provider-google/lib/project-iam-member/index.js";
import { StorageBucketIamMember } from "@cdktf/provider-google/lib/storage-bucket-iam-member/index.js";
import type { TerraformStack } from "cdktf";
import { getBuildAccount } from "../names.ts";
import type { Settings } from "../settings.ts";
import type { Accounts } from "./accounts.ts";

/** The two regions that have another name in App Engine. */
const APP_ENGINE_REGIONS: Record<string, string> = {
  "us-central1": "us-central",
  "europe-west1": "europe-west",
};

/** The project's App Engine application. A project has one; it cannot be moved or deleted. */
export function createAppEngine(
  stack: TerraformStack,
  { environment }: Settings,
  { deployer }: Accounts,
): AppEngineApplication {
  const { projectId, region } = environment;
  const application = new AppEngineApplication(stack, "application", {
    locationId: APP_ENGINE_REGIONS[region] ?? region,
    lifecycle: { preventDestroy: true },
  });
  // The account that builds versions has no roles in projects created since 2024. It needs only the
  // builder role; the versions run as other accounts.
  new ProjectIamMember(stack, "application-build", {
    project: projectId,
    role: "roles/cloudbuild.builds.builder",
    member: `serviceAccount:${getBuildAccount(environment)}`,
    dependsOn: [application],
  });
  // gcloud checks that the bucket exists, and uploads the source to it.
  for (const role of ["roles/storage.legacyBucketReader", "roles/storage.objectAdmin"]) {
    new StorageBucketIamMember(stack, `code-${role.split(".")[1]}`, {
      bucket: application.codeBucket,
      role,
      member: deployer.member,
    });
  }
  return application;
}
