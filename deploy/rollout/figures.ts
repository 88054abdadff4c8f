import { WORKER_POOL } from "../../iac/names.ts";
import type { Gcloud } from "./gcloud.ts";
import { type Figures, percentile99 } from "./judge.ts";
import type { Delivery } from "./options.ts";
import { BASELINE, EVIDENCE, SLO } from "./slo.ts";
import type { ServiceName } from "./versions.ts";

const HOUR_MS = 3_600_000;

/** The version whose log lines to read, and since when. */
type Source = { service: ServiceName; id: string; project: string; since: Date };
type SettledSource = Source & { delivery: Delivery };

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
 * that the version's subscriber, or the worker pool, settled or found dead. If there are many lines,
 * only the newest are read.
 */
export async function readFigures(gcloud: Gcloud, source: SettledSource): Promise<Figures> {
  const subscriber = describeSubscriber(source);
  const [requests, settled, dead] = await Promise.all([
    readRequests(gcloud, source),
    readLines(gcloud, [...subscriber, says("writes settled")], EVIDENCE.settledLines),
    readLines(gcloud, [...subscriber, says("message is dead")], EVIDENCE.deadLines),
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
  const terms = [...describeVersion(source), `logName="${log}"`];
  const lines = await readLines(gcloud, terms, EVIDENCE.requestLines);
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
  terms: readonly string[],
  limit: number,
): Promise<unknown[]> {
  const filter = terms.join(" AND ");
  return (await gcloud.read(["logging", "read", filter, `--limit=${limit}`])) as unknown[];
}

function describeVersion({ service, id, since }: Source): string[] {
  return [
    'resource.type="gae_app"',
    `resource.labels.module_id="${service}"`,
    `resource.labels.version_id="${id}"`,
    `timestamp>="${since.toISOString()}"`,
  ];
}

/** The subscriber of the version, or the worker pool, which has one version at a time. */
function describeSubscriber({ delivery, ...source }: SettledSource): string[] {
  if (delivery === "push") return describeVersion({ ...source, service: "subscriber" });
  return [
    'resource.type="cloud_run_worker_pool"',
    `resource.labels.worker_pool_name="${WORKER_POOL}"`,
    `timestamp>="${source.since.toISOString()}"`,
  ];
}

function says(message: string): string {
  return `jsonPayload.message="${message}"`;
}
