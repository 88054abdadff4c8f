import { type Application, fail } from "./stand-in-application.ts";

/** The log lines that the filter matches, as many as `limit`; fails if the filter has another form. */
export function readLog(application: Application, filter: string, limit: number): unknown[] {
  if (filter.startsWith('resource.type="cloud_run_worker_pool"'))
    return readPoolLog(application, filter).slice(0, limit);
  const [, module = ""] = /module_id="(\w+)"/.exec(filter) ?? fail(`no service in ${filter}`);
  const [, version = ""] = /version_id="([\w-]+)"/.exec(filter) ?? fail("no version");
  const [, since = ""] = /timestamp>="([^"]+)"/.exec(filter) ?? fail("no time");
  if (!filter.includes('resource.type="gae_app"')) fail("another resource");
  const lines = listLines(application, { module, version, since: Date.parse(since), filter });
  return lines.slice(0, limit);
}

/** The worker pool settles what every version of the API has accepted; App Engine's subscriber nothing. */
function readPoolLog({ plan, requests }: Application, filter: string): unknown[] {
  if (!plan.pool) fail("no worker pool");
  if (!filter.includes('worker_pool_name="constancia-subscriber"')) fail("another pool");
  const [, since = ""] = /timestamp>="([^"]+)"/.exec(filter) ?? fail("no time");
  if (filter.includes('jsonPayload.message="message is dead"'))
    return repeat(plan.pool?.dead ?? 0, { severity: "WARNING" });
  if (!filter.includes('jsonPayload.message="writes settled"')) fail(`another line: ${filter}`);
  const own = requests.filter(({ time, isWrite }) => isWrite && time >= Date.parse(since));
  return own.map(() => settled(80));
}

type Query = { module: string; version: string; since: number; filter: string };

function listLines(application: Application, query: Query): unknown[] {
  const { module, version, since, filter } = query;
  const { good, requests, plan } = application;
  const isGood = good.includes(version);
  const pushed = Math.round(100 * findShare(application, "subscriber", version));
  const figures = chooseFigures(application, version);
  const own = figures.isBlind ? [] : requests.filter(({ time }) => time >= since);
  const settles = filter.includes('jsonPayload.message="writes settled"');
  if (settles && plan.pool) return [];
  if (settles) {
    const driven = own.filter(({ isWrite }, index) => isWrite && index % 100 < pushed);
    return [
      ...repeat(figures.settled ?? 50, settled(80)),
      ...repeat(figures.late ?? 0, settled(60_000)),
      ...driven.map(() => settled(80)),
    ];
  }
  if (filter.includes('jsonPayload.message="message is dead"'))
    return repeat(figures.dead ?? 0, { severity: "WARNING" });
  if (!filter.includes('appengine.googleapis.com%2Frequest_log"')) fail(`another log: ${filter}`);
  const served = figures.requests ?? 150;
  const starting = isGood ? 0 : Math.min(5, served);
  return [
    ...repeat(figures.errors ?? 0, request(500, 0.05)),
    ...repeat(figures.slow ?? 0, request(200, 5)),
    // The platform's own requests, and those that start an instance, must not count.
    ...repeat(50, request(503, 9, { resource: "/_ah/warmup" })),
    ...repeat(starting, request(200, 9, { wasLoadingRequest: true })),
    ...repeat(served - starting, request(200, 0.05)),
    ...(module === "default" ? own.map(({ status }) => request(status, 0.02)) : []),
  ];
}

/** What the plan says for the step at which the version is. */
function chooseFigures(application: Application, version: string) {
  const { plan, good } = application;
  const service = findShare(application, "default", version) > 0 ? "default" : "subscriber";
  const percent = Math.round(100 * findShare(application, service, version));
  const override = plan.figures?.find(
    (one) => one.service === service && one.percent === percent && !good.includes(version),
  );
  return { ...plan.always, ...override };
}

function findShare({ state }: Application, service: string, version: string): number {
  return state.services[service]?.versions.find(({ id }) => id === version)?.share ?? 0;
}

function repeat<T>(length: number, line: T): T[] {
  return Array.from({ length }, () => line);
}

function request(status: number, seconds: number, more = {}) {
  return { protoPayload: { resource: "/api/data", status, latency: `${seconds}s`, ...more } };
}

function settled(lagMs: number) {
  return { jsonPayload: { message: "writes settled", metadata: { writes: [{ lagMs }] } } };
}
