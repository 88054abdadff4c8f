import { execFile } from "node:child_process";
import { cp, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { parseOptions, readInteger } from "../../ops/command-line.ts";
import { type ChaosCluster, startChaosCluster } from "../cluster/chaos-cluster.ts";
import { checkCluster } from "../cluster/check.ts";
import { DatabaseServer } from "../cluster/database-server.ts";
import { Ledger } from "../cluster/ledger.ts";
import { bundleCopy, ROOT } from "../support/bundle-copy.ts";
import { runProof } from "../support/command.ts";
import { DECLARE_FEED } from "../support/feed.ts";
import { createWorkFolder } from "../support/servers.ts";
import { Followers } from "./followers.ts";
import { judgeReport, parseReport, readSettled, type Settled } from "./judge.ts";
import { Writers } from "./writers.ts";

const HELP = `npm run proof -- restore [options]

Two APIs, two subscribers, a MySQL and the local Pub/Sub. Two writers put and delete the same items, a
third creates, and a reader follows the feed and the list. MySQL is copied while it is stopped, and goes
on; some time later its data are replaced by the copy, under load. Then the drill of docs/operations.md:
npm run ops -- restore. Checks that every accepted write is settled once, that the readers have missed
nothing, and that the report names every item whose outcomes may have changed. Exit status 1 where not.

  --seconds N  how much MySQL loses (default: 60)
  --help       show this text
`;

const BEFORE_MS = 3_000;
const AFTER_MS = 2_000;
const SETTLE_DEADLINE_MS = 5 * 60_000;
const PLAN = { seed: 0, delivery: "pull", skewMs: 0 } as const;
const SUBSCRIBERS = ["subscriber-1", "subscriber-2"] as const;
const run = promisify(execFile);

await runProof("restore", async () => {
  const { values } = parseOptions({
    options: {
      seconds: { type: "string", default: "60" },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) return console.log(HELP) ?? 0;
  const lostMs = readInteger("seconds", values.seconds, { max: 3_600 }) * 1_000;
  const folder = await createWorkFolder("restore");
  const code = bundleCopy(join(folder, "code"), [DECLARE_FEED]);
  const mysqlFolder = join(folder, "mysql");
  const server = await DatabaseServer.start(mysqlFolder, { isSmall: false });
  const options = { server, folder, code, plan: PLAN, hasFeed: true, isDirect: true };
  const cluster = await startChaosCluster(options);
  try {
    return await loseAndRestore(cluster, join(mysqlFolder, "data"), lostMs);
  } finally {
    await cluster.close();
    await server.close();
    await rm(folder, { recursive: true, force: true });
  }
});

async function loseAndRestore(
  cluster: ChaosCluster,
  dataFolder: string,
  lostMs: number,
): Promise<number> {
  const { server, pool } = cluster.database;
  const ledger = new Ledger();
  const writers = new Writers(cluster, ledger);
  const followers = new Followers(cluster);
  const writing = writers.run();
  let following = followers.run();
  await sleep(BEFORE_MS);
  await server.stop();
  const timeMs = Date.now();
  await cp(dataFolder, `${dataFolder}.copy`, { recursive: true });
  await server.restart();
  await sleep(lostMs);
  // The readers come back when positions are given again, so that only the epoch tells them.
  followers.stop();
  await following;
  const violations =
    followers.restarts === 0 ? [] : ["the feed's reader lost its place before the restore"];

  for (const name of SUBSCRIBERS) await cluster.processes[name].end("SIGTERM");
  const before = (await readSettled(pool)).settled;
  await server.kill();
  await rm(dataFolder, { recursive: true });
  await rename(`${dataFolder}.copy`, dataFolder);
  await server.restart();
  const time = new Date(timeMs).toISOString();
  const sought = await restore(cluster, [time, "--seek"]);
  for (const name of SUBSCRIBERS) await cluster.processes[name].start();
  await waitUntilSettling(cluster, timeMs);
  following = followers.run();
  await sleep(AFTER_MS);
  writers.stop();
  await writing;
  await cluster.pubsub.waitUntilEmpty(SETTLE_DEADLINE_MS);
  followers.stop();
  await following;

  const [, command = "", until = ""] = /restore (\S+ --report --until (\S+))/.exec(sought) ?? [];
  const reported = parseReport(await restore(cluster, command.split(" ")));
  violations.push(...(await checkCluster(cluster, ledger)).violations);
  const { settled: after, rows } = await readSettled(pool);
  violations.push(...(await followers.judge(rows)));
  if (followers.restarts !== 1)
    violations.push(`the feed's reader was told to begin again ${followers.restarts} times`);
  const untilMs = Date.parse(until);
  const { faults, changed } = judgeReport(reported, { before, after, timeMs, untilMs });
  violations.push(...faults);
  const lost = [...before.values()].filter(({ settledAtMs }) => settledAtMs > timeMs).length;
  if (lost === 0) violations.push("nothing was lost, so that nothing is proven");
  console.log(`${ledger.confirmed.size} writes accepted; MySQL had settled ${before.size}
and lost the last ${lost} of them; ${reported.size} items competed, ${changed} outcomes are others than before`);
  console.log(violations.length === 0 ? "every promise held" : `${violations.length} VIOLATIONS`);
  for (const violation of violations.slice(0, 20)) console.log(violation);
  return violations.length === 0 ? 0 : 1;
}

async function waitUntilSettling({ database }: ChaosCluster, timeMs: number): Promise<void> {
  const deadline = performance.now() + SETTLE_DEADLINE_MS;
  const isSettling = ({ settledAtMs }: Settled) => settledAtMs > timeMs;
  while (!(await readSettled(database.pool)).settled.values().some(isSettling)) {
    if (performance.now() > deadline) throw new Error("nothing is settled after the restore");
    await sleep(100);
  }
}

/** Runs the command as an operator does; what it prints. */
async function restore(cluster: ChaosCluster, args: readonly string[]): Promise<string> {
  const program = join(ROOT, "ops", "restore", "main.ts");
  const { env } = cluster;
  return (await run(process.execPath, [program, ...args], { env })).stdout;
}
