import { fork } from "node:child_process";
import { once } from "node:events";
import { Agent } from "node:http";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseOptions, readInteger } from "../../ops/command-line.ts";
import { createTestEnvironment } from "../../test/support/environment.ts";
import { send } from "../../test/support/load.ts";
import type { Spawned } from "../../test/support/processes.ts";
import { runProof } from "../support/command.ts";
import { startServers } from "../support/servers.ts";
import { percentile, toTenth } from "../support/statistics.ts";
import { CROWD } from "./crowd.ts";

const crowd = Object.entries(CROWD).map(([kind, { clients }]) => `${clients} ${kind}`);
const HELP = `npm run proof -- hostile [options]

Starts an API and a subscriber with a MySQL and a local Pub/Sub. A few well-behaved clients write
and read, in turns with a crowd of hostile clients and without it; prints their p50 and p99, and the
ratio. The crowd, from this machine only: ${crowd.join(", ")}.

  --turns N     turns with the crowd, and as many without (default: 5)
  --seconds N   the length of a turn (default: 10)
  --help        show this text
`;
/** Well-behaved clients: enough for batches, too few to be a load. */
const CLIENTS = 8;
const PAUSE_MS = 5;
/** At the start of a turn, until the crowd is established or gone. */
const SETTLE_MS = 1_000;
const EXPECTED = new Set([200, 202, 404]);

await runProof("hostile", async () => {
  const { values } = parseOptions({
    options: {
      turns: { type: "string", default: "5" },
      seconds: { type: "string", default: "10" },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) return console.log(HELP) ?? 0;
  const turns = readInteger("turns", values.turns, { max: 1_000 });
  const seconds = readInteger("seconds", values.seconds, { max: 3_600 });
  const servers = await startServers("hostile");
  const environment = await createTestEnvironment(servers);
  try {
    const [api] = await Promise.all([environment.spawn("api"), environment.spawn("subscriber")]);
    await measure(api, 1);
    const times = { without: [] as number[], with: [] as number[] };
    for (let turn = 1; turn <= turns; turn += 1) {
      times.without.push(...(await measure(api, seconds)));
      const crowd = await startCrowdProcess(api.url);
      times.with.push(...(await measure(api, seconds)));
      crowd.kill("SIGKILL");
      await once(crowd, "exit");
      console.log(`turn ${turn} of ${turns}: ${describe(times)}`);
    }
    return 0;
  } finally {
    await environment.close();
    await servers.stop();
  }
});

/** The crowd is a process of its own, so that it does not slow down the clients that measure. */
async function startCrowdProcess(url: string) {
  const crowd = fork(join(import.meta.dirname, "crowd.ts"), [url]);
  const ended = once(crowd, "exit").then(([code]) => {
    throw new Error(`The crowd exited with ${code}.`);
  });
  await Promise.race([once(crowd, "message"), ended]);
  // From now on its end is expected.
  ended.catch(() => {});
  return crowd;
}

/** Returns the milliseconds of each answer. */
async function measure({ url }: Spawned, seconds: number): Promise<number[]> {
  await sleep(SETTLE_MS);
  const agent = new Agent({ keepAlive: true });
  const until = performance.now() + 1_000 * seconds;
  const times: number[] = [];
  const client = async (_: unknown, number: number) => {
    while (performance.now() < until) {
      const startedAt = performance.now();
      const item = `${url}/api/data/good-${number}`;
      const isPut = times.length % 2 === 0;
      const body = isPut ? '{"nombre":"good"}' : undefined;
      const { status } = await send(isPut ? "PUT" : "GET", item, body, {}, agent);
      if (!EXPECTED.has(status)) throw new Error(`A well-behaved client was answered ${status}.`);
      times.push(performance.now() - startedAt);
      await sleep(PAUSE_MS);
    }
  };
  await Promise.all(Array.from({ length: CLIENTS }, client));
  agent.destroy();
  return times;
}

function describe(times: { without: number[]; with: number[] }): string {
  const show = (share: number) => {
    const [alone, beside] = [percentile(times.without, share), percentile(times.with, share)];
    const ratio = (beside / alone).toFixed(2);
    return `p${100 * share} ${toTenth(alone)} ms without and ${toTenth(beside)} ms with the crowd (${ratio} times)`;
  };
  return `${times.without.length + times.with.length} answers: ${show(0.5)}, ${show(0.99)}`;
}
