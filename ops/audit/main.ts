import { createReadStream } from "node:fs";
import { access, constants, stat } from "node:fs/promises";
import type { Readable } from "node:stream";
import { collections } from "../../collections/collections.ts";
import { type Config, loadVariables } from "../../common/config.ts";
import { closePool, openPool } from "../../common/database.ts";
import { parseOptions, UsageError } from "../command-line.ts";
import { explainDatabaseError } from "../database-error.ts";
import { type Program, runMain, type Terminal } from "../terminal.ts";
import { type ReadCounts, readAcceptedWrites } from "./accepted-writes.ts";
import { auditWrites, createFindings, type Findings } from "./auditor.ts";
import { readCloudLogs } from "./cloud-logs.ts";
import { formatJson, formatText } from "./report.ts";

const HELP = `Reads the ids of accepted writes, and names every write without a receipt.

Usage:
  npm run ops -- audit --since 1h [--until 5m]   reads Google Cloud's logs, with gcloud
  npm run ops -- audit --file FILE               reads a file; - is standard input

Options:
  --since, --until TIME   a time ago (90s, 15m, 1h, 7d) or a time (2026-11-21T15:00:00Z)
  --grace DURATION        a younger write without a receipt is in flight (default: 60s)
  --json                  print one JSON document: { counts, missing }
  -h, --help              print this help

A file holds log lines of the API (LOG_FORMAT=json), log entries as gcloud prints them (a JSON
array, or one a line), or write ids, one a line. All other lines are skipped, except that a line about
accepted writes that cannot be read, as LOG_FORMAT=pretty prints it, is unreadable. MySQL is asked by
key, except for bare ids that have no receipt in \`writes\` or \`dead_letters\`: to find these, every
row of every collection is read once, in small steps.

A write without a receipt is "in flight" while it is younger than --grace, "beyond retention" once
it is older than RECEIPT_RETENTION_DAYS, and otherwise missing.

Exit status: 0 all settled, 1 some missing, 2 wrong usage, 3 incomplete: MySQL or gcloud could not
be asked, or some of the input is broken.
`;

const STATUS = { allSettled: 0, someMissing: 1, incomplete: 3 };
const UNIT_MS = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };
const PROGRESS_MS = 2_000;

/** `npm run ops -- audit`. */
export const AUDIT: Program = { main, help: HELP, failureStatus: STATUS.incomplete };

if (import.meta.main) await runMain(AUDIT);

async function main(args: string[], { stdin, print, printError }: Terminal): Promise<number> {
  const options = readOptions(args);
  if (options.file !== undefined) await assertReadable(options.file);
  const config = await loadVariables([
    "MYSQL_URL",
    "MYSQL_PASSWORD",
    "RECEIPT_RETENTION_DAYS",
    "PUBSUB_EMULATOR_HOST",
    ...(options.file === undefined ? (["GOOGLE_CLOUD_PROJECT"] as const) : []),
  ]);
  const read: ReadCounts = { acceptedLines: 0, bareIds: 0, others: 0, unreadable: 0 };
  const findings = createFindings();
  const pool = openPool({ mysqlUrl: config.MYSQL_URL, poolSize: 1 });
  const progress = setInterval(() => printError(describeProgress(read, findings)), PROGRESS_MS);
  try {
    await auditWrites({
      pool,
      collections,
      source: openSource(options, { stdin, config }, read),
      graceMs: options.graceMs,
      retentionMs: config.RECEIPT_RETENTION_DAYS * UNIT_MS.d,
      findings,
      onScan: (ids) =>
        printError(`${ids} bare ids have no receipt yet: reading every row to find them.\n`),
    });
  } catch (error) {
    throw explainDatabaseError(error, config.MYSQL_URL);
  } finally {
    clearInterval(progress);
    await closePool(pool);
  }
  print((options.json ? formatJson : formatText)(read, findings));
  if (read.unreadable > 0)
    printError(
      "Some of the input is broken, so that accepted writes may be unknown here. A log must be one of" +
        " LOG_FORMAT=json.\n",
    );
  if (findings.missing > 0) return STATUS.someMissing;
  return read.unreadable > 0 ? STATUS.incomplete : STATUS.allSettled;
}

type Options = ReturnType<typeof readOptions>;

function readOptions(args: string[]) {
  const { values } = parseOptions({
    args,
    options: {
      file: { type: "string" },
      since: { type: "string" },
      until: { type: "string" },
      grace: { type: "string", default: "60s" },
      json: { type: "boolean", default: false },
    },
  });
  const { file, json, since, until, grace } = values;
  const nowMs = Date.now();
  const sinceMs = readTime("since", since ?? "0s", nowMs);
  const untilMs = readTime("until", until ?? "0s", nowMs);
  const graceMs = readDuration(grace);
  if (graceMs === undefined) throw new UsageError("--grace must be a duration, such as 60s or 5m.");
  if ((file === undefined) === (since === undefined))
    throw new UsageError("Give either --since or --file.");
  if (file !== undefined && until !== undefined)
    throw new UsageError("--until is only for --since.");
  if (file === undefined && sinceMs >= untilMs)
    throw new UsageError("--since must be before --until, and before now.");
  return { file, json, sinceMs, untilMs, graceMs };
}

/** Milliseconds since 1970 of a time, or of a time ago. */
function readTime(name: string, text: string, nowMs: number): number {
  const agoMs = readDuration(text);
  const isTime = /^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d:\d\d)$/.test(text);
  const timeMs = agoMs === undefined && isTime ? Date.parse(text) : nowMs - (agoMs ?? Number.NaN);
  if (Number.isFinite(timeMs) && timeMs >= 0) return timeMs;
  throw new UsageError(
    `--${name} must be a time ago, such as 90s or 1h, or a time, such as 2026-11-21T15:00:00Z.`,
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

type CloudConfig = Pick<Config, "GOOGLE_CLOUD_PROJECT" | "PUBSUB_EMULATOR_HOST">;

function openSource(
  { file, sinceMs, untilMs }: Options,
  { stdin, config }: { stdin: Readable; config: CloudConfig },
  counts: ReadCounts,
) {
  const { GOOGLE_CLOUD_PROJECT: project, PUBSUB_EMULATOR_HOST } = config;
  const isLocal = PUBSUB_EMULATOR_HOST !== "";
  if (file === undefined) return readCloudLogs({ project, isLocal, sinceMs, untilMs }, counts);
  return readAcceptedWrites(file === "-" ? stdin : createReadStream(file), counts);
}

function describeProgress({ acceptedLines, bareIds }: ReadCounts, findings: Findings): string {
  const lines = acceptedLines + bareIds;
  return `read ${lines} accepted lines, ${findings.writes} writes; ${findings.missing} missing so far\n`;
}
