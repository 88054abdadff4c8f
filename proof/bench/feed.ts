import { join } from "node:path";
import { startPusher } from "../../test/support/pusher.ts";
import { bundleCopy } from "../support/bundle-copy.ts";
import { addFeed, DECLARE_FEED } from "../support/feed.ts";
import type { Database } from "./database.ts";
import { drain } from "./drain.ts";
import type { BenchEnvironment } from "./environment.ts";
import { type LoadRequests, type LoadSpec, POST_ITEM, runLoad } from "./load.ts";
import { createMint } from "./messages.ts";
import { CONSTANCIA, WITH_FEED } from "./targets.ts";

type Shape = { title: string; dist: string; createDatabase(): Promise<Database> };

const PUSHES_AT_ONCE = 200;
const MOST_PUSHES_PER_SECOND = 10_000;
/** A process settles this share of the warm-up's requests before it is measured. */
const WARM_SHARE = 0.2;
/** Of single writes, which take milliseconds each. */
const WARM_SINGLE_SHARE = 0.01;

/**
 * What a feed costs: the same writes to a collection with one and without, in turns; a backlog by pull,
 * many pushes at once, and single writes, each of which waits until it is settled.
 */
export async function benchFeed(environment: BenchEnvironment): Promise<void> {
  const { rounds, only } = environment.options;
  const feedDist = bundleCopy(join(environment.dist, "..", "with-feed"), [DECLARE_FEED]);
  const createDatabase = () => environment.createDatabase("constancia");
  const shapes: Shape[] = [
    { title: CONSTANCIA, dist: environment.dist, createDatabase },
    {
      title: WITH_FEED,
      dist: feedDist,
      async createDatabase() {
        const database = await createDatabase();
        await addFeed(database.pool);
        return database;
      },
    },
  ];
  for (let round = 0; round < rounds; round += 1)
    await environment.forEachCores(async (cores) => {
      for (const [what, measure] of Object.entries(CASES).filter(([what]) => what.includes(only)))
        for (const shape of round % 2 === 0 ? shapes : shapes.toReversed()) {
          const database = await shape.createDatabase();
          const values = await measure(environment, shape, database);
          const sample = { bench: "feed", case: what, cores, round };
          environment.record({ ...sample, target: shape.title, values });
          await database.drop();
        }
    });
}

type Measure = (
  environment: BenchEnvironment,
  shape: Shape,
  database: Database,
) => Promise<Record<string, number>>;

const CASES: Record<string, Measure> = {
  "pull, backlog": measureBacklog,
  "push, 200 at once": (...given) => measurePushes(...given, PUSHES_AT_ONCE),
  "push, one at a time": (...given) => measurePushes(...given, 1),
  "pull, one POST at a time that waits": measureSingle,
};

function measureBacklog(environment: BenchEnvironment, shape: Shape, database: Database) {
  const { amounts, sampling } = environment.options;
  const target = environment.createOwn("subscriber", {}, shape.dist);
  return drain(environment, database, {
    target,
    message: createMint(sampling).create,
    rows: amounts.rows,
  });
}

async function measurePushes(
  environment: BenchEnvironment,
  shape: Shape,
  database: Database,
  connections: number,
): Promise<Record<string, number>> {
  const { amounts, sampling } = environment.options;
  const pusher = await startPusher();
  const target = environment.createOwn("subscriber", pusher.env, shape.dist);
  const subscriber = await environment.start(target, { database });
  const warm = amounts.warmRequests * (connections === 1 ? WARM_SINGLE_SHARE : WARM_SHARE);
  const window = { connections, warmRequests: Math.ceil(warm), ...pickWindow(environment) };
  const most = Math.min(amounts.requests, amounts.seconds * MOST_PUSHES_PER_SECOND);
  const count = window.warmRequests + most + connections;
  const headers = { Authorization: `Bearer ${pusher.token()}` };
  const what: LoadRequests = { kind: "pushes", path: "/push", headers, count, sampling };
  const pids = { subscriber: subscriber.pid, mysql: environment.servers.mysqlPid };
  try {
    return await runLoad({ port: subscriber.port, ...window, what }, pids);
  } finally {
    await subscriber.stop();
    pusher.close();
  }
}

async function measureSingle(
  environment: BenchEnvironment,
  shape: Shape,
  database: Database,
): Promise<Record<string, number>> {
  const topic = environment.name("feed");
  await environment.renewTopic(topic);
  const place = { database, topic };
  const api = await environment.start(environment.createOwn("api", {}, shape.dist), place);
  const own = environment.createOwn("subscriber", {}, shape.dist);
  const subscriber = await environment.start(own, place);
  const warmRequests = Math.ceil(environment.options.amounts.warmRequests * WARM_SINGLE_SHARE);
  const what = { ...POST_ITEM, headers: { ...POST_ITEM.headers, Prefer: "wait=10" } };
  const window = { connections: 1, warmRequests, ...pickWindow(environment) };
  const spec: LoadSpec = { port: api.port, ...window, what };
  const pids = {
    api: api.pid,
    subscriber: subscriber.pid,
    mysql: environment.servers.mysqlPid,
  };
  try {
    return await runLoad(spec, pids);
  } finally {
    await Promise.all([api.stop(), subscriber.stop()]);
    await environment.deleteTopic(topic);
  }
}

function pickWindow({ options: { amounts } }: BenchEnvironment) {
  return { seconds: amounts.seconds, requests: amounts.requests };
}
