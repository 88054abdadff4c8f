import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { parseJson } from "../../common/json.ts";
import { ACCEPTED, type AcceptedWrite, parseEntry, type ReadCounts } from "./accepted-writes.ts";

/** Entries in one call of gcloud: as many as Cloud Logging's API gives in one response. */
const PAGE_ENTRIES = 1_000;
/** An entry is at most 256 KB, and gcloud's indentation adds to it. */
const MAX_PAGE_BYTES = 512 * 1024 * 1024;
/** gcloud retries by itself for a minute. */
const GCLOUD_TIMEOUT_MS = 120_000;
/** The end of gcloud's standard error says what went wrong. */
const REASON_CHARACTERS = 500;
/** The fields that are read: the rest of an entry is larger than a write in it. */
const FORMAT = "json(insertId,timestamp,jsonPayload.message,jsonPayload.metadata.writes)";

type Entry = { timestamp: string; insertId: string };

/**
 * The accepted writes in Cloud Logging between two times, oldest first, read with the `gcloud` on
 * the PATH. Each page begins at the last timestamp of the page before, and leaves out what that
 * page had of this instant. Where `isLocal`, an error says that a local start's log is in a file.
 */
export async function* readCloudLogs(
  {
    project,
    isLocal,
    sinceMs,
    untilMs,
  }: { project: string; isLocal: boolean; sinceMs: number; untilMs: number },
  counts: ReadCounts,
): AsyncGenerator<AcceptedWrite[]> {
  let from = new Date(sinceMs).toISOString();
  let readAtFrom = new Set<string>();
  for (let limit = PAGE_ENTRIES; ; ) {
    const filter = [
      `jsonPayload.message="${ACCEPTED}"`,
      `timestamp>="${from}"`,
      `timestamp<"${new Date(untilMs).toISOString()}"`,
    ].join(" AND ");
    const page = await readPage({ filter, limit, project, isLocal });
    const isNew = ({ timestamp, insertId }: Entry) =>
      timestamp !== from || !readAtFrom.has(insertId);
    yield page.filter(isNew).flatMap((entry) => parseEntry(entry, counts));
    if (page.length < limit) return;
    const last = (page.at(-1) as Entry).timestamp;
    // All entries of the page are of one instant: a larger page gets past it.
    if (last === from) limit *= 2;
    from = last;
    readAtFrom = new Set(
      page.filter(({ timestamp }) => timestamp === last).map(({ insertId }) => insertId),
    );
  }
}

async function readPage(options: {
  filter: string;
  limit: number;
  project: string;
  isLocal: boolean;
}): Promise<Entry[]> {
  const { filter, limit, project, isLocal } = options;
  const args = [
    "logging",
    "read",
    filter,
    `--project=${project}`,
    `--limit=${limit}`,
    "--order=asc",
    `--format=${FORMAT}`,
    "--quiet",
  ];
  const { stdout } = await promisify(execFile)("gcloud", args, {
    maxBuffer: MAX_PAGE_BYTES,
    timeout: GCLOUD_TIMEOUT_MS,
  }).catch((error) => {
    throw explainGcloudError(error, isLocal);
  });
  try {
    return parseJson(stdout) as Entry[];
  } catch {
    throw new Error("gcloud logging read printed something that is not JSON.");
  }
}

type GcloudError = Error & { code?: string | number; killed?: boolean; stderr?: string };

/** The log of a local start is not in Google Cloud. */
const LOCAL_HINT =
  " For the log of a local start, use --file (LOG_FORMAT=json npm start | tee -i start.log).";

function explainGcloudError(
  { code, killed, stderr = "", message }: GcloudError,
  isLocal: boolean,
): Error {
  const hint = isLocal ? LOCAL_HINT : "";
  if (code === "ENOENT")
    return new Error(
      `gcloud is not on the PATH: install the Google Cloud CLI, then log in.${hint}`,
    );
  if (code === "ERR_CHILD_PROCESS_STDIO_MAXBUFFER")
    return new Error(`gcloud logging read printed more than ${MAX_PAGE_BYTES} bytes.`);
  if (killed)
    return new Error(`gcloud logging read took longer than ${GCLOUD_TIMEOUT_MS / 1_000} s.`);
  const reason = stderr.slice(-REASON_CHARACTERS).trim().replaceAll("\n", " ") || message;
  return new Error(`gcloud logging read failed (status ${code}): ${reason}${hint}`);
}
