import type { Database } from "./database.ts";
import type { BenchEnvironment } from "./environment.ts";
import { type LoadRequests, type LoadSpec, POST_ITEM, runLoad, warmUp } from "./load.ts";
import type { PubsubServer } from "./servers.ts";
import type { RunningTarget } from "./target-process.ts";
import { CONSTANCIA, EXPRESS_ALONE, LIMIT_EXPRESS, SEED_API, type Target } from "./targets.ts";

const BULK_RECORDS = 1_000;
const BULK: LoadRequests = {
  kind: "same",
  method: "POST",
  path: "/api/data",
  body: `${JSON.stringify({ nombre: "Valpo" })}\n`.repeat(BULK_RECORDS),
  headers: { "Content-Type": "application/x-ndjson" },
};

type Case = {
  name: string;
  connections: number;
  what: LoadRequests;
  records: number;
  /** Also measured on the emulator. */
  onAll?: true;
};

const CASES: Case[] = [
  { name: "64 clients", connections: 64, what: POST_ITEM, records: 1, onAll: true },
  { name: "512 clients", connections: 512, what: POST_ITEM, records: 1, onAll: true },
  { name: "1 client", connections: 1, what: POST_ITEM, records: 1 },
  { name: "bulk, 4 clients", connections: 4, what: BULK, records: BULK_RECORDS },
];

type Contestant = { target: Target; topic: string; api: RunningTarget };

/** Writes by HTTP, on each Pub/Sub. Nothing is settled meanwhile: `drain` measures that. */
export async function benchPost(environment: BenchEnvironment): Promise<void> {
  const database = await environment.createDatabase("constancia");
  const seedDatabase = await environment.createDatabase("seed");
  for (const pubsub of environment.servers.pubsubs) {
    const isFirst = pubsub === environment.pubsub;
    const targets = [environment.createOwn("api"), SEED_API, ...(isFirst ? [EXPRESS_ALONE] : [])];
    const contestants: Contestant[] = [];
    for (const target of targets) {
      const own = target.title === CONSTANCIA ? database : seedDatabase;
      contestants.push(await startContestant(environment, { target, database: own, pubsub }));
    }
    for (let round = 0; round < environment.options.rounds; round += 1)
      await benchRound(environment, { pubsub, contestants, round });
    for (const { api, topic } of contestants) {
      await api.stop();
      await environment.deleteTopic(topic, pubsub);
    }
  }
  await database.drop();
  await seedDatabase.drop();
}

async function startContestant(
  environment: BenchEnvironment,
  place: { target: Target; database: Database; pubsub: PubsubServer },
): Promise<Contestant> {
  const { target, database, pubsub } = place;
  const topic = environment.name("post");
  await environment.renewTopic(topic, pubsub);
  const api = await environment.start(target, { database, topic, pubsub });
  await warmUp(api.port, POST_ITEM, environment.options.amounts.warmRequests);
  await environment.renewTopic(topic, pubsub);
  return { target, topic, api };
}

async function benchRound(
  environment: BenchEnvironment,
  options: { pubsub: PubsubServer; contestants: readonly Contestant[]; round: number },
): Promise<void> {
  const { pubsub, contestants, round } = options;
  const { amounts, only } = environment.options;
  const isFirst = pubsub === environment.pubsub;
  const cases = CASES.filter(({ name, onAll }) => name.includes(only) && (isFirst || onAll));
  await environment.forEachCores(async (cores) => {
    for (const { name, connections, what, records } of cases)
      for (const { target, topic, api } of contestants) {
        const { title } = target;
        if (what === BULK && title !== CONSTANCIA) continue;
        const { seconds, requests } = amounts;
        const warmRequests = connections;
        const window = { connections, what, warmRequests, seconds, requests };
        const spec: LoadSpec = { port: api.port, ...window };
        const pids = { api: api.pid, pubsub: title === LIMIT_EXPRESS ? undefined : pubsub.pid };
        const values = await runLoad(spec, pids, { recordsPerRequest: records });
        const sample = { bench: "post", case: name, pubsub: pubsub.name, cores, round };
        environment.record({ ...sample, target: title, values });
        // A backlog would slow down the next window.
        await environment.renewTopic(topic, pubsub);
      }
  });
}
