import { GoogleProvider } from "@cdktf/provider-google/lib/provider/index.js";
import { type App, DataTerraformRemoteStateGcs, GcsBackend, TerraformStack } from "cdktf";
import { getStateBucketName } from "./names.ts";
import type { Settings } from "./settings.ts";
import type { Stacks } from "./terraform-json.ts";

/** The first version with write-only arguments and ephemeral variables. */
const TERRAFORM = ">= 1.11";
/**
 * The version of Google's provider, set apart from that of the bindings, which only check types
 * (docs/decisions/2026-11-21-cdktf-and-its-fork.md). iac/terraform.lock.hcl has its hashes.
 */
export const PROVIDER_VERSION = "6.50.0";

/** The outputs of the stack `platform` for the other stacks, by Terraform's names. */
export const OUTPUTS = {
  hostname: "hostname",
  projectNumber: "project_number",
  deployer: "deployer",
} as const;
export type Platform = { hostname: string; projectNumber: string };

/** An empty stack with Google's provider. All stacks keep their state in one bucket, each under its name. */
export function createStack(
  app: App,
  name: keyof Stacks,
  { environment }: Settings,
): TerraformStack {
  const { projectId, region } = environment;
  const stack = new TerraformStack(app, name);
  new GoogleProvider(stack, "google", { project: projectId, region });
  stack.addOverride("terraform.required_version", TERRAFORM);
  stack.addOverride("terraform.required_providers.google.version", PROVIDER_VERSION);
  new GcsBackend(stack, { bucket: getStateBucketName(projectId), prefix: name });
  return stack;
}

/** Reads from the state of `platform` the values that Google assigned. */
export function readPlatform(stack: TerraformStack, { environment }: Settings): Platform {
  const state = new DataTerraformRemoteStateGcs(stack, "platform", {
    bucket: getStateBucketName(environment.projectId),
    prefix: "platform",
  });
  return {
    hostname: state.getString(OUTPUTS.hostname),
    projectNumber: state.getString(OUTPUTS.projectNumber),
  };
}
