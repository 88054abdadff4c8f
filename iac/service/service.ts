import type { App, TerraformStack } from "cdktf";
import type { Settings } from "../settings.ts";
import { createStack, readPlatform } from "../stack.ts";
import { createAnalytics } from "./analytics.ts";
import { createAppEngineServices } from "./app-engine.ts";
import { createDatabase } from "./database.ts";
import { createPubsub } from "./pubsub.ts";
import { createSecrets } from "./secrets.ts";

/** The stack that every deploy applies before the rollout: what the running services need. */
export function createService(app: App, settings: Settings): TerraformStack {
  const stack = createStack(app, "service", settings);
  const platform = readPlatform(stack, settings);

  const writes = createPubsub(stack, settings, platform);
  const password = createSecrets(stack, settings);
  createDatabase(stack, settings, password);
  if (settings.environment.analytics)
    createAnalytics(stack, settings, platform.projectNumber, writes);
  createAppEngineServices(stack, settings);
  return stack;
}
