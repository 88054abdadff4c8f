import type { Gcloud } from "./gcloud.ts";
import { type Figures, percentile99 } from "./judge.ts";
import { BASELINE, EVIDENCE, SLO } from "./slo.ts";
import type { ServiceName } from "./versions.ts";

const HOUR_MS = 3_600_000;

/** The version whose log lines to read, and since when. */
type Source = { service: ServiceName; id: string; project: string; since: Date };

/** An entry of App Engine's request log. */
type RequestLine = {
  protoPayload?: {
    resource?: string;
    status?: number;
    latency?: string;
    wasLoadingRequest?: boolean;
  };
};
/** The log line `writes settled` of subscriber/settle.ts. */
type SettledLine = { jsonPayload?: { metadata?: { writes?: { lagMs?: number }[] } } };

/**
 * Reads the figures of a version from Cloud Logging: the requests of one service, and the writes
 * that the version's subscriber settled or found dead. If there are many lines, only the newest are
 * read.
 */
export async function readFigures(gcloud: Gcloud, source: Source): Promise<Figures> {
  const subscriber: Source = { ...source, service: "subscriber" };
  const [requests, settled, dead] = await Promise.all([
    readRequests(gcloud, source),
    readLines(gcloud, subscriber, says("writes settled"), EVIDENCE.settledLines),
    readLines(gcloud, subscriber, says("message is dead"), EVIDENCE.deadLines),
  ]);
  const writes = (settled as SettledLine[]).flatMap((line) => {
    return line.jsonPayload?.metadata?.writes ?? [];
  });
  return {
    ...requests,
    lagsMs: writes.flatMap(({ lagMs }) => (typeof lagMs === "number" ? [lagMs] : [])),
    dead: dead.length,
  };
}

/** The limit of a new version's answer latency; see {@link BASELINE}. */
export async function readAnswerLimit(
  gcloud: Gcloud,
  running: { id: string | undefined; project: string },
): Promise<number> {
  const { id, project } = running;
  if (id === undefined) return SLO.answerP99Ms;
  const since = new Date(Date.now() - BASELINE.hours * HOUR_MS);
  const { answersMs } = await readRequests(gcloud, { service: "default", id, project, since });
  if (answersMs.length < EVIDENCE.requests) return SLO.answerP99Ms;
  return Math.max(SLO.answerP99Ms, Math.round(BASELINE.factor * (percentile99(answersMs) ?? 0)));
}

async function readRequests(gcloud: Gcloud, source: Source) {
  const log = `projects/${source.project}/logs/appengine.googleapis.com%2Frequest_log`;
  const lines = await readLines(gcloud, source, `logName="${log}"`, EVIDENCE.requestLines);
  const asked = (lines as RequestLine[]).flatMap(({ protoPayload }) =>
    // Requests of App Engine and health checks are not requests of clients.
    protoPayload && !/^\/(_ah|health)\//.test(protoPayload.resource ?? "") ? [protoPayload] : [],
  );
  return {
    requests: asked.length,
    errors: asked.filter(({ status = 0 }) => status >= 500).length,
    // App Engine starts a few instances at every step, whatever the version.
    answersMs: asked
      .filter(({ wasLoadingRequest }) => !wasLoadingRequest)
      .map(({ latency = "0s" }) => 1_000 * Number.parseFloat(latency)),
  };
}

async function readLines(
  gcloud: Gcloud,
  { service, id, since }: Source,
  what: string,
  limit: number,
): Promise<unknown[]> {
  const filter = [
    'resource.type="gae_app"',
    `resource.labels.module_id="${service}"`,
    `resource.labels.version_id="${id}"`,
    `timestamp>="${since.toISOString()}"`,
    what,
  ].join(" AND ");
  return (await gcloud.read(["logging", "read", filter, `--limit=${limit}`])) as unknown[];
}

function says(message: string): string {
  return `jsonPayload.message="${message}"`;
}
