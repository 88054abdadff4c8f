import { parseOptions, readInteger } from "../../ops/command-line.ts";
import { requireProcFs, runProof } from "../support/command.ts";
import { startProgress } from "../support/progress.ts";
import { startServers } from "../support/servers.ts";
import { createFuzzEnvironment } from "./environment.ts";
import { fuzz, type Result } from "./http.ts";

const HELP = `npm run proof -- fuzz [options]

Starts two APIs and a subscriber on a MySQL and a local Pub/Sub. Sends requests near to what the
OpenAPI document describes, and bytes that are hardly HTTP. Every answer must be declared by the
document, what is refused must leave nothing behind, and no process may exit, hang or leak. A
failure is made as small as possible and printed with the command that repeats it. Exit status 1
where something fails.

  --requests N  stop after so many (default: 100000)
  --seed N      the first seed (default: 1); one is used for about a thousand requests
  --help        show this text
`;

const SHOWN_FAULTS = 20;

await runProof("fuzz", async () => {
  const { values } = parseOptions({
    options: {
      requests: { type: "string", default: "100000" },
      seed: { type: "string", default: "1" },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) return console.log(HELP) ?? 0;
  const requests = readInteger("requests", values.requests);
  const seed = readInteger("seed", values.seed, { min: 0 });
  requireProcFs();
  const servers = await startServers("fuzz");
  const environment = await createFuzzEnvironment(servers);
  let sent = 0;
  const progress = startProgress(() => `${sent} of ${requests} requests`);
  const onProgress = (count: number) => {
    sent = count;
  };
  try {
    const result = await fuzz({ environment, seed, requests, onProgress });
    progress.end();
    print(result);
    return result.faults.length === 0 ? 0 : 1;
  } finally {
    await environment.close();
    await servers.stop();
  }
});

function print({
  sent,
  seconds,
  statuses,
  confirmed,
  claims,
  peakMb,
  heapMb,
  faults,
}: Result): void {
  const answers = Object.entries(statuses).map(([status, times]) => `${status}: ${times}`);
  console.log(
    `${sent} requests in ${Math.round(seconds)} s, ${confirmed} writes accepted and settled, ` +
      `${claims} statements about items judged`,
  );
  console.log(answers.join(", "));
  console.log(
    `memory: peak ${Math.round(peakMb)} MB, live heap ${heapMb[0]} MB, later ${heapMb[1]} MB`,
  );
  for (const fault of faults.slice(0, SHOWN_FAULTS)) console.log(fault);
  console.log(faults.length === 0 ? "every answer held" : `${faults.length} FAULTS`);
}
