import { join } from "node:path";
import { type Pool, query } from "../../common/database.ts";
import { findAnyPort } from "../../local/ports.ts";
import { createTopology } from "../../local/topology.ts";
import { addFeed } from "../support/feed.ts";
import { addHolds, berths } from "../support/holds.ts";
import { addOwner, DATA_WITH_OWNER, OWNER_ENV } from "../support/owned.ts";
import { TcpProxy } from "../support/tcp-proxy.ts";
import { ClusterProcess } from "./cluster-process.ts";
import type { DatabaseServer } from "./database-server.ts";
import { type Plan, PROCESSES, type ProcessName } from "./plan.ts";
import { PubsubServer } from "./pubsub-server.ts";
import { startWitness, type Witness } from "./witness.ts";

const PROJECT_ID = "constancia-chaos";
const TOPIC = "writes";
const SUBSCRIPTIONS = { subscription: "settle", deadLetterSubscription: "dead-keep" };
/** The shortest deadline that Pub/Sub allows: a killed subscriber's messages are back after it. */
const ACK_DEADLINE_SECONDS = 10;
const TOKEN = {
  audience: "constancia-chaos",
  serviceAccountEmail: "pusher@constancia-chaos.iam.gserviceaccount.com",
};
const SKEW = join(import.meta.dirname, "skew.mjs");

/** Two APIs, two subscribers, a database, a Pub/Sub, and the network between them. */
export type ChaosCluster = {
  database: { server: DatabaseServer; name: string; pool: Pool };
  pubsub: PubsubServer;
  proxies: { mysql: TcpProxy; pubsub: TcpProxy };
  processes: Record<ProcessName, ClusterProcess>;
  apiUrls: readonly [string, string];
  /** The variables of all processes. */
  env: Readonly<Record<string, string>>;
  witness: Witness;
  /** Whether items have owners, and there are berths to hold. */
  isOwned: boolean;
  /** Whether the collection has a feed. */
  hasFeed: boolean;
  close(): Promise<void>;
};

type ClusterOptions = {
  server: DatabaseServer;
  /** For data and logs. */
  folder: string;
  /** The folder of the bundled processes. */
  code: string;
  plan: Pick<Plan, "seed" | "delivery" | "skewMs">;
  /** The code declares that items have owners, and berths to hold, which the tables have then. */
  isOwned?: boolean;
  /** The code declares a feed of the collection, which its table gets. */
  hasFeed?: boolean;
  /** Connects the processes without proxies, which cost processor time. */
  isDirect?: boolean;
};

/** Starts a cluster; what was started is stopped again where the rest fails. */
export async function startChaosCluster(options: ClusterOptions): Promise<ChaosCluster> {
  const { server, folder, plan, isOwned = false, hasFeed = false, isDirect = false } = options;
  const name = `chaos_${process.pid}_${plan.seed}`;
  await using started = new AsyncDisposableStack();
  const { url, pool } = await server.createDatabase(name);
  started.defer(async () => {
    await pool.end();
    await query(server.admin, `DROP DATABASE IF EXISTS ${name}`).catch(() => {});
  });
  if (isOwned) {
    await addHolds(pool);
    await addOwner(pool);
  }
  if (hasFeed) await addFeed(pool);
  const pubsub = await PubsubServer.start(join(folder, "pubsub"), plan.seed);
  started.defer(() => pubsub.stop());
  const ports = await Promise.all(PROCESSES.map(() => findAnyPort()));
  const proxies = {
    mysql: await TcpProxy.open([server.port]),
    pubsub: await TcpProxy.open([Number(pubsub.host.split(":")[1])]),
    push: await TcpProxy.open(ports.slice(2)),
  };
  for (const proxy of Object.values(proxies)) started.defer(() => proxy.close());
  await createTopicAndSubscriptions(pubsub.host, plan.delivery, proxies.push.port);
  const witness = await startWitness({
    host: pubsub.host,
    projectId: PROJECT_ID,
    topic: TOPIC,
    ...(isOwned && { collections: [DATA_WITH_OWNER, berths] }),
  });
  started.defer(() => witness.close());
  if (!isDirect) url.port = String(proxies.mysql.port);
  const pubsubHost = isDirect ? pubsub.host : `127.0.0.1:${proxies.pubsub.port}`;
  const env = {
    ...buildEnvironment(options, pubsub),
    ...(isOwned ? OWNER_ENV : {}),
    MYSQL_URL: url.href,
    PUBSUB_EMULATOR_HOST: pubsubHost,
  };
  const processes = createProcesses(options.code, env, ports);
  started.defer(async () => {
    await Promise.all(Object.values(processes).map((one) => one.end("SIGKILL")));
  });
  await Promise.all(Object.values(processes).map((one) => one.start()));
  const all = started.move();
  return {
    database: { server, name, pool },
    pubsub,
    proxies,
    processes,
    env,
    witness,
    isOwned,
    hasFeed,
    apiUrls: [`http://127.0.0.1:${ports[0]}`, `http://127.0.0.1:${ports[1]}`],
    close: () => all.disposeAsync(),
  };
}

async function createTopicAndSubscriptions(
  host: string,
  delivery: Plan["delivery"],
  pushPort: number,
): Promise<void> {
  const pushEndpoint = `http://127.0.0.1:${pushPort}/push`;
  const push = {
    pushEndpoint,
    deadLetterPushEndpoint: `${pushEndpoint}/dead-letters`,
    oidcToken: TOKEN,
  };
  await createTopology({
    host,
    projectId: PROJECT_ID,
    topic: TOPIC,
    deadLetterTopic: "dead",
    ...SUBSCRIPTIONS,
    ackDeadlineSeconds: ACK_DEADLINE_SECONDS,
    ...(delivery === "push" ? push : {}),
  });
}

function buildEnvironment({ folder, plan }: ClusterOptions, pubsub: PubsubServer) {
  return {
    GOOGLE_CLOUD_PROJECT: PROJECT_ID,
    PUBSUB_TOPIC: TOPIC,
    PUBSUB_SUBSCRIPTION: SUBSCRIPTIONS.subscription,
    PUBSUB_DEAD_LETTER_SUBSCRIPTION: SUBSCRIPTIONS.deadLetterSubscription,
    METADATA_SERVER_DETECTION: "none",
    DELIVERY: plan.delivery,
    PUSH_AUDIENCE: TOKEN.audience,
    PUSH_SERVICE_ACCOUNT: TOKEN.serviceAccountEmail,
    PUSH_CERTS_URL: `${pubsub.controlUrl}/certs`,
    CHAOS_SKEW_MS: String(plan.skewMs),
    TMPDIR: folder,
  };
}

function createProcesses(code: string, env: Record<string, string>, ports: number[]) {
  const entries = PROCESSES.map((name, index) => {
    const main = join(code, `${name.split("-")[0]}.js`);
    const args = name === "api-2" ? ["--import", SKEW, main] : [main];
    return [name, new ClusterProcess(name, args, { ...env, PORT: String(ports[index]) })];
  });
  return Object.fromEntries(entries) as Record<ProcessName, ClusterProcess>;
}
