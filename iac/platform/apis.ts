import { ProjectService } from "@cdktf/provider-google/lib/project-service/index.js";
import { TerraformIterator, TerraformResource, type TerraformStack } from "cdktf";
import type { Settings } from "../settings.ts";

/** What every set-up uses: its parts, how they are built, how they log, and who deploys them. */
const ALWAYS = [
  "appengine",
  "artifactregistry",
  "cloudbuild",
  "cloudresourcemanager",
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
 * Switches on Google's services, before anything else of the stack is made. They stay on when the
 * stack goes, since others may use them.
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
  for (const made of stack.node.findAll()) {
    if (!TerraformResource.isTerraformResource(made) || made === apis) continue;
    made.dependsOn = [
      `${apis.terraformResourceType}.${apis.friendlyUniqueId}`,
      ...(made.dependsOn ?? []),
    ];
  }
}
