import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type Pool, query } from "../../common/database.ts";
import { startLocalPubsub } from "../../local/local-pubsub.ts";
import { findAnyPort } from "../../local/ports.ts";
import type { LocalProcess } from "../../local/processes.ts";
import type { Rates } from "../../local/pubsub/faults.ts";
import { createTopology } from "../../local/topology.ts";
import { killProcessAtExit } from "./at-exit.ts";
import { Child } from "./child.ts";
import type { DatabaseServer } from "./database-server.ts";
import { Link } from "./link.ts";
import { type Plan, PROCESSES, type ProcessName } from "./plan.ts";
import { startWitness, type Witness } from "./witness.ts";

export const PROJECT_ID = "constancia-chaos";
export const TOPIC = "writes";
const SUBSCRIPTIONS = { subscription: "settle", deadLetterSubscription: "dead-keep" };
/** The shortest that there is: what a killed subscriber held comes again after it. */
const ACK_DEADLINE_SECONDS = 10;
const TOKEN = {
  audience: "constancia-chaos",
  serviceAccountEmail: "pusher@constancia-chaos.iam.gserviceaccount.com",
};
const SKEW = join(import.meta.dirname, "skew.mjs");

/** A house for one run: two APIs, two subscribers, a database, and a Pub/Sub with its network. */
export type Stage = {
  database: { server: DatabaseServer; name: string; pool: Pool };
  pubsub: LocalPubsub;
  links: { mysql: Link; pubsub: Link };
  children: Record<ProcessName, Child>;
  apiUrls: readonly [string, string];
  witness: Witness;
  close(): Promise<void>;
};

/** Builds it; `code` is the folder of the bundled processes. */
export async function buildStage(options: {
  server: DatabaseServer;
  folder: string;
  code: string;
  plan: Pick<Plan, "seed" | "delivery" | "skewMs">;
  /** Without the network in between, which costs the processors something. */
  isDirect?: boolean;
}): Promise<Stage> {
  const { server, folder, code, plan, isDirect = false } = options;
  const name = `chaos_${process.pid}_${plan.seed}`;
  // What was begun is undone, last first, also where the rest could not be had.
  await using begun = new AsyncDisposableStack();
  const { url, pool } = await server.createDatabase(name);
  begun.defer(async () => {
    await pool.end();
    await query(server.admin, `DROP DATABASE IF EXISTS ${name}`).catch(() => {});
  });
  const pubsub = await LocalPubsub.start(join(folder, "pubsub"), plan.seed);
  begun.defer(() => pubsub.stop());
  const ports = await Promise.all(PROCESSES.map(() => findAnyPort()));
  const links = {
    mysql: await Link.open([server.port]),
    pubsub: await Link.open([Number(pubsub.host.split(":")[1])]),
  };
  const pushLink = await Link.open(ports.slice(2));
  for (const link of [links.mysql, links.pubsub, pushLink]) begun.defer(() => link.close());
  const endpoint = `http://127.0.0.1:${pushLink.port}/push`;
  await createTopology({
    ...{ host: pubsub.host, projectId: PROJECT_ID, topic: TOPIC, deadLetterTopic: "dead" },
    ...{ ...SUBSCRIPTIONS, ackDeadlineSeconds: ACK_DEADLINE_SECONDS },
    ...(plan.delivery === "push"
      ? {
          pushEndpoint: endpoint,
          deadLetterPushEndpoint: `${endpoint}/dead-letters`,
          oidcToken: TOKEN,
        }
      : {}),
  });
  const witness = await startWitness(pubsub.host);
  begun.defer(() => witness.close());
  if (!isDirect) url.port = String(links.mysql.port);
  const env = {
    GOOGLE_CLOUD_PROJECT: PROJECT_ID,
    MYSQL_URL: url.href,
    PUBSUB_EMULATOR_HOST: isDirect ? pubsub.host : `127.0.0.1:${links.pubsub.port}`,
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
  const children = Object.fromEntries(
    PROCESSES.map((child, index) => {
      const main = join(code, `${child.split("-")[0]}.js`);
      const args = child === "api-2" ? ["--import", SKEW, main] : [main];
      return [child, new Child(child, args, { ...env, PORT: String(ports[index]) })];
    }),
  ) as Record<ProcessName, Child>;
  begun.defer(async () => {
    await Promise.all(Object.values(children).map((child) => child.end("SIGKILL")));
  });
  await Promise.all(Object.values(children).map((child) => child.start()));
  const all = begun.move();
  return {
    database: { server, name, pool },
    ...{ pubsub, links, children, witness },
    apiUrls: [`http://127.0.0.1:${ports[0]}`, `http://127.0.0.1:${ports[1]}`],
    close: () => all.disposeAsync(),
  };
}

/** The local Pub/Sub, which keeps its messages when it is killed. */
export class LocalPubsub {
  readonly host: string;
  readonly controlUrl: string;
  readonly #options: Parameters<typeof startLocalPubsub>[0];
  #process: LocalProcess;

  static async start(folder: string, seed: number): Promise<LocalPubsub> {
    const [port, controlPort] = [await findAnyPort(), await findAnyPort()];
    const args = [`--seed=${seed}`];
    const logFile = `${folder}.log`;
    const options = { port, controlPort, folder, logFile, args, say: () => {} };
    return new LocalPubsub(options, await startPubsubProcess(options));
  }

  private constructor(options: Parameters<typeof startLocalPubsub>[0], process: LocalProcess) {
    this.#options = options;
    this.#process = process;
    this.host = `127.0.0.1:${options.port}`;
    this.controlUrl = `http://127.0.0.1:${options.controlPort}`;
  }

  get pid(): number {
    return this.#process.pid;
  }

  async kill(): Promise<void> {
    this.#process.kill();
    await this.#process.exited;
  }

  async restart(): Promise<void> {
    this.#process = await startPubsubProcess(this.#options);
  }

  async freeze(forMs: number): Promise<void> {
    const { pid } = this;
    process.kill(pid, "SIGSTOP");
    await sleep(forMs);
    process.kill(pid, "SIGCONT");
  }

  async misbehave(rates: Rates): Promise<void> {
    await fetch(`${this.controlUrl}/faults`, { method: "PUT", body: JSON.stringify(rates) });
  }

  async behave(): Promise<void> {
    await fetch(`${this.controlUrl}/faults`, { method: "DELETE" });
  }

  /** Unacknowledged messages of all subscriptions. */
  async countBacklog(): Promise<number> {
    const response = await fetch(`${this.controlUrl}/backlog`);
    const sizes = (await response.json()) as Record<string, number>;
    return Object.values(sizes).reduce((sum, size) => sum + size, 0);
  }

  async stop(): Promise<void> {
    await this.#process.stop();
  }
}

async function startPubsubProcess(
  options: Parameters<typeof startLocalPubsub>[0],
): Promise<LocalProcess> {
  let started: LocalProcess | undefined;
  await startLocalPubsub({
    ...options,
    onStart: (one) => {
      started = one;
      killProcessAtExit(one);
    },
  });
  return started as LocalProcess;
}
