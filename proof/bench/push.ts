import { startPusher } from "../../test/support/pusher.ts";
import type { BenchEnvironment } from "./environment.ts";
import { type LoadRequests, type LoadSpec, runLoad } from "./load.ts";
import { SEED_PUSH } from "./targets.ts";

/** As many as subscriber.yaml lets into one instance. */
const PUSHES_AT_ONCE = 200;
/** More than either settles; each message is pushed once. */
const MOST_PER_SECOND = 10_000;
/** A process settles so many pushes before it is measured. */
const WARM_SHARE = 0.2;

/**
 * Pushes by Pub/Sub, with signed tokens. Constancia verifies each token; the seed's handler does
 * not.
 */
export async function benchPush(environment: BenchEnvironment): Promise<void> {
  const { rounds, amounts, sampling } = environment.options;
  const database = await environment.createDatabase("constancia");
  const seedDatabase = await environment.createDatabase("seed");
  const pusher = await startPusher();
  const started = [
    { target: environment.createOwn("subscriber", pusher.env), database },
    { target: SEED_PUSH, database: seedDatabase },
  ].map(async ({ target, ...place }) => {
    return { title: target.title, process: await environment.start(target, place) };
  });
  const warmRequests = Math.ceil(amounts.warmRequests * WARM_SHARE);
  const most = Math.min(amounts.requests, amounts.seconds * MOST_PER_SECOND);
  const headers = { Authorization: `Bearer ${pusher.token()}` };
  const count = warmRequests + most + PUSHES_AT_ONCE;
  const what: LoadRequests = { kind: "pushes", path: "/push", headers, count, sampling };
  const processes = await Promise.all(started);
  for (let round = 0; round < rounds; round += 1)
    await environment.forEachCores(async (cores) => {
      for (const { title, process } of processes) {
        const { seconds, requests } = amounts;
        const window = { connections: PUSHES_AT_ONCE, what, warmRequests, seconds, requests };
        const spec: LoadSpec = { port: process.port, ...window };
        const pids = { subscriber: process.pid, mysql: environment.servers.mysqlPid };
        const values = await runLoad(spec, pids);
        const sample = { bench: "push", case: "200 at once", cores, round };
        environment.record({ ...sample, target: title, values });
      }
    });
  for (const { process } of processes) await process.stop();
  pusher.close();
  await database.drop();
  await seedDatabase.drop();
}
