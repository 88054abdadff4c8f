import { Agent } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { send } from "../../test/support/load.ts";
import { countInserts } from "./backlog.ts";
import { type LoadSpec, POST_ITEM, runLoad } from "./load.ts";
import { median, quantile } from "./measure.ts";
import { SEED_MESSAGE } from "./messages.ts";
import type { Database, Stage } from "./stage.ts";
import { LIMIT_PULL, OURS } from "./targets.ts";

const CASE = "half load";
const CLIENTS = 64;
/** The paced load's clients: enough that none is late for want of a connection. */
const PACED_CLIENTS = 256;
const FOLLOWERS = 4;
const LOOK_EVERY_MS = 2;
/** Followers wait up to so long before the next write, so that no clock of another's leads them. */
const PAUSE_MS = 50;
const DEADLINE_MS = 30_000;
/** The load ends when the last write was followed, long before this. */
const LONGEST_LOAD_SECONDS = 60;

/**
 * From the 202 to the first GET that finds the item, while the house is loaded by half of what it
 * can take; and, at the same time, from a message's publishing to its bare delivery, which is
 * what the emulator takes of it.
 */
export async function benchReadable(stage: Stage): Promise<void> {
  const { rounds, amounts } = stage.options;
  const database = await stage.createDatabase("ours");
  const topic = stage.name("readable");
  await stage.renewTopic(topic);
  const api = await stage.start(stage.own("api"), { database, topic });
  const subscriber = await stage.start(stage.own("subscriber"), { database, topic });
  const raw = await startRawPull(stage);
  const load: LoadSpec = { ...amounts, port: api.port, connections: CLIENTS, what: POST_ITEM };
  const perSecond = Math.ceil((await findCapacity(database, load)) / 2);
  const url = `http://127.0.0.1:${api.port}/api/data`;
  for (let round = 0; round < rounds; round += 1) {
    let ours: number[] = [];
    let bare: number[] = [];
    const followAll = async () => {
      [ours, bare] = await Promise.all([
        follow(amounts.followed, (agent) => followWrite(url, agent)),
        follow(amounts.followed, raw.follow),
      ]);
    };
    const paced = {
      ...{ ...load, connections: PACED_CLIENTS, perSecond, warmSeconds: 0 },
      ...{ seconds: LONGEST_LOAD_SECONDS, requests: perSecond * LONGEST_LOAD_SECONDS },
    };
    const pids = { api: api.pid, subscriber: subscriber.pid, mysql: stage.servers.mysqlPid };
    const used = await runLoad(paced, pids, { until: followAll });
    const { p50Ms: acceptP50Ms = 0, p99Ms: acceptP99Ms = 0, ...rest } = used;
    const oursAloneMs = median(ours) - median(bare);
    const values = { ...rest, ...getQuantiles(ours), oursAloneMs, acceptP50Ms, acceptP99Ms };
    stage.record({ bench: "readable", case: CASE, target: OURS, round, values });
    const limit = { bench: "readable", case: CASE, target: LIMIT_PULL, round };
    stage.record({ ...limit, values: getQuantiles(bare) });
  }
  await raw.close();
  await api.stop();
  await subscriber.stop();
  await stage.deleteTopic(topic);
  await database.drop();
}

/** Writes a second that are both accepted and settled, with as many clients as there are. */
async function findCapacity(database: Database, load: LoadSpec): Promise<number> {
  const startedAt = performance.now();
  const before = await countInserts(database);
  const { perSecond: accepted = 0 } = await runLoad(load, {});
  const settled = (await countInserts(database)) - before;
  const settledPerSecond = (settled / (performance.now() - startedAt)) * 1_000;
  return Math.min(accepted, Math.max(1, settledPerSecond));
}

/** Follows one after the other, a few side by side; resolves with what each took, sorted. */
async function follow(count: number, one: (agent: Agent) => Promise<number>): Promise<number[]> {
  const agent = new Agent({ keepAlive: true });
  const taken: number[] = [];
  let begun = 0;
  const followers = Array.from({ length: FOLLOWERS }, async () => {
    while (begun < count) {
      begun += 1;
      taken.push(await one(agent));
      await sleep(Math.random() * PAUSE_MS);
    }
  });
  await Promise.all(followers);
  agent.destroy();
  return taken.sort((a, b) => a - b);
}

/** Milliseconds from the 202 until a GET finds the item. */
async function followWrite(url: string, agent: Agent): Promise<number> {
  const accepted = await send("POST", url, JSON.stringify({ nombre: "Valpo" }), {}, agent);
  const acceptedAt = performance.now();
  const { id } = JSON.parse(accepted.body);
  for (;;) {
    const { status } = await send("GET", `${url}/${id}`, undefined, {}, agent);
    const ms = performance.now() - acceptedAt;
    if (status === 200) return ms;
    if (ms > DEADLINE_MS) throw new Error(`the item ${id} cannot be read: ${status}`);
    await sleep(LOOK_EVERY_MS);
  }
}

/** Pulls a topic of its own in this process. `follow`: milliseconds from publishing to delivery. */
async function startRawPull(stage: Stage) {
  const name = stage.name("bare");
  const names = await stage.renewTopic(name);
  const waiting = new Map<string, () => void>();
  const subscription = stage.pubsub.subscription(names.subscription);
  subscription.on("message", (message) => {
    message.ack();
    waiting.get(message.attributes.number ?? "")?.();
  });
  const topic = stage.pubsub.topic(names.topic, { batching: { maxMessages: 1 } });
  let published = 0;
  return {
    async follow(): Promise<number> {
      published += 1;
      const number = String(published);
      const { promise, resolve } = Promise.withResolvers<number>();
      waiting.set(number, () => resolve(performance.now()));
      await topic.publishMessage({ ...SEED_MESSAGE, attributes: { number } });
      const publishedAt = performance.now();
      return (await promise) - publishedAt;
    },
    async close() {
      await subscription.close();
      await stage.deleteTopic(name);
    },
  };
}

function getQuantiles(sorted: number[]): { p50Ms: number; p99Ms: number } {
  return { p50Ms: quantile(sorted, 0.5), p99Ms: quantile(sorted, 0.99) };
}
