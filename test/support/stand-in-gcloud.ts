import { appendFileSync, existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { argv, env, exit, ppid, stderr, stdout } from "node:process";
import type { Plan, StandInService, StandInState } from "./stand-in-app-engine.ts";

/**
 * Stands for `gcloud`: an App Engine application in a folder. Every call is recorded under a
 * number; the plan says which of them fail, before or after they took effect, or end the caller.
 * It is as strict as gcloud with flags, names, versions that have traffic and first deployments.
 */
const folder = env.STAND_IN ?? "";
const args = argv.slice(2);
const plan = readJson<Plan>("plan.json");
const call = record();

const FILES: Record<string, string> = { "app.yaml": "default", "subscriber.yaml": "subscriber" };
const FLAGS: Record<string, string[]> = {
  "app versions list": [],
  "app versions describe": ["service"],
  "app versions delete": ["service"],
  "app services describe": [],
  "app services set-traffic": ["splits", "split-by"],
  "app deploy": ["no-promote", "version", "service-account"],
  "logging read": ["limit"],
  "config get-value": [],
};

const CHANGES = ["app versions delete", "app services set-traffic", "app deploy"];

const words = args.filter((arg) => !arg.startsWith("--"));
const flags = Object.fromEntries(
  args
    .filter((arg) => arg.startsWith("--"))
    .map((arg) => {
      const [name = "", ...value] = arg.slice(2).split("=");
      return [name, value.join("=")];
    }),
);
const name = Object.keys(FLAGS).find((one) => words.join(" ").startsWith(one)) ?? "";
const operands = words.slice(name.split(" ").length);

const fault = plan.faults?.find(
  ({ at, from, matching }) =>
    at === call || (from ?? Infinity) <= call || (matching && args.join(" ").includes(matching)),
);
if (fault?.kind === "kill-before") endCaller();
if (fault?.kind === "fail") fail("the plan wants it");
const state = readJson<StandInState>("state.json");
const answer = fault?.kind === "ignore" ? undefined : perform();
// Reads run side by side, and must not write over one another.
if (CHANGES.includes(name)) keepState();
if (fault?.kind === "kill-after") endCaller();
if (fault?.kind === "signal") process.kill(ppid, fault.signal ?? "SIGINT");
if (fault?.kind === "fail-after") fail("it took effect all the same");
if (fault?.kind === "garbage") stdout.write("no JSON at all");
else if (answer !== undefined) stdout.write(JSON.stringify(answer));

function perform(): unknown {
  const known = [...(FLAGS[name] ?? fail(`no such command: ${words.join(" ")}`)), "quiet"];
  if (name !== "config get-value") known.push("project", "format");
  for (const flag of Object.keys(flags)) if (!known.includes(flag)) fail(`no flag --${flag}`);
  if (flags.quiet === undefined) fail("it would ask a question");
  if (known.includes("project") && flags.project !== "constancia-test") fail("another project");
  if (name === "config get-value") return undefined;
  if (name === "app versions list") return listVersions();
  if (name === "app versions describe") return { id: operands[0], versionUrl: state.url };
  if (name === "app versions delete") return deleteVersions();
  if (name === "app services describe") return describeService();
  if (name === "app services set-traffic") return setTraffic();
  if (name === "app deploy") return deploy();
  return readLog();
}

function listVersions() {
  return Object.entries(state.services).flatMap(([service, { versions }]) =>
    versions.map(({ id, share, createTime }) => ({
      ...{ id, service, project: "constancia-test", traffic_split: share },
      version: { createTime, id, servingStatus: "SERVING", versionUrl: state.url },
    })),
  );
}

function describeService() {
  const { versions, shardBy } = getService(operands[0]);
  const live = versions.filter(({ share }) => share > 0).map(({ id, share }) => [id, share]);
  return { id: operands[0], split: { allocations: Object.fromEntries(live), shardBy } };
}

function deleteVersions() {
  const service = getService(flags.service);
  for (const id of operands) {
    const version = service.versions.find((one) => one.id === id);
    if (!version) fail(`no version ${id}`);
    if (version?.share) fail(`Version [${id}] is currently serving traffic`);
  }
  service.versions = service.versions.filter(({ id }) => !operands.includes(id));
}

function setTraffic() {
  const service = getService(operands[0]);
  const splits = (flags.splits ?? "").split(",").map((split) => split.split("="));
  for (const [id] of splits)
    if (!service.versions.some((one) => one.id === id)) fail(`no version ${id}`);
  const total = splits.reduce((sum, [, weight]) => sum + Number(weight), 0);
  for (const version of service.versions) {
    const weight = splits.find(([id]) => id === version.id)?.[1];
    version.share = Math.round((1_000 * Number(weight ?? 0)) / total) / 1_000;
  }
  service.shardBy = (flags["split-by"] ?? "ip").toUpperCase();
}

function deploy() {
  if (flags["no-promote"] === undefined) fail("it would give it all traffic");
  for (const file of operands) {
    const id = FILES[file] ?? fail(`no file ${file}`);
    if (id !== "default" && !state.services.default)
      fail("The first service (module) you upload to a new application must be the 'default'");
    state.services[id] ??= { shardBy: "UNSPECIFIED", versions: [] };
    const { versions } = getService(id);
    state.clock += 60_000;
    const createTime = new Date(state.clock).toISOString();
    // The first version of a service has its traffic, whatever was asked for.
    versions.push({ id: flags.version ?? "", share: versions.length === 0 ? 1 : 0, createTime });
    keepState();
    if (fault?.kind === "kill-between") endCaller();
  }
}

function readLog(): unknown[] {
  const filter = operands[0] ?? "";
  const [, module = ""] = /module_id="(\w+)"/.exec(filter) ?? fail(`no service in ${filter}`);
  const [, version = ""] = /version_id="([\w-]+)"/.exec(filter) ?? fail("no version");
  const [, since = ""] = /timestamp>="([^"]+)"/.exec(filter) ?? fail("no time");
  if (!filter.includes('resource.type="gae_app"')) fail("another resource");
  const lines = readFigures(module, version, Date.parse(since), filter);
  return lines.slice(0, Number(flags.limit));
}

function readFigures(module: string, version: string, sinceMs: number, filter: string): unknown[] {
  const getShare = (service: string) =>
    state.services[service]?.versions.find(({ id }) => id === version)?.share ?? 0;
  const service = getShare("default") > 0 ? "default" : "subscriber";
  const percent = Math.round(100 * getShare(service));
  const override = plan.figures?.find(
    (one) => one.service === service && one.percent === percent && !isGood(version),
  );
  const pushed = Math.round(100 * getShare("subscriber"));
  const figures = { ...plan.always, ...override };
  const own = readLines(figures.isBlind ? "none" : "requests.jsonl").filter(
    ({ time }) => Number(time) >= sinceMs,
  );
  if (filter.includes('jsonPayload.message="writes settled"')) {
    const driven = own.filter(({ isWrite }, index) => isWrite && index % 100 < pushed);
    return [
      ...Array.from({ length: figures.settled ?? 50 }, () => settled(80)),
      ...Array.from({ length: figures.late ?? 0 }, () => settled(60_000)),
      ...driven.map(() => settled(80)),
    ];
  }
  if (filter.includes('jsonPayload.message="message is dead"'))
    return Array.from({ length: figures.dead ?? 0 }, () => ({ severity: "WARNING" }));
  if (!filter.includes('appengine.googleapis.com%2Frequest_log"')) fail(`another log: ${filter}`);
  return [
    ...Array.from({ length: figures.errors ?? 0 }, () => request(500, 0.05)),
    ...Array.from({ length: figures.slow ?? 0 }, () => request(200, 5)),
    // The platform's own fail, and a few requests start an instance: neither is the version's.
    ...Array.from({ length: 50 }, () => request(503, 9, { resource: "/_ah/warmup" })),
    ...Array.from({ length: figures.requests ?? 150 }, (_, index) =>
      index < 5 && !isGood(version)
        ? request(200, 9, { wasLoadingRequest: true })
        : request(200, 0.05),
    ),
    ...(module === "default" ? own.map(({ status }) => request(Number(status), 0.02)) : []),
  ];
}

/** Whether it ran before the test; what the plan tells is about those that are rolled out. */
function isGood(version: string): boolean {
  return plan.good?.includes(version) ?? false;
}

function request(status: number, seconds: number, more = {}) {
  return { protoPayload: { resource: "/api/data", status, latency: `${seconds}s`, ...more } };
}

function settled(lagMs: number) {
  return { jsonPayload: { message: "writes settled", metadata: { writes: [{ lagMs }] } } };
}

function getService(id = ""): StandInService {
  return state.services[id] ?? fail(`no service ${id}`);
}

function keepState(): void {
  writeFileSync(join(folder, "state.new"), JSON.stringify(state));
  renameSync(join(folder, "state.new"), join(folder, "state.json"));
}

function record(): number {
  for (let number = 1; ; number += 1) {
    try {
      writeFileSync(join(folder, `call-${number}`), JSON.stringify(args), { flag: "wx" });
      return number;
    } catch {
      // Another call has this number.
    }
  }
}

function endCaller(): never {
  appendFileSync(join(folder, "kills"), `${call}\n`);
  process.kill(ppid, "SIGKILL");
  exit(1);
}

function fail(reason: string): never {
  stderr.write(`ERROR: (gcloud.${name.replaceAll(" ", ".")}) ${reason}\n`);
  exit(1);
}

function readJson<T>(file: string): T {
  return JSON.parse(readFileSync(join(folder, file), "utf8"));
}

function readLines(file: string): Record<string, unknown>[] {
  const path = join(folder, file);
  if (!existsSync(path)) return [];
  return readFileSync(path, "utf8")
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line));
}
