import { spawn } from "node:child_process";
import { ACCEPTED, type Seen, Splitter, type Told, tellEntry } from "./input.ts";

/**
 * Entries in one call: gcloud takes two seconds for each call, and Cloud Logging's API gives 1,000
 * entries a request and 60 requests a minute. An hour of 1,000,000 writes is 2,000 full entries.
 */
const PAGE_ENTRIES = 5_000;
/** gcloud itself retries for a minute; what is silent for longer hangs. */
const SILENCE_MS = 120_000;
/** Of what gcloud complains, the end tells. */
const COMPLAINT_CHARACTERS = 500;
/** Only what is read: the rest of an entry weighs more than one write. */
const FORMAT = "json(insertId,timestamp,jsonPayload.message,jsonPayload.metadata.writes)";

/**
 * The accepted writes in Cloud Logging between two times, oldest first, through the `gcloud` of the
 * PATH. Paged by time: each page begins at the last page's last timestamp, less what was read.
 */
export async function* readCloudLogs(
  { project, sinceMs, untilMs }: { project: string; sinceMs: number; untilMs: number },
  seen: Seen,
): AsyncGenerator<Told[]> {
  let from = new Date(sinceMs).toISOString();
  let readAtFrom = new Set<string>();
  for (let limit = PAGE_ENTRIES; ; ) {
    const filter = [
      `jsonPayload.message="${ACCEPTED}"`,
      `timestamp>="${from}"`,
      `timestamp<"${new Date(untilMs).toISOString()}"`,
    ].join(" AND ");
    let entries = 0;
    let last = from;
    let readAtLast = readAtFrom;
    for await (const page of runGcloud(filter, limit, project)) {
      entries += page.length;
      const fresh = page.filter(({ timestamp, insertId }) => {
        if (timestamp !== last) [last, readAtLast] = [timestamp, new Set()];
        const isFresh = !readAtLast.has(insertId);
        readAtLast.add(insertId);
        return isFresh;
      });
      yield fresh.flatMap((entry) => tellEntry(entry, seen));
    }
    if (entries < limit) return;
    // More entries in one instant than a page holds: a larger one gets past it.
    if (last === from) limit *= 2;
    [from, readAtFrom] = [last, readAtLast];
  }
}

type Entry = { timestamp: string; insertId: string };

/** Streams what gcloud prints, however much. */
async function* runGcloud(filter: string, limit: number, project: string) {
  const args = ["logging", "read", filter, `--project=${project}`, `--limit=${limit}`];
  const child = spawn("gcloud", [...args, "--order=asc", `--format=${FORMAT}`, "--quiet"], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once("error", reject).once("close", resolve);
  });
  // Looked at below; until then it is no unhandled one.
  ended.catch(() => {});
  let complaint = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    complaint = (complaint + text).slice(-COMPLAINT_CHARACTERS);
  });
  let isSilent = false;
  const silence = setTimeout(() => {
    isSilent = true;
    child.kill();
  }, SILENCE_MS);
  const splitter = new Splitter();
  try {
    for await (const chunk of child.stdout.setEncoding("utf8")) {
      silence.refresh();
      yield splitter.push(chunk).map(parseEntry);
    }
    const status = await ended;
    if (isSilent) throw new Error(`gcloud was silent for ${SILENCE_MS / 1_000} s.`);
    if (status !== 0) {
      const reason = complaint.trim().replaceAll("\n", " ") || "no reason.";
      throw new Error(`gcloud logging read failed (status ${status}): ${reason}`);
    }
    if (!splitter.isWholeArray) throw notJson();
  } catch (error) {
    await ended.catch((cause: NodeJS.ErrnoException) => {
      if (cause.code !== "ENOENT") throw cause;
      throw new Error("gcloud is not on the PATH: install the Google Cloud CLI, then log in.");
    });
    throw error;
  } finally {
    clearTimeout(silence);
    child.kill();
  }
}

function parseEntry(text: string): Entry {
  try {
    return JSON.parse(text);
  } catch {
    throw notJson();
  }
}

function notJson(): Error {
  return new Error("gcloud logging read answered something that is not JSON.");
}
