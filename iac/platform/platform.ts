import { DataGoogleProject } from "@cdktf/provider-google/lib/data-google-project/index.js";
import { type App, TerraformOutput, TerraformStack } from "cdktf";
import { watchProjects } from "../observability/fleet-dashboard.ts";
import { useGoogle } from "../provider.ts";
import type { Settings } from "../settings.ts";
import { createAccess } from "./access.ts";
import { createServiceAccounts } from "./accounts.ts";
import { createApis } from "./apis.ts";
import { createAppEngine } from "./app-engine.ts";
import { grantAuditor } from "./auditor.ts";
import { createDatabase } from "./database.ts";
import { grantDeployer } from "./deployer.ts";
import { trustGithub } from "./github.ts";
import { createImageRepository } from "./image-repository.ts";
import { createStateBucket, keepState } from "./state-bucket.ts";

/** What `service` and the workflow are told of this stack. */
export const OUTPUTS = {
  hostname: "hostname",
  projectNumber: "project_number",
  deployer: "deployer",
  identityProvider: "workload_identity_provider",
} as const;

/** What a person applies, once and seldom again: what deploys stand on, and may not change. */
export function createPlatform(app: App, settings: Settings): TerraformStack {
  const stack = new TerraformStack(app, "platform");
  useGoogle(stack, settings);
  keepState(stack, settings);
  const { number: projectNumber } = new DataGoogleProject(stack, "project");

  createStateBucket(stack, settings);
  const application = createAppEngine(stack, settings);
  createDatabase(stack, settings);
  const accounts = createServiceAccounts(stack, settings, projectNumber);
  grantDeployer(stack, settings, accounts);
  grantAuditor(stack, settings, accounts);
  createAccess(stack, settings);
  watchProjects(stack, settings);
  const provider = trustGithub(stack, settings, accounts);
  if (settings.environment.delivery === "worker-pool") {
    createImageRepository(stack, settings, accounts);
  }
  createApis(stack, settings);

  const values = {
    hostname: application.defaultHostname,
    projectNumber,
    deployer: accounts.deployer.email,
    identityProvider: provider.name,
  };
  for (const [key, name] of Object.entries(OUTPUTS)) {
    new TerraformOutput(stack, `output-${name}`, {
      value: values[key as keyof typeof OUTPUTS],
    }).overrideLogicalId(name);
  }
  return stack;
}
