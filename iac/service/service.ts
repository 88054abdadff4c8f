import { type App, DataTerraformRemoteStateGcs, TerraformStack } from "cdktf";
import { getStateBucketName } from "../names.ts";
import { OUTPUTS } from "../platform/platform.ts";
import { keepState } from "../platform/state-bucket.ts";
import { useGoogle } from "../provider.ts";
import type { Settings } from "../settings.ts";
import { createAnalytics } from "./analytics.ts";
import { createAppEngineServices } from "./app-engine.ts";
import { createDatabaseUser } from "./database.ts";
import { createDeadLetters } from "./dead-letters.ts";
import { createSubscription } from "./pubsub.ts";
import { createSecrets } from "./secrets.ts";
import { createTopic } from "./topic.ts";
import { createWorkerPool } from "./worker-pool.ts";

/** What every deploy applies: what the running services need beside themselves. */
export function createService(app: App, settings: Settings): TerraformStack {
  const { environment } = settings;
  const stack = new TerraformStack(app, "service");
  useGoogle(stack, settings);
  keepState(stack, settings);
  // What only Google knows: it made the number and the address up.
  const state = new DataTerraformRemoteStateGcs(stack, "platform", {
    bucket: getStateBucketName(environment.projectId),
    prefix: "platform",
  });
  const platform = {
    hostname: state.getString(OUTPUTS.hostname),
    projectNumber: state.getString(OUTPUTS.projectNumber),
  };

  const writes = createTopic(stack, settings);
  const deadLetters = createDeadLetters(stack, settings, platform);
  createSubscription(stack, settings, platform, { writes, deadLetters });
  const password = createSecrets(stack, settings);
  createDatabaseUser(stack, settings, password);
  if (environment.analytics) createAnalytics(stack, settings, platform.projectNumber, writes);
  createAppEngineServices(stack, settings);
  if (environment.delivery === "worker-pool") createWorkerPool(stack, settings);
  return stack;
}
