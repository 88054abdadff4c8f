import { fork } from "node:child_process";
import { once } from "node:events";
import { Agent, request } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { createTestEnvironment } from "../../test/support/environment.ts";
import type { Spawned } from "../../test/support/processes.ts";
import { killAtExit } from "../chaos/at-exit.ts";
import { percentile } from "../chaos/load-count.ts";
import { CROWD, startCrowd } from "./crowd.ts";
import { startServers } from "./servers.ts";

const usual = Object.entries(CROWD).map(([kind, { clients }]) => `${clients} ${kind}`);
const HELP = `npm run proof -- hostile [options]

One API and a subscriber as processes, with MySQL and the local Pub/Sub. A few well-behaved clients
write and read one after another, with a crowd of hostile clients and without it in turns; their
p50 and p99, and the ratio. The crowd, on the loopback address only:
${usual.join(", ")}.

  --turns N     so many turns with the crowd, and as many without (default: 5)
  --seconds N   the length of a turn (default: 10)
  --help        this text
`;
/** Well-behaved clients: enough for batches, too few to be a load. */
const CLIENTS = 8;
/** Between two requests of one, so that it is no load test. */
const PAUSE_MS = 5;
/** At the start of a turn, for the crowd to come or its remains to go. */
const SETTLE_MS = 1_000;

if (process.env.HOSTILE_CROWD_URL) {
  // The crowd is a process of its own, or it would slow down those who measure.
  await startCrowd(process.env.HOSTILE_CROWD_URL);
  process.send?.("here");
} else {
  try {
    process.exitCode = await main();
  } catch (error) {
    console.error(`hostile: ${(error as Error).message} (--help tells the options)`);
    process.exitCode = 2;
  }
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      turns: { type: "string", default: "5" },
      seconds: { type: "string", default: "10" },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) return console.log(HELP) ?? 0;
  const [turns, seconds] = [Number(values.turns), Number(values.seconds)];
  if (!(turns > 0 && seconds > 0)) throw new Error("--turns and --seconds must be numbers");
  const servers = await startServers("hostile");
  const environment = await createTestEnvironment(servers);
  try {
    const [api] = await Promise.all([environment.spawn("api"), environment.spawn("subscriber")]);
    await measure(api, SETTLE_MS / 1_000);
    const times = { without: [] as number[], with: [] as number[] };
    for (let turn = 1; turn <= turns; turn += 1) {
      times.without.push(...(await measure(api, seconds)));
      const crowd = await bringCrowd(api.url);
      times.with.push(...(await measure(api, seconds)));
      crowd.kill("SIGKILL");
      await once(crowd, "exit");
      console.log(`turn ${turn} of ${turns}: ${describe(times)}`);
    }
    console.log(`well-behaved clients, ${describe(times)}`);
    return 0;
  } finally {
    await environment.close();
    await servers.stop();
  }
}

async function bringCrowd(url: string) {
  const env = { ...process.env, HOSTILE_CROWD_URL: url };
  const crowd = fork(import.meta.filename, { env });
  killAtExit(() => crowd.kill("SIGKILL"));
  const ended = once(crowd, "exit").then(([code]) => {
    throw new Error(`the crowd ended with ${code}`);
  });
  await Promise.race([once(crowd, "message"), ended]);
  // Its end is wanted from now on.
  ended.catch(() => {});
  return crowd;
}

/** Milliseconds of each answer, after a pause for what has just begun or ended. */
async function measure({ url }: Spawned, seconds: number): Promise<number[]> {
  await sleep(SETTLE_MS);
  const agent = new Agent({ keepAlive: true });
  const until = performance.now() + 1_000 * seconds;
  const times: number[] = [];
  await Promise.all(
    Array.from({ length: CLIENTS }, async (_, client) => {
      while (performance.now() < until) {
        const startedAt = performance.now();
        const path = `/api/data/good-${client}`;
        const status = await ask(agent, url + path, times.length % 2 === 0 ? "PUT" : "GET");
        if (status !== 200 && status !== 202 && status !== 404)
          throw new Error(`a well-behaved client was answered ${status}`);
        times.push(performance.now() - startedAt);
        await sleep(PAUSE_MS);
      }
    }),
  );
  agent.destroy();
  return times;
}

function ask(agent: Agent, url: string, method: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const headers = method === "PUT" ? { "content-type": "application/json" } : {};
    const sending = request(url, { method, agent, headers }, (response) => {
      response.resume().once("end", () => resolve(response.statusCode ?? 0));
    });
    sending.once("error", reject).end(method === "PUT" ? '{"nombre":"good"}' : undefined);
  });
}

function describe(times: { without: number[]; with: number[] }): string {
  const show = (share: number) => {
    const [alone, beside] = [percentile(times.without, share), percentile(times.with, share)];
    return `p${100 * share} ${alone} ms without and ${beside} ms with the crowd (${(beside / alone).toFixed(2)} times)`;
  };
  return `${times.without.length + times.with.length} answers: ${show(0.5)}, ${show(0.99)}`;
}
