import { PUBLISH, SETTLE, WORST_MEMORY_MB } from "../../common/limits.ts";
import { CONNECTION_LIMITS } from "../environments.ts";
import { getDatabaseInstance, getServiceAccountEmail } from "../names.ts";
import {
  getDatabaseAddress,
  getSecret,
  getVariable,
  MEMORY_MB,
  type Settings,
} from "../settings.ts";

/** During a rollout, the old and the new version may each have max_instances. */
const MAX_VERSIONS = 2;
/** For migrations, the operator's commands, Cloud SQL's agents and a person who investigates. */
export const RESERVED_CONNECTIONS = 40;

/** The settings are unsafe; the message has a line for each reason. */
export class UnsafeSettingsError extends Error {
  override name = "UnsafeSettingsError";
  readonly faults: readonly string[];
  constructor(faults: readonly string[]) {
    super(`The settings are unsafe:\n${faults.map((fault) => `  - ${fault}`).join("\n")}`);
    this.faults = faults;
  }
}

/** Returns a sentence for each unsafe number in app.yaml, subscriber.yaml and the environment. */
export function checkSettings(settings: Settings): string[] {
  return [
    ...checkConnections(settings),
    ...checkQueues(settings),
    ...checkMemory(settings),
    ...checkAgreement(settings),
    ...checkCron(settings),
    ...checkAccess(settings),
  ];
}

/**
 * That anyone may call an API, and how often, is somebody's decision and no default. The rollout tests
 * an API that requires a credential with a key.
 */
function checkAccess({ api }: Settings): string[] {
  const { ACCESS = "", API_KEYS_SECRET = "", RATE_LIMIT_PER_MINUTE = "" } = api.variables;
  const faults: string[] = [];
  if (ACCESS === "")
    faults.push(
      `${api.file}: ACCESS is missing: public, public-reads or keys must say who may call the API.`,
    );
  if (ACCESS !== "" && ACCESS !== "public" && API_KEYS_SECRET === "")
    faults.push(
      `${api.file}: ACCESS is "${ACCESS}", so that the rollout needs an API key; name their secret in` +
        " API_KEYS_SECRET (docs/identity.md).",
    );
  if (ACCESS !== "keys" && !(Number(RATE_LIMIT_PER_MINUTE) > 0))
    faults.push(
      `${api.file}: RATE_LIMIT_PER_MINUTE must be above 0, because callers without a credential are` +
        " answered.",
    );
  return faults;
}

/** An expired item is swept within a minute or so; where there are none, each call only costs. */
function checkCron({ api, subscriber, cron, hasExpiry }: Settings): string[] {
  const wanted = hasExpiry ? "every 1 minutes" : "every 1 hours";
  const reason = hasExpiry ? "a collection's items expire" : "no collection's items expire";
  return [api, subscriber].flatMap(({ service }) => {
    const job = cron.find(({ url, target }) => url === "/_ah/sweep" && target === service);
    if (job?.schedule === wanted) return [];
    const found = job ? `has the schedule "${job.schedule}"` : "is missing";
    return [
      `cron.yaml: the job /_ah/sweep of ${service} ${found}, but must have "${wanted}", because ${reason}.`,
    ];
  });
}

/** Without free connections, requests and migrations fail, and nobody can log in to fix it. */
function checkConnections({ environment, api, subscriber }: Settings): string[] {
  const { tier, delivery, workerPoolInstances } = environment;
  const limit = CONNECTION_LIMITS[tier];
  const instances = delivery === "push" ? subscriber.maxInstances : workerPoolInstances;
  const wanted = MAX_VERSIONS * (api.maxInstances * api.poolSize + instances * subscriber.poolSize);
  if (wanted <= limit - RESERVED_CONNECTIONS) return [];
  const source = delivery === "push" ? subscriber.file : "iac/environments.ts";
  return [
    `${api.file}, ${source}: ${MAX_VERSIONS} versions of ${api.maxInstances} instances with` +
      ` ${api.poolSize} connections and ${instances} with ${subscriber.poolSize} need ${wanted},` +
      ` but ${tier} allows ${limit}, of which ${RESERVED_CONNECTIONS} are reserved.`,
  ];
}

/** The queue must hold all requests that App Engine sends at once, or some are refused. */
function checkQueues({ environment, api, subscriber }: Settings): string[] {
  const queues = [
    { service: api, queue: "PUBLISH.maxQueued", places: PUBLISH.maxQueued },
    ...(environment.delivery === "push"
      ? [{ service: subscriber, queue: "SETTLE.maxQueued", places: SETTLE.maxQueued }]
      : []),
  ];
  return queues
    .filter(({ service, places }) => service.maxConcurrentRequests > places)
    .map(
      ({ service, queue, places }) =>
        `${service.file}: automatic_scaling.max_concurrent_requests is` +
        ` ${service.maxConcurrentRequests}, but ${queue} in common/limits.ts is ${places}.`,
    );
}

/**
 * App Engine kills a process that exceeds the memory of its class, without a log line; the worker pool
 * has that of the subscriber's class. How many requests come at once makes no difference, because the
 * processes bound what these hold together.
 */
function checkMemory({ api, subscriber }: Settings): string[] {
  return [api, subscriber].flatMap(({ file, instanceClass }) => {
    const memoryMb = MEMORY_MB[instanceClass];
    if (memoryMb === undefined) {
      const known = Object.keys(MEMORY_MB).join(", ");
      return [`${file}: instance_class ${instanceClass} must be one of ${known}.`];
    }
    if (memoryMb >= WORST_MEMORY_MB) return [];
    return [
      `${file}: instance_class ${instanceClass} has ${memoryMb} MB, but the process may need` +
        ` ${WORST_MEMORY_MB} (docs/architecture.md, "Memory").`,
    ];
  });
}

/** The files must name the resources that the stacks create. */
function checkAgreement({ environment, api, subscriber }: Settings): string[] {
  const { projectId, region } = environment;
  const connectionName = `${projectId}:${region}:${getDatabaseInstance(environment)}`;
  const each = [api, subscriber].flatMap((service) => [
    {
      file: service.file,
      name: "service_account",
      found: service.serviceAccount,
      wanted: getServiceAccountEmail(service === api ? "api" : "subscriber", projectId),
    },
    {
      file: service.file,
      name: "the socket of MYSQL_URL",
      found: getDatabaseAddress(service).connectionName,
      wanted: connectionName,
    },
    {
      file: service.file,
      name: "the project of MYSQL_PASSWORD_SECRET",
      found: getVariable(service, "MYSQL_PASSWORD_SECRET").split("/")[1],
      wanted: projectId,
    },
  ]);
  const shared = [
    ...(["user", "database"] as const).map((name) => ({
      file: subscriber.file,
      name: `the ${name} of MYSQL_URL`,
      found: getDatabaseAddress(subscriber)[name],
      wanted: getDatabaseAddress(api)[name],
    })),
    {
      file: subscriber.file,
      name: "MYSQL_PASSWORD_SECRET",
      found: getSecret(subscriber, "MYSQL_PASSWORD_SECRET"),
      wanted: getSecret(api, "MYSQL_PASSWORD_SECRET"),
    },
    {
      file: subscriber.file,
      name: "PUBSUB_TOPIC",
      found: getVariable(subscriber, "PUBSUB_TOPIC"),
      wanted: getVariable(api, "PUBSUB_TOPIC"),
    },
    {
      file: subscriber.file,
      name: "RECEIPT_RETENTION_DAYS",
      found: getVariable(subscriber, "RECEIPT_RETENTION_DAYS"),
      wanted: getVariable(api, "RECEIPT_RETENTION_DAYS"),
    },
    {
      file: subscriber.file,
      name: "PUSH_SERVICE_ACCOUNT",
      found: getVariable(subscriber, "PUSH_SERVICE_ACCOUNT"),
      wanted: getServiceAccountEmail("push", projectId),
    },
  ];
  return [...each, ...shared]
    .filter(({ found, wanted }) => found !== wanted)
    .map(
      ({ file, name, found, wanted }) => `${file}: ${name} is "${found}", but must be "${wanted}".`,
    );
}
