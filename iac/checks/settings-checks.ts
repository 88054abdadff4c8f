import { BODY_BYTES, ITEM_BYTES, PUBLISH, PULL_BYTES, SETTLE } from "../../common/limits.ts";
import { CONNECTION_LIMITS } from "../environments.ts";
import { DATABASE_INSTANCE, getServiceAccountEmail } from "../names.ts";
import {
  getDatabaseAddress,
  getSecret,
  getVariable,
  MEMORY_MB,
  type ServiceSettings,
  type Settings,
} from "../settings.ts";

/** During a rollout the old and the new version each have as many instances as one may have. */
const VERSIONS_AT_ONCE = 2;
/** For migrations, dead-letters, Cloud SQL's own agents, and a person who looks at what is wrong. */
export const RESERVED_CONNECTIONS = 40;

const MB = 1024 * 1024;
/** What either process holds when idle: its libraries and Node, measured as resident memory. */
const IDLE_MB = 120;
/** A pushed item comes in base64. */
const BASE64 = 4 / 3;

/** The set-up is unsafe; the message has a line for each reason. */
export class Refusal extends Error {
  override name = "Refusal";
  readonly faults: readonly string[];
  constructor(faults: readonly string[]) {
    super(`The set-up is refused:\n${faults.map((fault) => `  - ${fault}`).join("\n")}`);
    this.faults = faults;
  }
}

/** What is unsafe in the numbers of app.yaml, subscriber.yaml and the environment. */
export function checkSettings(settings: Settings): string[] {
  return [
    ...checkConnections(settings),
    ...checkQueues(settings),
    ...checkMemory(settings),
    ...checkAgreement(settings),
  ];
}

/** Where connections run out, requests fail, and so do migrations and whoever would mend it. */
function checkConnections({ environment, api, subscriber }: Settings): string[] {
  const { tier, delivery, workerPoolInstances } = environment;
  const limit = CONNECTION_LIMITS[tier];
  const instances = delivery === "push" ? subscriber.maxInstances : workerPoolInstances;
  const wanted =
    VERSIONS_AT_ONCE * (api.maxInstances * api.poolSize + instances * subscriber.poolSize);
  if (wanted <= limit - RESERVED_CONNECTIONS) return [];
  const source = delivery === "push" ? subscriber.file : "iac/environments.ts";
  return [
    `${api.file}, ${source}: ${VERSIONS_AT_ONCE} versions of ${api.maxInstances} instances with` +
      ` ${api.poolSize} connections and ${instances} with ${subscriber.poolSize} make ${wanted},` +
      ` but ${tier} takes ${limit} less ${RESERVED_CONNECTIONS} in reserve,` +
      ` which is ${limit - RESERVED_CONNECTIONS}.`,
  ];
}

/** What App Engine lets in at once must at least find a place in the queue, or it is refused. */
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

/** A process that passes its class is killed without a word, with everything it holds. */
function checkMemory({ environment, api, subscriber }: Settings): string[] {
  const held =
    environment.delivery === "push"
      ? subscriber.maxConcurrentRequests * ITEM_BYTES * BASE64
      : PULL_BYTES;
  return [
    ...getFault(api, api.maxConcurrentRequests * BODY_BYTES, "requests with the largest body"),
    ...getFault(subscriber, held, "the largest messages at work"),
  ];

  function getFault(service: ServiceSettings, heldBytes: number, what: string): string[] {
    const memoryMb = MEMORY_MB[service.instanceClass];
    if (memoryMb === undefined) {
      const known = Object.keys(MEMORY_MB).join(", ");
      return [`${service.file}: instance_class ${service.instanceClass} is none of ${known}.`];
    }
    const neededMb = IDLE_MB + Math.ceil(heldBytes / MB);
    if (neededMb <= memoryMb) return [];
    return [
      `${service.file}: instance_class ${service.instanceClass} has ${memoryMb} MB, but the process` +
        ` needs ${neededMb}: ${IDLE_MB} idle and ${neededMb - IDLE_MB} for ${what}.`,
    ];
  }
}

/** What the files name must be what the stacks make, or the processes find nothing there. */
function checkAgreement({ environment, api, subscriber }: Settings): string[] {
  const { projectId, region } = environment;
  const connectionName = `${projectId}:${region}:${DATABASE_INSTANCE}`;
  const each = [api, subscriber].flatMap((service) => [
    {
      ...{ file: service.file, name: "service_account", found: service.serviceAccount },
      wanted: getServiceAccountEmail(service === api ? "api" : "subscriber", projectId),
    },
    {
      ...{ file: service.file, name: "the socket of MYSQL_URL", wanted: connectionName },
      found: getDatabaseAddress(service).connectionName,
    },
    {
      ...{ file: service.file, name: "the project of MYSQL_PASSWORD_SECRET", wanted: projectId },
      found: getVariable(service, "MYSQL_PASSWORD_SECRET").split("/")[1],
    },
  ]);
  const shared = [
    ...(["user", "database"] as const).map((name) => ({
      ...{ file: subscriber.file, name: `the ${name} of MYSQL_URL` },
      ...{ found: getDatabaseAddress(subscriber)[name], wanted: getDatabaseAddress(api)[name] },
    })),
    {
      ...{ file: subscriber.file, name: "MYSQL_PASSWORD_SECRET" },
      found: getSecret(subscriber, "MYSQL_PASSWORD_SECRET"),
      wanted: getSecret(api, "MYSQL_PASSWORD_SECRET"),
    },
    {
      ...{ file: subscriber.file, name: "PUBSUB_TOPIC" },
      found: getVariable(subscriber, "PUBSUB_TOPIC"),
      wanted: getVariable(api, "PUBSUB_TOPIC"),
    },
    {
      ...{ file: subscriber.file, name: "PUSH_SERVICE_ACCOUNT" },
      found: getVariable(subscriber, "PUSH_SERVICE_ACCOUNT"),
      wanted: getServiceAccountEmail("push", projectId),
    },
  ];
  return [...each, ...shared]
    .filter(({ found, wanted }) => found !== wanted)
    .map(
      ({ file, name, found, wanted }) => `${file}: ${name} is "${found}", but "${wanted}" is made.`,
    );
}
