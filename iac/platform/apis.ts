import { ProjectService } from "@cdktf/provider-google/lib/project-service/index.js";
import { TerraformIterator, TerraformResource, type TerraformStack } from "cdktf";
import type { Settings } from "../settings.ts";

/** The Google APIs that every environment needs. */
const ALWAYS = [
  "appengine",
  "artifactregistry",
  "cloudbuild",
  "cloudresourcemanager",
  "cloudscheduler",
  "cloudtrace",
  "iam",
  "iamcredentials",
  "logging",
  "monitoring",
  "pubsub",
  "secretmanager",
  "serviceusage",
  "sqladmin",
  "storage",
  "sts",
  "telemetry",
];

/**
 * Enables Google's APIs; every other resource of the stack depends on it. The APIs stay enabled when
 * the stack is destroyed, because other parts of the project may use them.
 */
export function createApis(stack: TerraformStack, { environment }: Settings): void {
  const names = [
    ...ALWAYS,
    ...(environment.analytics ? ["bigquery"] : []),
    ...(environment.delivery === "worker-pool" ? ["run"] : []),
  ];
  const each = TerraformIterator.fromList(names.map((name) => `${name}.googleapis.com`));
  const apis = new ProjectService(stack, "apis", {
    forEach: each,
    service: each.value,
    disableOnDestroy: false,
  });
  for (const resource of stack.node.findAll()) {
    if (!TerraformResource.isTerraformResource(resource) || resource === apis) continue;
    resource.dependsOn = [
      `${apis.terraformResourceType}.${apis.friendlyUniqueId}`,
      ...(resource.dependsOn ?? []),
    ];
  }
}
