import { fork } from "node:child_process";
import { once } from "node:events";
import { mkdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { bundle } from "../../deploy/bundle.ts";
import { endAtSignals, killAtExit } from "./at-exit.ts";
import { BREAKS, bundleBroken } from "./breaks.ts";
import { DatabaseServer } from "./database-server.ts";
import { describeEvent, makePlan } from "./plan.ts";
import { type Result, run } from "./run.ts";
import { shrink } from "./shrink.ts";

const HELP = `npm run proof -- chaos [options]

Two APIs, two subscribers, a MySQL and a Pub/Sub; a random load, and faults at random; then all
is settled and every promise is looked at. Seed and version make the schedule; how the processes
interleave is the machine's. Exit status 1 where a promise was broken.

  --seed N      the first seed (default: 1)
  --runs K      so many seeds, one after another (default: 1)
  --jobs J      in so many processes, each with a MySQL of its own (default: 1)
  --events LIST only these events of the schedule, as 0,3; none: -
  --shrink      after a failure, look for fewer events that still fail
  --break NAME  break the code on purpose, in a copy, until a run fails; "all" for each in turn.
                Exit status 1 where no run noticed
  --help        this text

What can be broken:

${Object.entries(BREAKS)
  .map(([name, { means }]) => `  ${name.padEnd(18)} ${means}`)
  .join("\n")}
`;

const LOCAL = join(import.meta.dirname, "..", "..", ".local");
const folder = join(LOCAL, `chaos-${process.pid}`);
// Everything is started over and over: V8 need not compile it again.
process.env.NODE_COMPILE_CACHE = join(folder, "compiled");
// Google's clients look for no machine of Google's, here neither.
process.env.METADATA_SERVER_DETECTION = "none";

type Options = {
  seed: number;
  runs: number;
  jobs: number;
  events: number[] | undefined;
  isShrinking: boolean;
  broken: string | undefined;
};

endAtSignals(folder);
try {
  const options = readOptions();
  // Told to end: what a failed run has left behind would keep it running.
  if (options) process.exit(await (options.jobs > 1 ? runJobs(options) : main(options)));
} catch (error) {
  console.error(`chaos: ${(error as Error).message} (--help tells the options)`);
  process.exit(2);
}

function readOptions(): Options | undefined {
  const { values } = parseArgs({
    options: {
      seed: { type: "string", default: "1" },
      runs: { type: "string", default: "1" },
      jobs: { type: "string", default: "1" },
      events: { type: "string" },
      shrink: { type: "boolean", default: false },
      break: { type: "string" },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) return void console.log(HELP);
  if (values.break !== undefined && values.break !== "all" && !BREAKS[values.break])
    throw new Error(`there is nothing to break by the name ${values.break}`);
  const list = values.events?.split(",").filter((place) => place !== "-");
  return {
    seed: getNumber("--seed", values.seed),
    runs: getNumber("--runs", values.runs),
    jobs: getNumber("--jobs", values.jobs),
    events: list?.map((place) => getNumber("--events", place)),
    isShrinking: values.shrink,
    broken: values.break,
  };
}

function getNumber(option: string, text: string): number {
  const value = Number(text);
  if (Number.isInteger(value) && value >= 0) return value;
  throw new Error(`${option} must be a whole number, not "${text}"`);
}

/** Shares the seeds among processes of the same program. */
async function runJobs({ seed, runs, jobs, isShrinking, broken }: Options): Promise<number> {
  if (broken !== undefined) throw new Error("--break takes one job");
  const startedAt = performance.now();
  const totals = { runs: 0, failed: [] as number[], published: 0 };
  const codes = await Promise.all(
    Array.from({ length: Math.min(jobs, runs) }, async (_, job) => {
      const first = seed + Math.floor((job * runs) / jobs);
      const next = seed + Math.floor(((job + 1) * runs) / jobs);
      const args = [
        `--seed=${first}`,
        `--runs=${next - first}`,
        ...(isShrinking ? ["--shrink"] : []),
      ];
      const child = fork(import.meta.filename, args);
      killAtExit(() => child.kill("SIGTERM"));
      child.on("message", (result: Result) => count(totals, result));
      return (await once(child, "exit"))[0] as number | null;
    }),
  );
  summarise(totals, startedAt);
  return codes.every((code) => code === 0) ? 0 : 1;
}

async function main(options: Options): Promise<number> {
  await mkdir(folder, { recursive: true });
  const server = await DatabaseServer.start(join(folder, "mysql"), { isSmall: true });
  let code = 1;
  try {
    code = await (options.broken ? breakAll(options, server) : runAll(options, server));
    return code;
  } finally {
    await server.kill();
    await rename(join(folder, "mysql", "error.log"), join(folder, "mysql.log")).catch(() => {});
    await rm(join(folder, "mysql"), { recursive: true, force: true });
    if (code === 0) await rm(folder, { recursive: true, force: true });
  }
}

async function runAll(options: Options, server: DatabaseServer): Promise<number> {
  const { seed, runs, events, isShrinking } = options;
  const code = join(folder, "code");
  await bundle(code);
  const startedAt = performance.now();
  const totals = { runs: 0, failed: [] as number[], published: 0 };
  for (let one = seed; one < seed + runs; one += 1) {
    const places = events ?? [...makePlan(one).events.keys()];
    const result = await runSeed({ server, code, seed: one, places });
    count(totals, result);
    process.send?.(result);
    report(result, places);
    if (result.isStuck) break;
    if (result.violations.length > 0 && isShrinking)
      await shrinkSeed({ server, code, seed: one, places });
  }
  if (!process.send) summarise(totals, startedAt);
  return totals.failed.length === 0 ? 0 : 1;
}

type SeedRun = { server: DatabaseServer; code: string; seed: number; places: readonly number[] };

function runSeed({ server, code, seed, places }: SeedRun): Promise<Result> {
  const plan = makePlan(seed);
  const events = plan.events.filter((_, place) => places.includes(place));
  return run({ server, folder, code, plan: { ...plan, events } });
}

/** Prints the command with the fewest events that fail. */
async function shrinkSeed(failed: SeedRun): Promise<void> {
  const fewest = await shrink(failed.places, async (places) => {
    return (await runSeed({ ...failed, places })).violations.length > 0;
  });
  console.log(`  npm run proof -- chaos --seed ${failed.seed} --events ${fewest.join(",") || "-"}`);
}

/** Breaks the code in each way; 1 where all runs of a way go well. */
async function breakAll(options: Options, server: DatabaseServer): Promise<number> {
  const { broken, seed, runs, events, isShrinking } = options;
  const names = broken === "all" ? Object.keys(BREAKS) : [broken as string];
  let unnoticed = 0;
  for (const name of names) {
    const code = bundleBroken(name, folder);
    let isFound = false;
    for (let one = seed; one < seed + runs && !isFound; one += 1) {
      const places = events ?? [...makePlan(one).events.keys()];
      const { violations, isStuck } = await runSeed({ server, code, seed: one, places });
      if (isStuck) throw new Error(`seed ${one}: ${violations.at(-1)}`);
      isFound = violations.length > 0;
      if (!isFound) continue;
      console.log(`${name}: found in run ${one - seed + 1} (seed ${one}): ${violations[0]}`);
      if (isShrinking) await shrinkSeed({ server, code, seed: one, places });
    }
    if (isFound) continue;
    unnoticed += 1;
    console.log(`${name}: NOT found in ${runs} runs`);
  }
  return unnoticed === 0 ? 0 : 1;
}

type Totals = { runs: number; failed: number[]; published: number };

function count(totals: Totals, { seed, published, violations }: Result): void {
  totals.runs += 1;
  totals.published += published;
  if (violations.length > 0) totals.failed.push(seed);
}

function report(
  { seed, seconds, told, published, answers, peakMb, violations }: Result,
  places: readonly number[],
): void {
  const { delivery, skewMs, events } = makePlan(seed);
  const statuses = Object.entries(answers).map(([status, times]) => `${status}: ${times}`);
  console.log(
    `seed ${seed}: ${violations.length === 0 ? "holds" : "FAILS"}, ${seconds.toFixed(1)} s, ` +
      `${told} told, ${published} published, ${delivery}, ${Math.round(peakMb)} MB, ${statuses.join(", ")}`,
  );
  if (violations.length === 0) return;
  for (const violation of violations.slice(0, 5)) console.log(`  ${violation}`);
  if (violations.length > 5) console.log(`  and ${violations.length - 5} more`);
  console.log(`  the API's second clock is wrong by ${skewMs} ms`);
  for (const place of places) {
    const event = events[place];
    if (event) console.log(`  event ${place}: ${describeEvent(event)}`);
  }
  console.log(`  logs: ${join(folder, `seed-${seed}`)}`);
  const chosen = places.length === events.length ? "" : ` --events ${places.join(",") || "-"}`;
  console.log(`  npm run proof -- chaos --seed ${seed}${chosen}`);
}

function summarise({ runs, failed, published }: Totals, startedAt: number): void {
  const seconds = Math.round((performance.now() - startedAt) / 1_000);
  console.log(
    `${runs} runs in ${seconds} s, ${published} writes published: ` +
      (failed.length === 0 ? "every promise held" : `FAILED with the seeds ${failed.join(", ")}`),
  );
}
