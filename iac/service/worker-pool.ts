import { CloudRunV2WorkerPool } from "@cdktf/provider-google/lib/cloud-run-v2-worker-pool/index.js";
import { type App, TerraformOutput, type TerraformStack, TerraformVariable } from "cdktf";
import { getServiceAccountEmail, WORKER_POOL } from "../names.ts";
import { MEMORY_MB, type Settings } from "../settings.ts";
import { createStack } from "../stack.ts";

/** The folder of the database's socket in subscriber.yaml's MYSQL_URL. */
const SOCKETS = { name: "cloudsql", mountPath: "/cloudsql" };

/**
 * The subscriber as a Cloud Run worker pool that pulls, with the memory and the variables of
 * subscriber.yaml. It is always running, has no web address, and settles sooner than with pushes.
 *
 * It is a stack of its own, without resources where messages are pushed: a deploy applies it once its
 * secrets and grants exist and the migrations have run, and before the API's rollout.
 */
export function createWorkerPool(app: App, settings: Settings): TerraformStack {
  const stack = createStack(app, "worker-pool", settings);
  const { environment, subscriber, database } = settings;
  if (environment.delivery === "push") return stack;
  const image = new TerraformVariable(stack, "subscriber_image", {
    type: "string",
    nullable: false,
    description: "The subscriber's image, by its digest.",
  });
  const variables = {
    ...Object.fromEntries(
      Object.entries(subscriber.variables).filter(([name]) => !name.startsWith("PUSH_")),
    ),
    DELIVERY: "pull",
    // Set by App Engine, but not by Cloud Run.
    GOOGLE_CLOUD_PROJECT: environment.projectId,
  };
  new CloudRunV2WorkerPool(stack, "worker-pool", {
    name: WORKER_POOL,
    location: environment.region,
    deletionProtection: false,
    // A pool is not scaled automatically.
    scaling: { manualInstanceCount: environment.workerPoolInstances },
    template: {
      serviceAccount: getServiceAccountEmail("subscriber", environment.projectId),
      containers: [
        {
          image: image.stringValue,
          env: Object.entries(variables).map(([name, value]) => ({ name, value })),
          resources: {
            limits: { cpu: "1", memory: `${MEMORY_MB[subscriber.instanceClass]}Mi` },
          },
          volumeMounts: [SOCKETS],
        },
      ],
      volumes: [{ name: SOCKETS.name, cloudSqlInstance: { instances: [database.connectionName] } }],
    },
  });
  // A deploy reads it, to put the pool back if the API's rollout fails.
  new TerraformOutput(stack, "output-image", { value: image.stringValue }).overrideLogicalId(
    "subscriber_image",
  );
  return stack;
}
