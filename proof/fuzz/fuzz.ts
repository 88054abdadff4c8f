import { parseArgs } from "node:util";
import { createFuzzEnvironment } from "./environment.ts";
import { fuzz, type Result } from "./fuzz-http.ts";
import { startServers } from "./servers.ts";

const HELP = `npm run proof -- fuzz [options]

Two API processes and a subscriber on a MySQL and the local Pub/Sub. Requests near to what the
OpenAPI document describes, and bytes that are hardly HTTP. Every answer must be one that the
document declares, nothing may be left behind by what is refused, nobody may crash, hang or grow.
What fails is printed with the command that repeats it, made as small as fast-check can.
Exit status 1 where something fails.

  --requests N  stop after so many (default: 100000)
  --seed N      the first seed (default: 1); each is good for about a thousand requests
  --help        this text
`;
const PROGRESS_EVERY_MS = 500;

try {
  process.exitCode = await main();
} catch (error) {
  console.error(`fuzz: ${(error as Error).message} (--help tells the options)`);
  process.exitCode = 2;
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      requests: { type: "string", default: "100000" },
      seed: { type: "string", default: "1" },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) return console.log(HELP) ?? 0;
  const [requests, seed] = [Number(values.requests), Number(values.seed)];
  if (!(requests > 0 && Number.isInteger(seed)))
    throw new Error("--requests and --seed must be numbers");
  const servers = await startServers("fuzz");
  const environment = await createFuzzEnvironment(servers);
  try {
    const result = await fuzz({ environment, seed, requests, onProgress: showProgress(requests) });
    if (process.stderr.isTTY) process.stderr.write("\r\x1b[K");
    report(result);
    return result.faults.length === 0 ? 0 : 1;
  } finally {
    await environment.close();
    await servers.stop();
  }
}

function showProgress(requests: number): (sent: number) => void {
  let shownAt = 0;
  const startedAt = performance.now();
  return (sent) => {
    const now = performance.now();
    if (now - shownAt < PROGRESS_EVERY_MS) return;
    shownAt = now;
    const rate = Math.round((1_000 * sent) / (now - startedAt));
    const line = `${sent} of ${requests} requests, ${rate}/s`;
    process.stderr.write(process.stderr.isTTY ? `\r\x1b[K${line}` : `${line}\n`);
  };
}

function report({ sent, seconds, statuses, told, peakMb, heapMb, faults }: Result): void {
  console.log(`${sent} requests in ${Math.round(seconds)} s, ${told} writes accepted and settled`);
  console.log(
    Object.entries(statuses)
      .map(([status, times]) => `${status}: ${times}`)
      .join(", "),
  );
  console.log(
    `memory: peak ${Math.round(peakMb)} MB, live heap ${heapMb[0]} MB, later ${heapMb[1]} MB`,
  );
  for (const fault of faults) console.log(fault);
  console.log(faults.length === 0 ? "every answer held" : `${faults.length} FAULTS`);
}
