import { DataGoogleProject } from "@cdktf/provider-google/lib/data-google-project/index.js";
import { type App, TerraformOutput, type TerraformStack } from "cdktf";
import type { Settings } from "../settings.ts";
import { createStack, OUTPUTS } from "../stack.ts";
import { createAccess } from "./access.ts";
import { createAccounts } from "./accounts.ts";
import { createApis } from "./apis.ts";
import { createAppEngine } from "./app-engine.ts";
import { createDatabase } from "./database.ts";
import { grantDeployer } from "./deployer.ts";
import { createIdentityProvider } from "./github.ts";
import { createImageRepository } from "./image-repository.ts";
import { createStateBucket } from "./state-bucket.ts";

/** The stack that a person applies once, and seldom again: what deploys need and may not change. */
export function createPlatform(app: App, settings: Settings): TerraformStack {
  const stack = createStack(app, "platform", settings);
  const { number: projectNumber } = new DataGoogleProject(stack, "project");

  const accounts = createAccounts(stack, settings, projectNumber);
  createStateBucket(stack, settings, accounts);
  const application = createAppEngine(stack, settings, accounts);
  createDatabase(stack, settings, accounts);
  grantDeployer(stack, settings, accounts);
  createAccess(stack, settings);
  const { github, delivery } = settings.environment;
  if (github) createIdentityProvider(stack, github, accounts);
  if (delivery === "worker-pool") {
    createImageRepository(stack, settings, accounts);
  }
  createApis(stack, settings);

  const values = {
    hostname: application.defaultHostname,
    projectNumber,
    deployer: accounts.deployer.email,
  };
  for (const [key, name] of Object.entries(OUTPUTS)) {
    new TerraformOutput(stack, `output-${name}`, {
      value: values[key as keyof typeof OUTPUTS],
    }).overrideLogicalId(name);
  }
  return stack;
}
