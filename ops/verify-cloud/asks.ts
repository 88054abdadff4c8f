import { WORKER_POOL } from "../../iac/names.ts";
import { listAlertRules } from "../../iac/observability/alert-rules.ts";
import { KNOWN_METRICS } from "../../iac/observability/known-metrics.ts";
import { type Ask, type Cloud, differs, type Finding, held, unknown } from "./cloud.ts";

type Listed = { id: string; service: string; traffic_split?: number };
type Entry = {
  severity?: string;
  timestamp?: string;
  trace?: string;
  labels?: Record<string, string>;
  jsonPayload?: { message?: string; metadata?: { writes?: Record<string, unknown>[] } };
  protoPayload?: { resource?: unknown; status?: unknown; latency?: unknown };
};

/** Which versions of both services have traffic, and that the API is ready. */
export const askVersions: Ask = async (cloud) => {
  const listed = await cloud.read<Listed[]>("app", "versions", "list");
  const live = listed.filter(({ traffic_split }) => (traffic_split ?? 0) > 0);
  const names = live.map(({ service, id }) => `${service} ${id}`).join(", ");
  const ready = await cloud.api("GET", "/health/ready");
  const evidence = `${names}; /health/ready ${ready.status}`;
  const isWhole = ["default", "subscriber"].every((name) => live.some((v) => v.service === name));
  return isWhole && ready.status === 200 ? held(evidence) : differs(evidence);
};

/** Publish, delivery, the push's token, MySQL and the receipt, by one write. */
export const askWrite: Ask = async (cloud) => {
  const { status, answerMs, receipt } = await cloud.sendWrite();
  const evidence = `POST with Prefer: wait ${status} after ${answerMs} ms; receipt ${receipt.outcome ?? receipt.status}, lag ${receipt.lagMs ?? "-"} ms`;
  return status === 201 && receipt.outcome === "applied" ? held(evidence) : differs(evidence);
};

/** The README's two filters, and the fields that it names. */
export const askLogFields: Ask = async (cloud) => {
  const { write, requestId } = await cloud.sendWrite();
  const { lines, seconds } = await awaitLines(cloud);
  const missing = ["writes accepted", "writes settled"].filter(
    (message) => !lines.some(({ jsonPayload }) => jsonPayload?.message === message),
  );
  if (missing.length > 0) return differs(`no line ${missing.join(" and ")} of ${write}`);
  const filter = `jsonPayload.metadata.writes.request="${requestId}" OR jsonPayload.metadata.requestId="${requestId}"`;
  const own = await cloud.readLog<Entry>(filter);
  if (own.length === 0) return differs(`no line of the request ${requestId}`);
  const bare = lines.filter(
    ({ severity, labels, trace }) => !severity || !labels?.service || !trace,
  );
  if (bare.length > 0)
    return differs(`${bare.length} lines lack severity, labels.service or trace`);
  return held(
    `${lines.length} lines of the write, ${own.length} of the request, after ${seconds} s`,
  );
};

/** The rollout waits for lines for as many reads after a hold. */
export const askLogDelay: Ask = async (cloud) => {
  const { lines, seconds } = await awaitLines(cloud);
  return lines.length >= 2
    ? held(`both lines after ${seconds} s`)
    : differs(`${lines.length} of 2 lines after ${seconds} s`);
};

async function awaitLines(cloud: Cloud): Promise<{ lines: Entry[]; seconds: number }> {
  const { write, sentAt } = await cloud.sendWrite();
  const lines = await cloud.readUntil(
    () => cloud.readLog<Entry>(`jsonPayload.metadata.writes.id="${write}"`),
    (found) => new Set(found.map(({ jsonPayload }) => jsonPayload?.message)).size >= 2,
  );
  return { lines, seconds: Math.round((Date.now() - sentAt) / 1_000) };
}

/** The fields of the request log by which a version is judged. */
export const askRequestLog: Ask = async (cloud) => {
  await cloud.sendWrite();
  const log = `projects/${cloud.project}/logs/appengine.googleapis.com%2Frequest_log`;
  const entries = await cloud.readLog<Entry>(
    `logName="${log}" AND resource.labels.module_id="default"`,
  );
  if (entries.length === 0) return differs("the request log has no entry of the last day");
  const wrong = entries.find(({ protoPayload: { resource, status, latency } = {} }) => {
    const isRight = typeof resource === "string" && typeof status === "number";
    return !(isRight && /^\d+(\.\d+)?s$/.test(String(latency)));
  });
  if (!wrong) return held(`${entries.length} entries have resource, status and latency`);
  return differs(`an entry has ${Object.keys(wrong.protoPayload ?? {}).join(", ")}`);
};

/** The mark of a finished rollout. */
export const askSplit: Ask = async (cloud) => {
  type Service = { split?: { shardBy?: string; allocations?: Record<string, number> } };
  const { split } = await cloud.read<Service>("app", "services", "describe", "default");
  const versions = Object.keys(split?.allocations ?? {}).length;
  if (versions !== 1) return unknown(`${versions} versions have traffic; finish the rollout first`);
  const evidence = `one version, split.shardBy ${split?.shardBy}`;
  return split?.shardBy === "IP" ? held(evidence) : differs(evidence);
};

/** The metrics under the names that the alerts ask for. */
export const askMetrics: Ask = async (cloud) => {
  const queries = JSON.stringify(listAlertRules(cloud.settings));
  const names = Object.keys(KNOWN_METRICS).filter((name) => queries.includes(name));
  const missing: string[] = [];
  for (const name of names) if (!(await cloud.hasMetric(name))) missing.push(name);
  return missing.length === 0
    ? held(`all ${names.length} have data of the last hour`)
    : differs(`of ${names.length}, no data of the last hour: ${missing.join(", ")}`);
};

/** Log lines of the worker pool under the resource that the rollout and the alerts read. */
export const askWorkerPool: Ask = async (cloud) => {
  if (cloud.settings.environment.delivery === "push")
    return unknown('this environment has delivery "push"');
  const lines = await cloud.readLog<Entry>(
    `resource.type="cloud_run_worker_pool" AND resource.labels.worker_pool_name="${WORKER_POOL}" AND jsonPayload.message="writes settled"`,
  );
  return lines.length > 0 ? held(`${lines.length} lines`) : differs("no line writes settled");
};

/** What a person has to try; `how` says it. */
export function askPerson(how: string): Ask {
  return async (): Promise<Finding> => unknown(`not asked: ${how}`);
}
