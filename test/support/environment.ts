import { createConnection } from "mysql2/promise";
import { collections as declared } from "../../collections/collections.ts";
import type { Collection } from "../../common/collection.ts";
import { openPool, type Pool, query } from "../../common/database.ts";
import type { Running } from "../../common/process.ts";
import { migrate } from "../../ops/migrate.ts";
import { addContract } from "./contract.ts";
import { type ProcessName, type Spawned, spawnProcess, startInProcess } from "./processes.ts";
import { createTopics, replaceSubscription, type Topics } from "./topics.ts";

/**
 * One environment of its own for a test file, on the MySQL and the Pub/Sub that `npm test` started:
 * a database, a topic with its subscriptions, and ways to start the two processes on them.
 */
export type TestEnvironment = {
  pool: Pool;
  env: Record<string, string>;
  /** Starts the API in this process; returns its address. */
  startApi(options?: StartOptions): Promise<Running & { url: string }>;
  /** Starts the subscriber in this process. */
  startSubscriber(options?: StartOptions): Promise<Running>;
  /** Starts one of them as a process of its own, to be killed; `args` where it is not main.ts. */
  spawn(name: ProcessName, env?: Record<string, string>, args?: string[]): Promise<Spawned>;
  /**
   * Gives the unsettled messages to a new subscription, for the next subscriber. The emulator
   * goes on delivering to the streams of a client that was killed (docs/traps.md), as Pub/Sub
   * does not; deleting their subscription is what ends them. Nothing may be published meanwhile.
   */
  renewSubscription(): Promise<void>;
  /** Has Pub/Sub push to the subscriber at this port, by a token of this account. */
  pushTo(port: number, oidcToken: { serviceAccountEmail: string; audience: string }): Promise<void>;
  /** Stops what is still running and drops the database. */
  close(): Promise<void>;
};

export type StartOptions = {
  collections?: readonly Collection[];
  env?: Record<string, string>;
};

const PROJECT_ID = "constancia-test";
const CONNECT_TIMEOUT_MS = 60_000;
let environments = 0;

/** Builds an environment; `migrations` are folders beside the project's own. */
export async function createTestEnvironment(
  options: { migrations?: readonly URL[]; mysqlUrl?: string; pubsubHost?: string } = {},
): Promise<TestEnvironment> {
  environments += 1;
  const name = `test_${process.pid}_${environments}`;
  const topics: Topics = {
    host: options.pubsubHost ?? requireEnv("PUBSUB_EMULATOR_HOST"),
    projectId: PROJECT_ID,
    topic: `${name}-writes`,
    subscription: `${name}-settle`,
    deadLetterTopic: `${name}-dead`,
    deadLetterSubscription: `${name}-dead-keep`,
  };
  const [database] = await Promise.all([
    createDatabase(name, options.mysqlUrl ?? requireEnv("TEST_MYSQL_URL"), options.migrations),
    createTopics(topics),
  ]);
  const env = describeEnvironment(topics, database.url);
  const pool = openPool({ mysqlUrl: database.url, poolSize: 5 });
  await retryConnect(() => query(pool, "SELECT 1"));
  const running: Running[] = [];
  const spawned: Spawned[] = [];
  const start = async (process: ProcessName, { collections = declared, ...more }: StartOptions) => {
    const started = await startInProcess(process, { ...env, ...more.env }, collections);
    running.push(started);
    return started;
  };
  let renewals = 0;

  return {
    pool,
    env,
    async startApi(startOptions = {}) {
      const api = await start("api", startOptions);
      const url = `http://127.0.0.1:${api.port}`;
      addContract(url, startOptions.collections ?? declared);
      return { ...api, url };
    },
    startSubscriber: (startOptions = {}) => start("subscriber", startOptions),
    async spawn(process, more = {}, args) {
      const started = await spawnProcess(process, { ...env, ...more }, args);
      spawned.push(started);
      return started;
    },
    async renewSubscription() {
      renewals += 1;
      const next = `${topics.subscription}-${renewals}`;
      const current = env.PUBSUB_SUBSCRIPTION ?? "";
      await replaceSubscription({ ...topics, subscription: current }, next);
      env.PUBSUB_SUBSCRIPTION = next;
    },
    pushTo: (port, oidcToken) => createTopics(topics, { port, oidcToken }),
    async close() {
      await Promise.allSettled(spawned.map((one) => one.end("SIGKILL")));
      await Promise.allSettled(running.map((one) => one.stop()));
      await pool.end();
      await database.drop();
    },
  };
}

/** The variable that `npm test` sets; throws a sentence where it did not. */
export function requireEnv(name: string): string {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set: run the tests with npm test.`);
  return value;
}

/** Creates a database with the project's tables, and those of the other migrations. */
async function createDatabase(name: string, serverUrl: string, migrations: readonly URL[] = []) {
  await runStatement(serverUrl, `CREATE DATABASE ${name}`);
  const url = new URL(serverUrl);
  url.pathname = `/${name}`;
  const folders = [new URL("../../migrations/", import.meta.url), ...migrations];
  await retryConnect(() => migrate(url, folders));
  return {
    url,
    drop: () => runStatement(serverUrl, `DROP DATABASE ${name}`).catch(() => {}),
  };
}

async function runStatement(serverUrl: string, statement: string): Promise<void> {
  const connection = await createConnection({
    uri: serverUrl,
    connectTimeout: CONNECT_TIMEOUT_MS,
  });
  await connection.query(statement);
  await connection.end();
}

/** The product gives up a connection after seconds; on a busy machine the tests go on trying. */
async function retryConnect(work: () => Promise<unknown>): Promise<void> {
  const deadline = Date.now() + CONNECT_TIMEOUT_MS;
  for (;;) {
    try {
      await work();
      return;
    } catch (error) {
      const { code } = error as { code?: string };
      if (code !== "ETIMEDOUT" || Date.now() > deadline) throw error;
    }
  }
}

/** The variables of both processes, and of commands that are run on the environment. */
function describeEnvironment(topics: Topics, databaseUrl: URL): Record<string, string> {
  const { NODE_COMPILE_CACHE } = process.env;
  return {
    ...(NODE_COMPILE_CACHE ? { NODE_COMPILE_CACHE } : {}),
    GOOGLE_CLOUD_PROJECT: topics.projectId,
    MYSQL_URL: databaseUrl.href,
    PUBSUB_EMULATOR_HOST: topics.host,
    PUBSUB_TOPIC: topics.topic,
    PUBSUB_SUBSCRIPTION: topics.subscription,
    PUBSUB_DEAD_LETTER_SUBSCRIPTION: topics.deadLetterSubscription,
    METADATA_SERVER_DETECTION: "none",
    LOG_LEVEL: "error",
    LOG_FORMAT: "pretty",
  };
}
