import { parseArgs } from "node:util";
import { FIGURES } from "./figures.ts";
import { readCurve } from "./simulate-curve.ts";
import { simulate } from "./simulate-model.ts";
import { buildSetup, type Knobs } from "./simulate-setup.ts";
import { describeSimulation, describeSteps, summarise } from "./simulate-table.ts";

const HELP = `npm run proof -- simulate [options]

Shows second by second what a load does to production: instances of both services, MySQL, refused
requests, backlog and lag. Driven by the processor times that \`${FIGURES.command}\` measured on
${FIGURES.measuredOn} (proof/bench/figures.json) and by app.yaml, subscriber.yaml and iac/environments.ts.

  --curve CURVE             writes a second, over time: 0:10,1m:1000,10m:1000 rises from 10 to
                            1,000 within a minute and stays until the tenth; a number alone is
                            ten minutes of it (default: 1000)
  --reads N                 by id, of each write (default: 1)
  --bulk                    writes come by the thousand in one request
  --shape SHAPE             constancia, or seed: one publish and one INSERT for each write
                            (default: constancia)
  --api-instances N         at most (default: as in app.yaml)
  --subscriber-instances N  at most (default: as in subscriber.yaml)
  --workers N               of a worker pool that pulls, always on, instead of the subscriber
  --tier TIER               MySQL's, as db-custom-4-15360 (default: production's)
  --databases N             MySQL instances, each with a share of the ids (default: 1)
  --steps                   the table of docs/scale.md instead
  --json                    every second and every instance, for programs
  --help                    this text
`;
const MOST = 100_000;

try {
  console.log(answer(process.argv.slice(2)));
} catch (error) {
  console.error(
    `simulate: ${(error as Error).message} (npm run proof -- simulate --help tells more)`,
  );
  process.exitCode = 2;
}

/** What was asked for, as text. */
function answer(args: string[]): string {
  const { values } = parseArgs({
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
  const { shape, tier, bulk } = values;
  if (shape !== "constancia" && shape !== "seed") {
    throw new Error(`--shape must be constancia or seed, not "${shape}"`);
  }
  const knobs: Knobs = {
    ...{ shape, bulk, ...(tier ? { tier } : {}) },
    ...count("reads", "reads", values.reads, 0),
    ...count("apiInstances", "api-instances", values["api-instances"]),
    ...count("subscriberInstances", "subscriber-instances", values["subscriber-instances"]),
    ...count("workers", "workers", values.workers),
    ...count("databases", "databases", values.databases),
  };
  const simulation = simulate(buildSetup(knobs), readCurve(values.curve));
  if (values.json) return JSON.stringify({ summary: summarise(simulation), ...simulation });
  return describeSimulation(simulation);
}

function count(name: keyof Knobs, option: string, text: string | undefined, least = 1): Knobs {
  if (text === undefined) return {};
  const number = Number(text);
  if (Number.isInteger(number) && number >= least && number <= MOST) return { [name]: number };
  throw new Error(`--${option} must be a number from ${least} to ${MOST}, not "${text}"`);
}
