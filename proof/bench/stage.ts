import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { loadavg } from "node:os";
import { PubSub } from "@google-cloud/pubsub";
import { openPool, type Pool, query } from "../../common/database.ts";
import { findAnyPort } from "../../local/ports.ts";
import type { Say } from "../../local/processes.ts";
import type { Supervisor } from "../../local/supervisor.ts";
import { createTopology } from "../../local/topology.ts";
import { migrate } from "../../ops/migrate.ts";
import type { Options } from "./options.ts";
import { type Servers, untilListening } from "./servers.ts";
import { ownTarget, type Target } from "./targets.ts";

/** What was measured of one target in one round. */
export type Sample = {
  bench: string;
  case: string;
  target: string;
  round: number;
  /** Of the machine, over the last minute: what else ran meanwhile. */
  loadAverage: number;
  values: Record<string, number>;
};

export type Running = {
  pid: number;
  port: number;
  /** Messages that it says it has taken, where it counts them. */
  count(): number;
  /** Of its output, how many lines had the text so far. */
  linesWith(text: string): number;
  stop(signal?: NodeJS.Signals): Promise<void>;
};

export type Topic = { topic: string; subscription: string };

const PROJECT_ID = "constancia-bench";
const START_DEADLINE_MS = 30_000;
/** Of a process's output, to be shown where it does not start. */
const KEPT_CHARACTERS = 4_000;
const PEERS_TABLE =
  "CREATE TABLE temas (id BIGINT AUTO_INCREMENT PRIMARY KEY, nombre VARCHAR(255) NOT NULL," +
  " created_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP)";

/** The servers, and ways to put databases, topics and processes on them. */
export class Stage {
  readonly options: Options;
  readonly servers: Servers;
  readonly samples: Sample[] = [];
  readonly say: Say;
  /** Where profiles go, if they are wanted. */
  readonly profileFolder: string | undefined;
  /** Takes traces and metrics, and drops them. */
  readonly sinkUrl: string;
  /** Our bundle. */
  readonly dist: string;
  readonly #supervisor: Supervisor;
  readonly pubsub: PubSub;
  #names = 0;

  constructor(parts: {
    options: Options;
    servers: Servers;
    dist: string;
    sinkUrl: string;
    profileFolder: string | undefined;
    supervisor: Supervisor;
    say: Say;
  }) {
    this.options = parts.options;
    this.servers = parts.servers;
    this.say = parts.say;
    this.sinkUrl = parts.sinkUrl;
    this.profileFolder = parts.profileFolder;
    this.dist = parts.dist;
    this.#supervisor = parts.supervisor;
    const apiEndpoint = parts.servers.emulatorHost;
    this.pubsub = new PubSub({ projectId: PROJECT_ID, apiEndpoint, emulatorMode: true });
  }

  record(sample: Omit<Sample, "loadAverage">): void {
    this.samples.push({ ...sample, loadAverage: loadavg()[0] ?? Number.NaN });
    const shown = ["perSecond", "p50Ms", "p99Ms"].flatMap((name) => {
      const value = sample.values[name];
      return value === undefined ? [] : [`${name} ${value.toFixed(name === "perSecond" ? 0 : 2)}`];
    });
    const where = `${sample.bench}, round ${sample.round + 1}, ${sample.case}, ${sample.target}`;
    this.say(`${where}: ${shown.join(", ")}`);
  }

  /** A name that nothing else on these servers has. */
  name(purpose: string): string {
    this.#names += 1;
    return `bench_${process.pid}_${purpose}_${this.#names}`;
  }

  /** An empty database with our tables, or with the peers' one. */
  async createDatabase(whose: "ours" | "peers"): Promise<Database> {
    const name = this.name(whose);
    const admin = openPool({ mysqlUrl: this.servers.mysqlUrl, poolSize: 1 });
    await query(admin, `CREATE DATABASE ${name} CHARACTER SET utf8mb4`);
    const url = new URL(this.servers.mysqlUrl);
    url.pathname = `/${name}`;
    if (whose === "ours") await migrate(url, [new URL("../../migrations/", import.meta.url)]);
    const pool = openPool({ mysqlUrl: url, poolSize: 3 });
    if (whose === "peers") await query(pool, PEERS_TABLE);
    const table = whose === "ours" ? "data" : "temas";
    return {
      ...{ url: url.href, pool, table, name },
      async drop() {
        await pool.end();
        await query(admin, `DROP DATABASE ${name}`);
        await admin.end();
      },
    };
  }

  /** A topic with its subscription, empty, also where they were there before. */
  async renewTopic(name: string): Promise<Topic> {
    await this.deleteTopic(name);
    const names = getNames(name);
    const host = this.servers.emulatorHost;
    await createTopology({ host, projectId: PROJECT_ID, ...names });
    return { topic: names.topic, subscription: names.subscription };
  }

  async deleteTopic(name: string): Promise<void> {
    const { topic, subscription, deadLetterTopic, deadLetterSubscription } = getNames(name);
    const isGone = (error: { code?: number }) => {
      if (error.code !== NOT_FOUND) throw error;
    };
    for (const one of [subscription, deadLetterSubscription])
      await this.pubsub.subscription(one).delete().catch(isGone);
    for (const one of [topic, deadLetterTopic]) await this.pubsub.topic(one).delete().catch(isGone);
  }

  /** One of our processes as production runs it; `sampling` where it is not the usual one. */
  own(
    name: "api" | "subscriber",
    env: Record<string, string> = {},
    sampling = this.options.sampling,
  ): Target {
    const tracing: Record<string, string> =
      sampling === "off"
        ? {}
        : { OTEL_EXPORTER_OTLP_ENDPOINT: this.sinkUrl, OTEL_TRACES_SAMPLER_ARG: sampling };
    const streams = { PULL_STREAMS: String(this.options.streams) };
    return ownTarget(name, this.dist, { ...streams, ...tracing, ...env }, this.profileFolder);
  }

  /** Starts a process on a database and a topic; its output is read and dropped. */
  async start(target: Target, place: { database?: Database; topic?: string }): Promise<Running> {
    const port = await findAnyPort();
    const child = spawn(process.execPath, target.args, {
      env: this.getEnvironment(target, place, port),
      stdio: ["ignore", "pipe", "pipe"],
    });
    const running = this.#watch(child, target, port);
    await running.started;
    return running;
  }

  getEnvironment(
    target: Target,
    { database, topic }: { database?: Database; topic?: string },
    port: number,
  ): Record<string, string> {
    const names = getNames(topic ?? "none");
    return {
      PATH: process.env.PATH ?? "",
      NODE_ENV: "production",
      LOG_FORMAT: "json",
      GOOGLE_CLOUD_PROJECT: PROJECT_ID,
      METADATA_SERVER_DETECTION: "none",
      MYSQL_URL: database?.url ?? this.servers.mysqlUrl.href,
      PUBSUB_EMULATOR_HOST: this.servers.emulatorHost,
      PUBSUB_TOPIC: names.topic,
      PUBSUB_SUBSCRIPTION: names.subscription,
      PUBSUB_DEAD_LETTER_SUBSCRIPTION: names.deadLetterSubscription,
      PORT: String(port),
      ...target.env,
    };
  }

  #watch(child: ChildProcess, target: Target, port: number) {
    const { title, startedLine } = target;
    const pid = child.pid as number;
    const ended = once(child, "exit");
    const started = Promise.withResolvers<void>();
    const timer = setTimeout(() => {
      started.reject(new Error(`${title} did not start:\n${output}`));
    }, START_DEADLINE_MS);
    let output = "";
    let count = 0;
    const warnings: string[] = [];
    child.stdout?.setEncoding("utf8").on("data", (chunk: string) => {
      if (output.length < KEPT_CHARACTERS) output += chunk;
      if (startedLine && output.includes(startedLine)) started.resolve();
      const counts = /count (\d+)\n$/.exec(chunk);
      if (counts) count = Number(counts[1]);
      if (chunk.includes('"severity":"WARNING"') && warnings.length < KEPT_CHARACTERS)
        warnings.push(...chunk.split("\n").filter((line) => line.includes('"WARNING"')));
    });
    child.stderr?.setEncoding("utf8").on("data", (chunk: string) => {
      if (output.length < KEPT_CHARACTERS) output += chunk;
    });
    ended.then(() => started.reject(new Error(`${title} ended at once:\n${output}`)));
    if (!startedLine) untilListening(port, START_DEADLINE_MS).then(started.resolve, () => {});
    const stop = async (signal: NodeJS.Signals = "SIGTERM") => {
      child.kill(signal);
      await ended;
    };
    this.#supervisor.add({
      ...{ name: title, pid, mark: target.args.at(-1) ?? "" },
      exited: ended.then(([code]) => `exited with code ${code}`),
      stop,
      kill: () => void child.kill("SIGKILL"),
    });
    return {
      ...{ pid, port, stop },
      started: started.promise.finally(() => clearTimeout(timer)),
      count: () => count,
      linesWith: (text: string) => warnings.filter((line) => line.includes(text)).length,
    };
  }
}

export type Database = {
  url: string;
  name: string;
  /** Where the items are. */
  table: string;
  pool: Pool;
  drop(): Promise<void>;
};

const NOT_FOUND = 5;

function getNames(name: string) {
  return {
    topic: `${name}-writes`,
    subscription: `${name}-settle`,
    deadLetterTopic: `${name}-dead`,
    deadLetterSubscription: `${name}-dead-keep`,
  };
}
