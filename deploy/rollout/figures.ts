import type { Gcloud } from "./gcloud.ts";
import { type Figures, percentile99 } from "./judge.ts";
import { BASELINE, EVIDENCE, SLO } from "./slo.ts";
import type { ServiceName } from "./versions.ts";

const HOUR_MS = 3_600_000;

/** Whose lines are read, and since when. */
type Source = { service: ServiceName; id: string; project: string; since: Date };

/** A line of App Engine's request log, in Cloud Logging's JSON; only what is read here. */
type RequestLine = {
  protoPayload?: {
    resource?: string;
    status?: number;
    latency?: string;
    wasLoadingRequest?: boolean;
  };
};
/** Our own line `writes settled` (subscriber/settle.ts). */
type SettledLine = { jsonPayload?: { metadata?: { writes?: { lagMs?: number }[] } } };

/**
 * What Cloud Logging tells of a version since a moment: the requests of one service, and what the
 * subscriber of that version settled and gave up. Only the newest lines are read where there are
 * many; then the figures are a sample of the end.
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

/** The answer latency that a new version is held to: see {@link BASELINE}. */
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
    // The platform's own, and whoever watches: they tell nothing of what clients are answered.
    protoPayload && !/^\/(_ah|health)\//.test(protoPayload.resource ?? "") ? [protoPayload] : [],
  );
  return {
    requests: asked.length,
    errors: asked.filter(({ status = 0 }) => status >= 500).length,
    // Whether an instance had to be started is the platform's choice, at every step a few times.
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
