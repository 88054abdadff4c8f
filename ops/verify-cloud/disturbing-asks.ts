import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { findPredecessor, type Version } from "../../deploy/rollout/versions.ts";
import { getDatabaseInstance } from "../../iac/names.ts";
import { type Ask, type Cloud, differs, held, LOOKS, unknown } from "./cloud.ts";

const ROOT = join(import.meta.dirname, "..", "..");
/** Of the question about 10,000 writes. */
const REQUESTS = 100;
const RECORDS = 100;
/** Requests that show how traffic is split. */
const PROBES = 100;
/** A receipt is asked for this often before the write counts as not settled. */
const RECEIPT_LOOKS = 60;
const BETWEEN_WRITES_MS = 250;

/** Runs the question only where disturbing was allowed. */
function disturbing(ask: Ask): Ask {
  return async (cloud) =>
    cloud.mayDisturb ? ask(cloud) : unknown("not asked: it disturbs the service; add --disturb");
}

type Listed = {
  id: string;
  service: Version["service"];
  traffic_split?: number;
  version: { createTime: string };
};

/** Splits the API's traffic with the version before, counts by the request log, and puts it back. */
export const askTraffic = disturbing(async (cloud) => {
  const listed = await cloud.read<Listed[]>("app", "versions", "list");
  const versions = listed.map(({ id, service, traffic_split = 0, version }) => ({
    ...{ id, service, share: traffic_split, url: "" },
    createdAt: Date.parse(version.createTime),
  }));
  const live = versions.find(({ service, share }) => service === "default" && share === 1);
  const before = live && findPredecessor(versions, live.id);
  if (!live || !before) return unknown("there is no version before, or a rollout is open");
  const move = (splits: string, by: string) =>
    cloud.change("app", "services", "set-traffic", "default", splits, `--split-by=${by}`);
  const since = new Date().toISOString();
  try {
    await move(`--splits=${live.id}=0.5,${before}=0.5`, "random");
    for (let probe = 0; probe < PROBES; probe += 1) await cloud.api("GET", "/health/live");
  } finally {
    await move(`--splits=${live.id}=1`, "ip");
  }
  const count = async (id: string) => {
    const terms = [`resource.labels.version_id="${id}"`, `timestamp>="${since}"`];
    const path = 'protoPayload.resource="/health/live"';
    return (await cloud.readLog([...terms, path].join(" AND "), PROBES)).length;
  };
  const [own = 0, others = 0] = await cloud.readUntil(
    () => Promise.all([count(live.id), count(before)]),
    (counts) => counts.every((requests) => requests > 0),
  );
  const evidence = `of ${PROBES} requests, ${own} and ${others} in the logs of the two versions`;
  return own > 0 && others > 0 ? held(evidence) : differs(evidence);
});

/** Restarts MySQL while writes are sent; every accepted one must be applied. */
export const askRestart = disturbing(async (cloud) => {
  const { path, item } = await cloud.readTarget();
  let isOver = false;
  const receipts: string[] = [];
  let refused = 0;
  const writing = (async () => {
    do {
      const { status, body } = await cloud.api("POST", path, { item });
      if (status === 202) receipts.push(String(body.receipt));
      else refused += 1;
      await sleep(Math.min(BETWEEN_WRITES_MS, cloud.pauseMs));
    } while (!isOver);
  })();
  try {
    const instance = getDatabaseInstance(cloud.settings.environment);
    await cloud.change("sql", "instances", "restart", instance);
  } finally {
    isOver = true;
    await writing;
  }
  let longestMs = 0;
  const lost: string[] = [];
  for (const receipt of receipts) {
    const { outcome, lagMs } = await awaitReceipt(cloud, receipt);
    if (outcome !== "applied") lost.push(receipt);
    longestMs = Math.max(longestMs, Number(lagMs ?? 0));
    await cloud.api("DELETE", receipt.replace(/\/writes\/.*/, ""));
  }
  const evidence = `${receipts.length} accepted, ${refused} refused, longest lag ${longestMs} ms`;
  return lost.length === 0 ? held(evidence) : differs(`${evidence}; not applied: ${lost[0]}`);
});

async function awaitReceipt(cloud: Cloud, receipt: string): Promise<Record<string, unknown>> {
  const { body } = await cloud.readUntil(
    () => cloud.api("GET", receipt),
    (answer) => answer.body.status === "settled",
    RECEIPT_LOOKS,
  );
  return body;
}

/** Ten thousand writes, an instance of the subscriber ended among them, then the audit. */
export const askLoad = disturbing(async (cloud) => {
  const { path, item } = await cloud.readTarget();
  let refused = 0;
  let ended = "no instance";
  for (let request = 0; request < REQUESTS; request += 1) {
    const { status } = await cloud.api("POST", path, { item: Array(RECORDS).fill(item) });
    if (status !== 202) refused += 1;
    if (request === REQUESTS / 4) ended = await endInstance(cloud);
  }
  // The audit passes over what is younger than its grace of a minute.
  await sleep(LOOKS * cloud.pauseMs);
  const args = ["run", "--silent", "ops", "--", "audit-cloud", cloud.environment];
  const audit = spawn("npm", [...args, "--since", "1h", "--grace", "1m"], {
    cwd: ROOT,
    stdio: ["ignore", "ignore", "inherit"],
  });
  const [status] = await once(audit, "close");
  const evidence = `${REQUESTS - refused} of ${REQUESTS} requests of ${RECORDS} records accepted, ${ended} ended, audit status ${status}; the items stay`;
  return status === 0 ? held(evidence) : differs(evidence);
});

async function endInstance(cloud: Cloud): Promise<string> {
  type Instance = { id: string; service: string; version: string };
  const instances = await cloud.read<Instance[]>(
    "app",
    "instances",
    "list",
    "--service=subscriber",
  );
  const [first] = instances;
  if (!first) return "no instance";
  const place = ["--service=subscriber", `--version=${first.version}`];
  await cloud.change("app", "instances", "delete", first.id, ...place);
  return first.id;
}
