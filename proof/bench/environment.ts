import { loadavg } from "node:os";
import { PubSub } from "@google-cloud/pubsub";
import { findAnyPort } from "../../local/ports.ts";
import type { Say } from "../../local/processes.ts";
import type { Supervisor } from "../../local/supervisor.ts";
import { createTopology } from "../../local/topology.ts";
import { keepCoresBusy } from "../support/busy-cores.ts";
import { createDatabase, type Database, type Shape } from "./database.ts";
import type { Options } from "./options.ts";
import type { PubsubServer, Servers } from "./servers.ts";
import { type RunningTarget, startTarget } from "./target-process.ts";
import { createOwnTarget, type Target } from "./targets.ts";

/** Whether a busy process ran on each core meanwhile. */
export const CORES = ["quiet", "busy"] as const;
export type Cores = (typeof CORES)[number];

/** The figures of one target in one round. */
export type Sample = {
  bench: string;
  case: string;
  /** The name of the Pub/Sub. */
  pubsub: string;
  cores: Cores;
  target: string;
  round: number;
  /** Of the machine, over the last minute. */
  loadAverage: number;
  values: Record<string, number>;
};

type Topic = { topic: string; subscription: string };

/** What a process is started on. */
type Place = { database?: Database; topic?: string; pubsub?: PubsubServer };

const PROJECT_ID = "constancia-bench";
const NOT_FOUND = 5;
/** The servers, and ways to create databases, topics and processes on them. */
export class BenchEnvironment {
  readonly options: Options;
  readonly servers: Servers;
  readonly samples: Sample[] = [];
  readonly say: Say;
  /** The folder of the bundle. */
  readonly dist: string;
  /** The local Pub/Sub, on which all but POSTs is measured. */
  readonly pubsub: PubsubServer;
  readonly #profileFolder: string | undefined;
  readonly #sinkUrl: string;
  readonly #supervisor: Supervisor;
  readonly #clients = new Map<PubsubServer, PubSub>();
  #names = 0;

  constructor(parts: {
    options: Options;
    servers: Servers;
    dist: string;
    /** Accepts traces and metrics, and drops them. */
    sinkUrl: string;
    /** For profiles, if any are taken. */
    profileFolder: string | undefined;
    supervisor: Supervisor;
    say: Say;
  }) {
    this.options = parts.options;
    this.servers = parts.servers;
    this.say = parts.say;
    this.dist = parts.dist;
    this.pubsub = parts.servers.pubsubs[0];
    this.#profileFolder = parts.profileFolder;
    this.#sinkUrl = parts.sinkUrl;
    this.#supervisor = parts.supervisor;
  }

  record(sample: Omit<Sample, "loadAverage" | "pubsub"> & { pubsub?: string }): void {
    const { bench, round, pubsub = this.pubsub.name, cores, target, values } = sample;
    this.samples.push({ ...sample, pubsub, loadAverage: loadavg()[0] ?? Number.NaN });
    const shown = ["perSecond", "p50Ms", "p99Ms"].flatMap((name) => {
      const value = values[name];
      return value === undefined ? [] : [`${name} ${value.toFixed(name === "perSecond" ? 0 : 2)}`];
    });
    const where = [bench, `round ${round + 1}`, sample.case, pubsub, `${cores} cores`, target];
    this.say(`${where.join(", ")}: ${shown.join(", ")}`);
  }

  /** Runs the work with quiet cores, and then with busy ones. */
  async forEachCores(work: (cores: Cores) => Promise<void>): Promise<void> {
    await work("quiet");
    const stop = await keepCoresBusy();
    await work("busy").finally(stop);
  }

  /** A name that nothing else on these servers has. */
  name(purpose: string): string {
    this.#names += 1;
    return `bench_${process.pid}_${purpose}_${this.#names}`;
  }

  createDatabase(shape: Shape): Promise<Database> {
    return createDatabase(this.servers.mysqlUrl, this.name(shape), shape);
  }

  /** Google's client for a Pub/Sub. */
  client(pubsub = this.pubsub): PubSub {
    const known = this.#clients.get(pubsub);
    if (known) return known;
    const options = { projectId: PROJECT_ID, apiEndpoint: pubsub.host, emulatorMode: true };
    const client = new PubSub(options);
    this.#clients.set(pubsub, client);
    return client;
  }

  /** An empty topic with its subscription, also where they exist already. */
  async renewTopic(name: string, pubsub = this.pubsub): Promise<Topic> {
    await this.deleteTopic(name, pubsub);
    const names = listNames(name);
    await createTopology({ host: pubsub.host, projectId: PROJECT_ID, ...names });
    return { topic: names.topic, subscription: names.subscription };
  }

  async deleteTopic(name: string, pubsub = this.pubsub): Promise<void> {
    const client = this.client(pubsub);
    const { topic, subscription, deadLetterTopic, deadLetterSubscription } = listNames(name);
    const ignoreNotFound = (error: { code?: number }) => {
      if (error.code !== NOT_FOUND) throw error;
    };
    for (const one of [subscription, deadLetterSubscription])
      await client.subscription(one).delete().catch(ignoreNotFound);
    for (const one of [topic, deadLetterTopic])
      await client.topic(one).delete().catch(ignoreNotFound);
  }

  /** One of Constancia's processes, as production runs it. */
  createOwn(
    name: "api" | "subscriber",
    env: Record<string, string> = {},
    dist = this.dist,
  ): Target {
    const { sampling } = this.options;
    const tracing: Record<string, string> =
      sampling === "off"
        ? {}
        : { OTEL_EXPORTER_OTLP_ENDPOINT: this.#sinkUrl, OTEL_TRACES_SAMPLER_ARG: sampling };
    return createOwnTarget(name, dist, { ...tracing, ...env }, this.#profileFolder);
  }

  /** Starts a process; resolves once it has started. */
  async start(target: Target, place: Place): Promise<RunningTarget> {
    const port = await findAnyPort();
    const env = this.buildVariables(target, place, port);
    return startTarget(target, { port, env, supervisor: this.#supervisor });
  }

  /** The environment variables of a process. */
  buildVariables(target: Target, place: Place, port: number): Record<string, string> {
    const names = listNames(place.topic ?? "none");
    return {
      PATH: process.env.PATH ?? "",
      NODE_ENV: "production",
      LOG_FORMAT: "json",
      GOOGLE_CLOUD_PROJECT: PROJECT_ID,
      METADATA_SERVER_DETECTION: "none",
      MYSQL_URL: place.database?.url ?? this.servers.mysqlUrl.href,
      PUBSUB_EMULATOR_HOST: (place.pubsub ?? this.pubsub).host,
      PUBSUB_TOPIC: names.topic,
      PUBSUB_SUBSCRIPTION: names.subscription,
      PUBSUB_DEAD_LETTER_SUBSCRIPTION: names.deadLetterSubscription,
      PORT: String(port),
      ...target.env,
    };
  }
}

function listNames(name: string) {
  return {
    topic: `${name}-writes`,
    subscription: `${name}-settle`,
    deadLetterTopic: `${name}-dead`,
    deadLetterSubscription: `${name}-dead-keep`,
  };
}
