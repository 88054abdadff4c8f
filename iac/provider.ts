import { GoogleProvider } from "@cdktf/provider-google/lib/provider/index.js";
import type { TerraformStack } from "cdktf";
import type { Settings } from "./settings.ts";

/** The first version that has write-only arguments and variables that no plan holds. */
const TERRAFORM = ">= 1.11";

export function useGoogle(stack: TerraformStack, { environment }: Settings): void {
  new GoogleProvider(stack, "google", {
    project: environment.projectId,
    region: environment.region,
  });
  stack.addOverride("terraform.required_version", TERRAFORM);
}
