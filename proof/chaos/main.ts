import { existsSync } from "node:fs";
import { rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { parseOptions, readInteger } from "../../ops/command-line.ts";
import { BREAKS, BREAKS_HELP, bundleBroken, readBreak } from "../cluster/breaks.ts";
import { DatabaseServer } from "../cluster/database-server.ts";
import { describeEvent, makePlan } from "../cluster/plan.ts";
import { bundleCopy, type Change } from "../support/bundle-copy.ts";
import { runProof } from "../support/command.ts";
import { DECLARE_FEED } from "../support/feed.ts";
import { DECLARE_HOLDS } from "../support/holds.ts";
import { DECLARE_OWNER } from "../support/owned.ts";
import { createWorkFolder } from "../support/servers.ts";
import { type Result, run } from "./run.ts";

/** What the code of a run declares: items that have owners, and berths to hold; a feed. */
type Shape = { isOwned: boolean; hasFeed: boolean };

function listDeclarations({ isOwned, hasFeed }: Shape): Change[] {
  return [...(isOwned ? [DECLARE_OWNER, DECLARE_HOLDS] : []), ...(hasFeed ? [DECLARE_FEED] : [])];
}

const HELP = `npm run proof -- chaos [options]

Starts two APIs, two subscribers, a MySQL and a local Pub/Sub. Clients write for six seconds while
faults happen at random; then every fault is undone and every promise is checked. With an even seed the
collection has a feed, which a reader follows from the first write to the last, and another one the
list. With a seed that 3 divides, items have owners, the clients are of three, and these also take,
renew and release what they hold for two seconds. The seed determines the faults and the requests, not
how the processes interleave. Exit status 1 where a promise was broken.

  --seed N       the first seed (default: 1)
  --runs N       the number of seeds, one run each (default: 1)
  --events LIST  only these events of the plan, such as 0,3; - for none
  --break NAME   break the code on purpose, in a copy, until a run fails; "all" for each in turn.
                 Exit status 1 where no run fails
  --help         show this text

Breaks:

${BREAKS_HELP}
`;

type Options = {
  seed: number;
  runs: number;
  events: number[] | undefined;
  broken: string | undefined;
};

await runProof("chaos", async () => {
  const options = readOptions();
  if (!options) return console.log(HELP) ?? 0;
  const folder = await createWorkFolder("chaos");
  // The same programs are started over and over; V8 compiles them once.
  process.env.NODE_COMPILE_CACHE = join(folder, "compiled");
  const server = await DatabaseServer.start(join(folder, "mysql"), { isSmall: true });
  let code = 1;
  try {
    code = await (options.broken
      ? runBroken(options, server, folder)
      : runSeeds(options, server, folder));
    return code;
  } finally {
    await server.kill();
    await rename(join(folder, "mysql", "error.log"), join(folder, "mysql.log")).catch(() => {});
    await rm(join(folder, "mysql"), { recursive: true, force: true });
    if (code === 0) await rm(folder, { recursive: true, force: true });
  }
});

function readOptions(): Options | undefined {
  const { values } = parseOptions({
    options: {
      seed: { type: "string", default: "1" },
      runs: { type: "string", default: "1" },
      events: { type: "string" },
      break: { type: "string" },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) return undefined;
  const list = values.events?.split(",").filter((place) => place !== "-");
  return {
    seed: readInteger("seed", values.seed, { min: 0 }),
    runs: readInteger("runs", values.runs),
    events: list?.map((place) => readInteger("events", place, { min: 0 })),
    broken: readBreak(values.break, ["all"]),
  };
}

async function runSeeds(options: Options, server: DatabaseServer, folder: string): Promise<number> {
  const getCode = (shape: Shape) => {
    const tree = join(folder, `code-${shape.isOwned}-${shape.hasFeed}`);
    return existsSync(tree) ? join(tree, "dist") : bundleCopy(tree, listDeclarations(shape));
  };
  const startedAt = performance.now();
  const failed: number[] = [];
  let published = 0;
  let seed = options.seed;
  for (; seed < options.seed + options.runs; seed += 1) {
    const { places, plan } = selectEvents(seed, options.events);
    // So that each shape meets the same faults over time.
    const shape = { isOwned: seed % 3 === 0, hasFeed: seed % 2 === 0 };
    const result = await run({ server, folder, code: getCode(shape), plan, ...shape });
    printResult(result, places, folder);
    published += result.published;
    if (result.violations.length > 0) failed.push(seed);
    if (result.isStuck) break;
  }
  const seconds = Math.round((performance.now() - startedAt) / 1_000);
  console.log(
    `${seed - options.seed} runs in ${seconds} s, ${published} writes published: ` +
      (failed.length === 0 ? "every promise held" : `FAILED with the seeds ${failed.join(", ")}`),
  );
  return failed.length === 0 ? 0 : 1;
}

function selectEvents(seed: number, chosen: number[] | undefined) {
  const plan = makePlan(seed);
  const places = chosen ?? [...plan.events.keys()];
  const events = plan.events.filter((_, place) => places.includes(place));
  return { places, plan: { ...plan, events } };
}

/** Runs each break until a run fails; 1 where all runs of one hold. */
async function runBroken(
  options: Options,
  server: DatabaseServer,
  folder: string,
): Promise<number> {
  const { broken, seed: first, runs, events } = options;
  const names = broken === "all" ? Object.keys(BREAKS) : [broken as string];
  let unnoticed = 0;
  for (const name of names) {
    const shape = {
      isOwned: BREAKS[name]?.ofOwner === true,
      hasFeed: BREAKS[name]?.ofFeed === true,
    };
    const code = bundleBroken(name, folder, listDeclarations(shape));
    let isFound = false;
    for (let seed = first; seed < first + runs && !isFound; seed += 1) {
      const { plan } = selectEvents(seed, events);
      const { violations, isStuck } = await run({ server, folder, code, plan, ...shape });
      if (isStuck) throw new Error(`seed ${seed}: ${violations.at(-1)}`);
      isFound = violations.length > 0;
      if (isFound)
        console.log(`${name}: found in run ${seed - first + 1} (seed ${seed}): ${violations[0]}`);
    }
    if (isFound) continue;
    unnoticed += 1;
    console.log(`${name}: NOT found in ${runs} runs`);
  }
  return unnoticed === 0 ? 0 : 1;
}

function printResult(result: Result, places: readonly number[], folder: string): void {
  const { seed, seconds, confirmed, published, answers, peakMb, violations } = result;
  const { delivery, skewMs, events } = makePlan(seed);
  const statuses = Object.entries(answers).map(([status, times]) => `${status}: ${times}`);
  console.log(
    `seed ${seed}: ${violations.length === 0 ? "holds" : "FAILS"}, ${seconds.toFixed(1)} s, ` +
      `${confirmed} confirmed, ${published} published, ${delivery}, ${Math.round(peakMb)} MB, ${statuses.join(", ")}`,
  );
  if (violations.length === 0) return;
  for (const violation of violations.slice(0, 5)) console.log(`  ${violation}`);
  if (violations.length > 5) console.log(`  and ${violations.length - 5} more`);
  console.log(`  the clock of the second API is wrong by ${skewMs} ms`);
  for (const place of places) {
    const event = events[place];
    if (event) console.log(`  event ${place}: ${describeEvent(event)}`);
  }
  console.log(`  logs: ${join(folder, `seed-${seed}`)}`);
  const chosen = places.length === events.length ? "" : ` --events ${places.join(",") || "-"}`;
  console.log(`  npm run proof -- chaos --seed ${seed}${chosen}`);
}
