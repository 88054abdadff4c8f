import { Agent } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { send } from "../../test/support/load.ts";
import { percentile } from "../support/statistics.ts";
import { countInserts } from "./backlog.ts";
import type { Database } from "./database.ts";
import type { BenchEnvironment } from "./environment.ts";
import { type LoadSpec, POST_ITEM, runLoad, warmUp } from "./load.ts";
import { CONSTANCIA } from "./targets.ts";

const CLIENTS = 64;
/** Clients of the paced load: enough that no request is late for want of a connection. */
const PACED_CLIENTS = 256;
const FOLLOWERS = 4;
const LOOK_EVERY_MS = 2;
/** The longest pause of a follower between two writes, so that they are spread evenly. */
const PAUSE_MS = 50;
const DEADLINE_MS = 30_000;
/** The load ends when the last write was followed, long before this. */
const LONGEST_LOAD_SECONDS = 60;

/** From the 202 to the first GET that finds the item, at half of the capacity. */
export async function benchReadable(environment: BenchEnvironment): Promise<void> {
  const { rounds, amounts } = environment.options;
  const database = await environment.createDatabase("constancia");
  const topic = environment.name("readable");
  await environment.renewTopic(topic);
  const api = await environment.start(environment.createOwn("api"), { database, topic });
  const own = environment.createOwn("subscriber");
  const subscriber = await environment.start(own, { database, topic });
  const { seconds, requests } = amounts;
  const window = { connections: CLIENTS, warmRequests: CLIENTS, seconds, requests };
  const load: LoadSpec = { port: api.port, ...window, what: POST_ITEM };
  const url = `http://127.0.0.1:${api.port}/api/data`;
  await warmUp(api.port, POST_ITEM, amounts.warmRequests);
  for (let round = 0; round < rounds; round += 1)
    await environment.forEachCores(async (cores) => {
      const perSecond = Math.ceil((await measureCapacity(database, load)) / 2);
      const followed: number[] = [];
      const until = async () => void followed.push(...(await follow(amounts.followed, url)));
      const paced: LoadSpec = {
        ...load,
        connections: PACED_CLIENTS,
        perSecond,
        warmRequests: 0,
        seconds: LONGEST_LOAD_SECONDS,
        requests: perSecond * LONGEST_LOAD_SECONDS,
      };
      const { mysqlPid: mysql } = environment.servers;
      const pids = { api: api.pid, subscriber: subscriber.pid, mysql };
      const { p50Ms, p99Ms, ...usage } = await runLoad(paced, pids, { until });
      const values = {
        ...usage,
        p50Ms: percentile(followed, 0.5),
        p99Ms: percentile(followed, 0.99),
        acceptP50Ms: p50Ms ?? Number.NaN,
        acceptP99Ms: p99Ms ?? Number.NaN,
      };
      const sample = { bench: "readable", case: "half load", cores, round };
      environment.record({ ...sample, target: CONSTANCIA, values });
    });
  await api.stop();
  await subscriber.stop();
  await environment.deleteTopic(topic);
  await database.drop();
}

/** Writes a second that are both accepted and settled. */
async function measureCapacity(database: Database, load: LoadSpec): Promise<number> {
  const startedAt = performance.now();
  const before = await countInserts(database);
  const { perSecond: accepted = 0 } = await runLoad(load, {});
  const settled = (await countInserts(database)) - before;
  const settledPerSecond = (settled / (performance.now() - startedAt)) * 1_000;
  return Math.min(accepted, Math.max(1, settledPerSecond));
}

/** Follows `count` writes, a few side by side; resolves with the milliseconds of each. */
async function follow(count: number, url: string): Promise<number[]> {
  const agent = new Agent({ keepAlive: true });
  const taken: number[] = [];
  let begun = 0;
  const followers = Array.from({ length: FOLLOWERS }, async () => {
    while (begun < count) {
      begun += 1;
      taken.push(await followWrite(url, agent));
      await sleep(Math.random() * PAUSE_MS);
    }
  });
  await Promise.all(followers);
  agent.destroy();
  return taken;
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
