import { AppEngineApplication } from "@cdktf/provider-google/lib/app-engine-application/index.js";
import { ProjectIamMember } from "@cdktf/provider-google/lib/project-iam-member/index.js";
import { StorageBucketIamMember } from "@cdktf/provider-google/lib/storage-bucket-iam-member/index.js";
import type { TerraformStack } from "cdktf";
import { getIamMember } from "../names.ts";
import type { Settings } from "../settings.ts";

/** The two regions that App Engine calls by older names. */
const OLDER_NAMES: Record<string, string> = {
  "us-central1": "us-central",
  "europe-west1": "europe-west",
};

/** The project's one App Engine application: it can be neither moved nor deleted. */
export function createAppEngine(
  stack: TerraformStack,
  { environment }: Settings,
): AppEngineApplication {
  const { projectId, region } = environment;
  const application = new AppEngineApplication(stack, "application", {
    locationId: OLDER_NAMES[region] ?? region,
    lifecycle: { preventDestroy: true },
  });
  // Versions are built as the application's own account. Projects made since 2024 give it no
  // rights at all, and it gets no more than a build needs; the versions run as others.
  new ProjectIamMember(stack, "application-build", {
    project: projectId,
    role: "roles/cloudbuild.builds.builder",
    member: `serviceAccount:${projectId}@appspot.gserviceaccount.com`,
    dependsOn: [application],
  });
  // gcloud looks at the bucket, and puts what is to be built there.
  for (const role of ["roles/storage.legacyBucketReader", "roles/storage.objectAdmin"]) {
    new StorageBucketIamMember(stack, `code-${role.split(".")[1]}`, {
      bucket: application.codeBucket,
      role,
      member: getIamMember("deployer", projectId),
    });
  }
  return application;
}
