import { collections } from "../../collections/collections.ts";
import { loadVariables } from "../../common/config.ts";
import { closePool, openPool, type Pool } from "../../common/database.ts";
import { CLOCK_SKEW_MS, DAY_MS, UNSETTLED_DAYS } from "../../common/limits.ts";
import { parseOptions, UsageError } from "../command-line.ts";
import { explainDatabaseError } from "../database-error.ts";
import { type Program, runMain, type Terminal } from "../terminal.ts";
import { findCompetingItems } from "./competition.ts";
import { beginAnew, readDatabase } from "./database.ts";
import { formatTime, planRestore } from "./plan.ts";
import { openSubscriptions, type Subscriptions } from "./subscriptions.ts";

const HELP = `Settles again what was settled after the time to which MySQL was restored.

Usage:
  npm run ops -- restore TIME             says what would be done, and does nothing
  npm run ops -- restore TIME --seek      does it: every feed begins a new epoch, and both
                                          subscriptions are sought back
  npm run ops -- restore TIME --report    once the backlog is settled: the items of which a write was
                                          settled again, beside others

Options:
  --from TIME    seek back to this time only: everything accepted before was settled at TIME
  --again        seek although the database has settled writes since TIME
  --until TIME   when --seek was run: writes that were accepted later were not settled again
                 (default: now)
  -h, --help     print this help

TIME is the time that the restore was given, such as 2026-11-21T15:00:00Z. MYSQL_URL must name the
restored database, and no subscriber may run on the old one. A message that is delivered again is
settled once: no accepted write is lost or doubled, however often --seek is run. Of an item with more
than one write, the outcomes may be others than those that its writers were told.

Exit status: 0 done, 1 something forbids it, 2 wrong usage.
`;

/** `npm run ops -- restore`. */
export const RESTORE: Program = { main, help: HELP };

if (import.meta.main) await runMain(RESTORE);

async function main(args: string[], terminal: Terminal): Promise<number> {
  const options = readOptions(args);
  const config = await loadVariables([
    "MYSQL_URL",
    "MYSQL_PASSWORD",
    "GOOGLE_CLOUD_PROJECT",
    "PUBSUB_EMULATOR_HOST",
    "PUBSUB_SUBSCRIPTION",
    "PUBSUB_DEAD_LETTER_SUBSCRIPTION",
  ]);
  const pool = openPool({ mysqlUrl: config.MYSQL_URL, poolSize: 1 });
  try {
    if (options.action === "report") return await report(terminal, pool, options);
    const subscriptions = await openSubscriptions({
      projectId: config.GOOGLE_CLOUD_PROJECT,
      emulatorHost: config.PUBSUB_EMULATOR_HOST,
    });
    const names = [config.PUBSUB_DEAD_LETTER_SUBSCRIPTION, config.PUBSUB_SUBSCRIPTION];
    return await restore(terminal, { pool, subscriptions, names }, options).finally(() =>
      subscriptions.close(),
    );
  } catch (error) {
    throw explainDatabaseError(error, config.MYSQL_URL);
  } finally {
    await closePool(pool);
  }
}

type Options = ReturnType<typeof readOptions>;

function readOptions(args: string[]) {
  const { values, positionals } = parseOptions({
    args,
    allowPositionals: true,
    options: {
      seek: { type: "boolean", default: false },
      report: { type: "boolean", default: false },
      again: { type: "boolean", default: false },
      from: { type: "string" },
      until: { type: "string" },
    },
  });
  const { seek, report, again, from, until } = values;
  const [time, ...more] = positionals;
  if (time === undefined || more.length > 0)
    throw new UsageError("Give one time: the one to which MySQL was restored.");
  if (seek && report) throw new UsageError("Give either --seek or --report.");
  if (report && (from !== undefined || again))
    throw new UsageError("--from and --again are not for --report.");
  if (!report && until !== undefined) throw new UsageError("--until is only for --report.");
  return {
    action: seek ? "seek" : report ? "report" : "plan",
    timeMs: readTime("TIME", time),
    fromMs: from === undefined ? undefined : readTime("--from", from),
    untilMs: until === undefined ? Date.now() : readTime("--until", until),
    isAgain: again,
  } as const;
}

/** Milliseconds since 1970 of a time in RFC 3339: without its zone, it would be another one elsewhere. */
function readTime(name: string, text: string): number {
  const isTime = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)$/.test(text);
  const ms = isTime ? Date.parse(text) : Number.NaN;
  if (Number.isFinite(ms) && ms >= 0) return ms;
  throw new UsageError(
    `${name} must be a time with its zone, such as 2026-11-21T15:00:00Z, not "${text}".`,
  );
}

async function restore(
  { print, printError }: Terminal,
  {
    pool,
    subscriptions,
    names,
  }: { pool: Pool; subscriptions: Subscriptions; names: readonly string[] },
  options: Options,
): Promise<number> {
  const database = await readDatabase(pool, collections);
  const states = [];
  for (const name of names) states.push(await subscriptions.read(name));
  const { seekMs, obstacles, notes } = planRestore(options, database, states, Date.now());
  const time = formatTime(options.timeMs);
  print(`MySQL was restored to ${time}.\n`);
  print(`${database.feeds} feeds begin a new epoch, so that their readers begin again (410).\n`);
  print(`${database.waiting} writes that wait for another one begin to wait anew.\n`);
  for (const name of names) print(`${name} is sought back to ${formatTime(seekMs)}.\n`);
  for (const note of notes) print(`\n${note}\n`);
  for (const obstacle of obstacles) printError(`\n${obstacle}\n`);
  if (obstacles.length > 0) {
    printError("\nNothing was done.\n");
    return 1;
  }
  if (options.action === "plan") {
    print("\nNothing was done. With --seek, it is.\n");
    return 0;
  }
  await beginAnew(pool);
  // The dead letters first, so that what fails on the way is repeated as a whole.
  for (const name of names) await subscriptions.seek(name, seekMs);
  print(`\nDone. Start the subscriber on this database. Once the backlog is empty:
  npm run ops -- audit --since ${formatTime(seekMs)}
  npm run ops -- restore ${time} --report --until ${formatTime(Date.now())}
Where the audit finds writes missing, another subscriber has acknowledged them: end it, and run this
command again with --again.\n`);
  return 0;
}

/** Lists the items of which more than one write was settled since the restored time. */
async function report({ print }: Terminal, pool: Pool, options: Options): Promise<number> {
  const { timeMs, untilMs } = options;
  const { items, isCut } = await findCompetingItems(pool, collections, {
    acceptedFromMs: timeMs - UNSETTLED_DAYS * DAY_MS - CLOCK_SKEW_MS,
    acceptedUntilMs: untilMs,
    settledAfterMs: timeMs,
  });
  const time = formatTime(timeMs);
  if (items.length === 0) {
    print(`No item has more than one write that was settled since ${time}.\n`);
    return 0;
  }
  print(`Items of which more than one write was settled since ${time}. Their writers may have been
told other outcomes than these:\n\n`);
  for (const { collection, itemId, outcomes } of items) {
    const counts = Object.entries(outcomes).map(([outcome, count]) => `${count} ${outcome}`);
    print(`/api/${collection}/${itemId}  ${counts.sort().join(", ")}\n`);
  }
  print(`\n${items.length} items${isCut ? ", and more that are not listed" : ""}\n`);
  return 0;
}
