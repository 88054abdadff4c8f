import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { PubSub } from "@google-cloud/pubsub";
import { collections as declared } from "../../collections/collections.ts";
import type { Collection } from "../../common/collection.ts";
import { readConfig } from "../../common/config.ts";
import { openPool, type Pool, query } from "../../common/database.ts";
import type { Running } from "../../common/process.ts";
import { createLogger } from "../../common/telemetry/logger.ts";
import { createTopology } from "../../local/topology.ts";
import { migrate } from "../../ops/migrate.ts";

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
  spawn(
    name: "api" | "subscriber",
    env?: Record<string, string>,
    args?: string[],
  ): Promise<Spawned>;
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

export type Spawned = {
  child: ChildProcess;
  port: number;
  url: string;
  /** Everything that it printed so far. */
  output(): string;
  /** Sends a signal and waits for the end; the exit code, or null where a signal ended it. */
  end(signal?: NodeJS.Signals): Promise<number | null>;
};

const PROJECT_ID = "constancia-test";
let environments = 0;

/** Builds a environment; `migrations` are folders beside the project's own. */
export async function createTestEnvironment(
  options: { migrations?: readonly URL[]; mysqlUrl?: string; pubsubHost?: string } = {},
) {
  environments += 1;
  const name = `test_${process.pid}_${environments}`;
  const mysqlUrl = new URL(options.mysqlUrl ?? requireEnv("TEST_MYSQL_URL"));
  const admin = openPool({ mysqlUrl, poolSize: 1 });
  await query(admin, `CREATE DATABASE ${name}`);
  const databaseUrl = new URL(mysqlUrl);
  databaseUrl.pathname = `/${name}`;
  const own = new URL("../../migrations/", import.meta.url);
  await migrate(databaseUrl, [own, ...(options.migrations ?? [])]);
  const topology = {
    topic: `${name}-writes`,
    subscription: `${name}-settle`,
    deadLetterTopic: `${name}-dead`,
    deadLetterSubscription: `${name}-dead-keep`,
  };
  const host = options.pubsubHost ?? requireEnv("PUBSUB_EMULATOR_HOST");
  // The shortest deadline there is: what a killed subscriber held comes again after it.
  await createTopology({ host, projectId: PROJECT_ID, ackDeadlineSeconds: 10, ...topology });
  const env = {
    GOOGLE_CLOUD_PROJECT: PROJECT_ID,
    MYSQL_URL: databaseUrl.href,
    PUBSUB_EMULATOR_HOST: host,
    PUBSUB_TOPIC: topology.topic,
    PUBSUB_SUBSCRIPTION: topology.subscription,
    PUBSUB_DEAD_LETTER_SUBSCRIPTION: topology.deadLetterSubscription,
    METADATA_SERVER_DETECTION: "none",
    LOG_LEVEL: "error",
    LOG_FORMAT: "pretty",
    PORT: "0",
  };
  const pool = openPool({ mysqlUrl: databaseUrl, poolSize: 5 });
  let subscriptions = 0;
  const running: Running[] = [];
  const spawned: Spawned[] = [];
  const environment: TestEnvironment = {
    pool,
    env,
    async startApi(start = {}) {
      const api = await startHere("api", env, start);
      running.push(api);
      return { ...api, url: `http://127.0.0.1:${api.port}` };
    },
    async startSubscriber(start = {}) {
      const subscriber = await startHere("subscriber", env, start);
      running.push(subscriber);
      return subscriber;
    },
    async spawn(process, more = {}, args = [getMainFile(process)]) {
      const port = await findFreePort();
      const one = await spawnProcess(process, args, { ...env, PORT: String(port), ...more }, port);
      spawned.push(one);
      return one;
    },
    async renewSubscription() {
      subscriptions += 1;
      const next = `${topology.subscription}-${subscriptions}`;
      await moveSubscription({ host, ...topology, subscription: env.PUBSUB_SUBSCRIPTION, next });
      env.PUBSUB_SUBSCRIPTION = next;
    },
    async pushTo(port, oidcToken) {
      const pushEndpoint = `http://127.0.0.1:${port}/push`;
      await createTopology({
        ...{ host, projectId: PROJECT_ID, ackDeadlineSeconds: 10, ...topology },
        ...{ pushEndpoint, deadLetterPushEndpoint: `${pushEndpoint}/dead-letters`, oidcToken },
      });
    },
    async close() {
      await Promise.allSettled(spawned.map((one) => one.end("SIGKILL")));
      await Promise.allSettled(running.map((one) => one.stop()));
      await pool.end();
      await query(admin, `DROP DATABASE ${name}`).catch(() => {});
      await admin.end();
    },
  };
  return environment;
}

/** Waits until `condition` holds; throws what it waited for once `seconds` have passed. */
export async function until(
  what: string,
  condition: () => boolean | Promise<boolean>,
  seconds = 30,
): Promise<void> {
  const deadline = Date.now() + seconds * 1_000;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`Waited ${seconds} s in vain until ${what}.`);
    await sleep(20);
  }
}

/** A free port of the loopback address. */
export async function findFreePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  server.close();
  return port;
}

export function requireEnv(name: string): string {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set: run the tests with npm test.`);
  return value;
}

/** First the new subscription, so that no message falls between the two. */
async function moveSubscription(from: {
  host: string;
  topic: string;
  subscription: string;
  deadLetterTopic: string;
  deadLetterSubscription: string;
  next: string;
}): Promise<void> {
  const { next, ...topology } = from;
  const renewed = {
    projectId: PROJECT_ID,
    ...topology,
    subscription: next,
    ackDeadlineSeconds: 10,
  };
  await createTopology(renewed);
  const pubsub = new PubSub({ projectId: PROJECT_ID, apiEndpoint: from.host, emulatorMode: true });
  const [snapshot] = await pubsub.subscription(from.subscription).createSnapshot(next);
  await pubsub.subscription(next).seek(next);
  await pubsub.subscription(from.subscription).delete();
  await snapshot.delete();
  await pubsub.close();
}

async function startHere(
  name: "api" | "subscriber",
  base: Record<string, string>,
  { collections = declared, env = {} }: StartOptions,
): Promise<Running> {
  process.env.PUBSUB_EMULATOR_HOST = base.PUBSUB_EMULATOR_HOST;
  const config = readConfig({ ...base, ...env }, name);
  const logger = await createLogger({
    service: name,
    projectId: PROJECT_ID,
    format: config.LOG_FORMAT,
    level: config.LOG_LEVEL,
  });
  const { start } =
    name === "api" ? await import("../../api/main.ts") : await import("../../subscriber/main.ts");
  return start(config, logger, collections);
}

function getMainFile(name: string): string {
  return new URL(`../../${name}/main.ts`, import.meta.url).pathname;
}

async function spawnProcess(
  name: string,
  args: string[],
  env: Record<string, string>,
  port: number,
): Promise<Spawned> {
  const child = spawn(process.execPath, args, {
    env: {
      PATH: process.env.PATH,
      ...env,
      LOG_LEVEL: env.LOG_LEVEL === "error" ? "info" : env.LOG_LEVEL,
    },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr])
    stream?.on("data", (chunk) => {
      output = (output + chunk).slice(-1_000_000);
    });
  const ended = once(child, "exit");
  await until(`the ${name} has started: ${output}`, () => {
    if (child.exitCode !== null) throw new Error(`The ${name} ended at once: ${output}`);
    return output.includes(`${name} started`);
  });
  return {
    child,
    port,
    url: `http://127.0.0.1:${port}`,
    output: () => output,
    async end(signal = "SIGTERM") {
      if (child.exitCode === null && child.signalCode === null) {
        child.kill(signal);
        await ended;
      }
      return child.exitCode;
    },
  };
}
