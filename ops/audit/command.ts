import { createReadStream } from "node:fs";
import { access, constants, stat } from "node:fs/promises";
import { parseArgs } from "node:util";
import { collections } from "../../collections/collections.ts";
import { loadVariables } from "../../common/config.ts";
import { openPool } from "../../common/database.ts";
import { UsageError } from "../command-line.ts";
import { allowEarlyReaders, explainDatabaseError, print, printError } from "../terminal.ts";
import { auditWrites, newTally, type Tally } from "./auditor.ts";
import { readCloudLogs } from "./cloud-logs.ts";
import { readTold, type Seen } from "./input.ts";
import { MissingWrites, printJson, printReport } from "./report.ts";

const HELP = `Conservation: reads the accepted write ids and names every one without a receipt.

  npm run ops -- audit --since 1h [--until 5m]   those in Google Cloud's logs, read with gcloud
  npm run ops -- audit --file FILE               those in a file; - is standard input

  --since, --until T   a time ago (90s, 15m, 1h, 7d) or a time (2026-11-21T15:00:00Z)
  --grace D            younger than this a write may be in flight (default: 60s)
  --json               one JSON document: { counts, missing }

A file holds log lines of the API (LOG_FORMAT=json), entries as gcloud prints them (a JSON array,
or one a line), or write ids, one a line; all other lines are passed over. MySQL is asked by key,
except for bare ids that have no receipt in \`writes\` or \`dead_letters\`: for these every row of
every collection is read once, in small steps.

A write without a receipt is "in flight" while it is younger than --grace, "beyond retention" once
it is older than RECEIPT_RETENTION_DAYS, and else missing.
Exit status: 0 all settled, 1 some missing, 2 wrong usage, 3 not all could be asked: MySQL or
gcloud is away, or what is read is broken.
`;

const STATUS = { allSettled: 0, someMissing: 1, wrongUsage: 2, notAsked: 3 };
const UNIT_MS = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };
const PROGRESS_MS = 2_000;

type Options = ReturnType<typeof readOptions>;

if (import.meta.main) {
  allowEarlyReaders();
  process.exitCode = await main(process.argv.slice(2)).catch((error: Error) => {
    const isMisuse = error instanceof UsageError;
    printError(`${error.message}\n${isMisuse ? `\n${HELP}` : ""}`);
    return isMisuse ? STATUS.wrongUsage : STATUS.notAsked;
  });
}

async function main(args: string[]): Promise<number> {
  const options = readOptions(args);
  if (options.help) return print(HELP);
  if (options.file !== undefined) await assertReadable(options.file);
  const config = await loadVariables([
    "MYSQL_URL",
    "MYSQL_PASSWORD",
    "RECEIPT_RETENTION_DAYS",
    ...(options.file === undefined ? (["GOOGLE_CLOUD_PROJECT"] as const) : []),
  ]);
  const seen: Seen = { acceptedLines: 0, bareIds: 0, others: 0, unreadable: 0 };
  const tally = newTally();
  const missing = new MissingWrites();
  const pool = openPool({ mysqlUrl: config.MYSQL_URL, poolSize: 1 });
  const progress = setInterval(() => printError(describe(seen, tally, missing)), PROGRESS_MS);
  try {
    await auditWrites({
      ...{ pool, collections, tally, missing, graceMs: options.graceMs },
      source: openSource(options, config.GOOGLE_CLOUD_PROJECT, seen),
      retentionMs: config.RECEIPT_RETENTION_DAYS * UNIT_MS.d,
      onScan: (ids) =>
        printError(`${ids} bare ids have no receipt yet: reading every row to find them.\n`),
    });
    clearInterval(progress);
    await (options.json ? printJson : printReport)({ seen, tally, missing });
  } catch (error) {
    throw explainDatabaseError(error, config.MYSQL_URL);
  } finally {
    clearInterval(progress);
    await Promise.all([pool.end(), missing.close()]);
  }
  if (seen.unreadable > 0)
    printError("Some of what was read is broken, so that accepted writes may be unknown here.\n");
  if (missing.count > 0) return STATUS.someMissing;
  return seen.unreadable > 0 ? STATUS.notAsked : STATUS.allSettled;
}

function readOptions(args: string[]) {
  const { help, file, json, ...times } = parseOptions(args);
  const nowMs = Date.now();
  const sinceMs = readTime("since", times.since ?? "0s", nowMs);
  const untilMs = readTime("until", times.until ?? "0s", nowMs);
  const graceMs = readDuration(times.grace ?? "60s");
  if (graceMs === undefined) throw new UsageError("--grace must be a duration, such as 60s or 5m.");
  const options = { help, file, json, sinceMs, untilMs, graceMs };
  if (help) return options;
  if ((file === undefined) === (times.since === undefined))
    throw new UsageError("Say what to read: --since or --file, one of the two.");
  if (file !== undefined && times.until !== undefined)
    throw new UsageError("--until belongs to --since.");
  if (file === undefined && sinceMs >= untilMs)
    throw new UsageError("--since must be before --until, and before now.");
  return options;
}

function parseOptions(args: string[]) {
  const [yesOrNo, text] = [{ type: "boolean" }, { type: "string" }] as const;
  const times = { since: text, until: text, grace: text };
  const options = {
    help: { ...yesOrNo, short: "h" },
    json: yesOrNo,
    file: text,
    ...times,
  } as const;
  try {
    return parseArgs({ args, options }).values;
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}

/** Milliseconds since 1970 of a time, or of a time ago. */
function readTime(name: string, text: string, nowMs: number): number {
  const agoMs = readDuration(text);
  const isTime = /^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d:\d\d)$/.test(text);
  const timeMs = agoMs === undefined && isTime ? Date.parse(text) : nowMs - (agoMs ?? Number.NaN);
  if (Number.isFinite(timeMs) && timeMs >= 0) return timeMs;
  throw new UsageError(
    `--${name} must be a time ago, such as 90s or 1h, or as 2026-11-21T15:00:00Z.`,
  );
}

function readDuration(text: string): number | undefined {
  const [, count, unit] = /^(\d{1,9})([smhd])$/.exec(text) ?? [];
  return unit === undefined ? undefined : Number(count) * UNIT_MS[unit as keyof typeof UNIT_MS];
}

async function assertReadable(file: string): Promise<void> {
  if (file === "-") return;
  await access(file, constants.R_OK).catch((error: NodeJS.ErrnoException) => {
    throw new UsageError(`The file ${file} cannot be read (${error.code}).`);
  });
  if ((await stat(file)).isDirectory()) throw new UsageError(`${file} is a folder, not a file.`);
}

function openSource({ file, sinceMs, untilMs }: Options, project: string, seen: Seen) {
  if (file === undefined) return readCloudLogs({ project, sinceMs, untilMs }, seen);
  const stream = file === "-" ? process.stdin : createReadStream(file);
  return readTold(stream.setEncoding("utf8"), seen);
}

function describe(seen: Seen, tally: Tally, missing: MissingWrites): string {
  const lines = seen.acceptedLines + seen.bareIds;
  return `read ${lines} accepted lines, ${tally.writes} writes; ${missing.count} missing so far\n`;
}
