import { readFileSync } from "node:fs";
import { join } from "node:path";
import { PROJECT_PLACEHOLDER } from "../../common/variables.ts";
import { Failure } from "./failure.ts";
import { DEPLOY_TIMEOUT_MS, type Gcloud, ROOT } from "./gcloud.ts";
import { withProgress } from "./say.ts";
import { hasAllTraffic, type Stage, type Traffic } from "./traffic.ts";
import {
  hasSafeLength,
  SERVICES,
  type ServiceName,
  type Version,
  type VersionKey,
} from "./versions.ts";

/** Each service's file. An empty App Engine application requires `default` first. */
const FILES: [ServiceName, string][] = [
  ["default", "app.yaml"],
  ["subscriber", "subscriber.yaml"],
];

/** A version in the output of `gcloud app versions list --format=json`. */
type Listed = {
  id?: string;
  service?: string;
  traffic_split?: number | null;
  version?: { createTime?: string; versionUrl?: string };
};

/** The versions of both services, their traffic, and whether the last rollout was finished. */
export async function readTraffic(gcloud: Gcloud): Promise<Traffic> {
  const versions = await readVersions(gcloud);
  const full = versions.find(({ service, share }) => service === "default" && share === 1);
  if (full === undefined || !hasAllTraffic(versions, full.id))
    return { versions, isUnjudged: false };
  const args = ["app", "services", "describe", "default"];
  const { split } = (await gcloud.read(args)) as { split?: { shardBy?: string } };
  return { versions, isUnjudged: split?.shardBy === "RANDOM" };
}

/** The versions of both services, and their traffic. */
export async function readVersions(gcloud: Gcloud): Promise<Version[]> {
  const listed = (await gcloud.read(["app", "versions", "list"])) as Listed[];
  return listed.flatMap(({ id = "", service, traffic_split, version }): Version[] => {
    const own = SERVICES.find((one) => one === service);
    const createdAt = Date.parse(version?.createTime ?? "");
    if (!own) return [];
    // With a guess, a rollback could move traffic to a version that failed.
    if (Number.isNaN(createdAt)) throw new Failure(`gcloud prints no creation time of ${id}.`);
    const url = version?.versionUrl ?? "";
    return [{ service: own, id, share: traffic_split ?? 0, createdAt, url }];
  });
}

/** Deploys the version, without traffic, to each service that does not have it. */
export async function deploy(gcloud: Gcloud, id: string, versions: readonly Version[]) {
  const files = FILES.filter(
    ([service]) => !versions.some((one) => one.service === service && one.id === id),
  );
  // One at a time: --service-account applies to all files of a command.
  for (const [service, file] of files) {
    const isFirst = !versions.some((one) => one.service === service);
    const account = readAccount(file, gcloud.project);
    const args = ["app", "deploy", file, "--no-promote", `--version=${id}`];
    const minutes = DEPLOY_TIMEOUT_MS / 60_000;
    await withProgress(
      `deploying ${file} as ${id}, without traffic (at most ${minutes} minutes)`,
      () => gcloud.deploy([...args, `--service-account=${account}`], isFirst),
    );
  }
}

/** The service account in the file, with the project filled in, which App Engine does not do. */
function readAccount(file: string, project: string): string {
  const text = readFileSync(join(ROOT, file), "utf8");
  const [, account] = /^service_account: (\S+)$/m.exec(text) ?? [];
  if (!account) throw new Failure(`${file} has no service_account.`);
  return account.replaceAll(PROJECT_PLACEHOLDER, project);
}

/** The URL of this version of the API. */
export async function readAddress(gcloud: Gcloud, id: string): Promise<string> {
  const args = ["app", "versions", "describe", id, "--service=default"];
  const { versionUrl } = (await gcloud.read(args)) as { versionUrl?: string };
  const url = URL.parse(versionUrl ?? "");
  if (!url) throw new Failure(`gcloud prints no URL of the version ${id}.`);
  if (!hasSafeLength(url.hostname))
    throw new Failure(
      `${url.hostname} has no certificate: its first label is longer than 63 characters.`,
    );
  return url.origin;
}

/** The command that gives a version the traffic of a step and the fallback the rest. */
export function trafficCommand(
  { service, percent }: Stage,
  id: string,
  fallback?: string,
): string[] {
  const rest =
    percent < 100 && fallback !== undefined ? `,${fallback}=${(100 - percent) / 100}` : "";
  const own = rest === "" ? 1 : percent / 100;
  const splits = `--splits=${id}=${own}${rest}`;
  return ["app", "services", "set-traffic", service, splits, "--split-by=random"];
}

/** The command that gives a version all traffic and marks its rollout as finished; see {@link Traffic}. */
export function finishCommand(service: ServiceName, id: string): string[] {
  return ["app", "services", "set-traffic", service, `--splits=${id}=1`, "--split-by=ip"];
}

/** Deletes versions, one service at a time. */
export async function deleteVersions(gcloud: Gcloud, versions: readonly VersionKey[]) {
  for (const service of SERVICES) {
    const ids = versions.filter((version) => version.service === service).map(({ id }) => id);
    if (ids.length === 0) continue;
    await withProgress(`deleting ${ids.join(", ")} of ${service}`, () =>
      gcloud.change(["app", "versions", "delete", ...ids, `--service=${service}`]),
    );
  }
}
