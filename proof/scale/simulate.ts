import { parseOptions, readChoice, readInteger } from "../../ops/command-line.ts";
import { FIGURES } from "./figures.ts";
import { simulate } from "./simulate-model.ts";
import { buildSetup, type Changes, readCurve } from "./simulate-setup.ts";
import { describeSimulation, describeSteps, summarise } from "./simulate-table.ts";

const HELP = `npm run proof -- simulate [options]

Simulates second by second how production handles a load: instances of both services, MySQL, refused
requests, backlog and lag. It uses the processor times that \`${FIGURES.command}\` measured on
${FIGURES.measuredOn} (proof/bench/figures.json), app.yaml, subscriber.yaml and iac/environments.ts.

  --curve CURVE             writes a second over time: 0:10,1m:1000,10m:1000 rises from 10 to
                            1,000 within a minute and stays until the tenth; a single number
                            lasts ten minutes (default: 1000)
  --reads N                 reads by id for each write (default: 1)
  --bulk                    send thousands of writes in one request
  --shape SHAPE             constancia, or seed: one publish and one INSERT for each write
                            (default: constancia)
  --api-instances N         maximum (default: of app.yaml)
  --subscriber-instances N  maximum (default: of subscriber.yaml)
  --workers N               instances of a worker pool that pulls, instead of the subscriber
  --tier TIER               of MySQL, such as db-custom-4-15360 (default: production's)
  --databases N             MySQL instances, each with a share of the ids (default: 1)
  --steps                   print the table of docs/scale.md
  --json                    print every second and every instance as JSON
  --help                    show this text
`;
const MAX_COUNT = 100_000;

try {
  process.stdout.write(`${run(process.argv.slice(2))}\n`);
} catch (error) {
  process.stderr.write(`${(error as Error).message}\n`);
  process.exitCode = 2;
}

/** Returns what the options ask for as text. */
function run(args: string[]): string {
  const { values } = parseOptions({
    args,
    options: {
      curve: { type: "string", default: "1000" },
      reads: { type: "string" },
      bulk: { type: "boolean", default: false },
      shape: { type: "string", default: "constancia" },
      "api-instances": { type: "string" },
      "subscriber-instances": { type: "string" },
      workers: { type: "string" },
      tier: { type: "string" },
      databases: { type: "string" },
      steps: { type: "boolean", default: false },
      json: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) return HELP.trimEnd();
  if (values.steps) return describeSteps();
  const { shape, tier, bulk, reads, workers, databases } = values;
  const { "api-instances": apiInstances, "subscriber-instances": subscriberInstances } = values;
  const changes: Changes = {
    shape: readChoice("shape", shape, ["constancia", "seed"] as const),
    bulk,
    ...(tier && { tier }),
    ...(reads && { reads: readInteger("reads", reads, { min: 0, max: MAX_COUNT }) }),
    ...(apiInstances && { apiInstances: readCount("api-instances", apiInstances) }),
    ...(subscriberInstances && {
      subscriberInstances: readCount("subscriber-instances", subscriberInstances),
    }),
    ...(workers && { workers: readCount("workers", workers) }),
    ...(databases && { databases: readCount("databases", databases) }),
  };
  const simulation = simulate(buildSetup(changes), readCurve(values.curve));
  if (values.json) return JSON.stringify({ summary: summarise(simulation), ...simulation });
  return describeSimulation(simulation);
}

function readCount(option: string, text: string): number {
  return readInteger(option, text, { max: MAX_COUNT });
}
