import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { HEAP, NOWHERE } from "../../deploy/bundle.ts";
import { findAnyPort } from "../../local/ports.ts";
import { CAN_ACCOUNT, residentMb } from "./measure.ts";
import type { Stage } from "./stage.ts";
import { SEED_API, type Target } from "./targets.ts";

const ROOT = join(import.meta.dirname, "..", "..");
/** Starts are short and differ much, so there are more rounds of them. */
const ROUNDS_PER_ROUND = 3;
/** How long a process is left alone before its memory is looked at. */
const IDLE_MS = 2_000;
const LOOK_EVERY_MS = 2;
const DEADLINE_MS = 30_000;

/** From the start of a process until it listens, and until its first 202; its memory then. */
export async function benchStart(stage: Stage): Promise<void> {
  const { rounds, size } = stage.options;
  const times = size === "smoke" ? 1 : rounds * ROUNDS_PER_ROUND;
  for (let round = 0; round < times; round += 1)
    for (const { name, how, args } of getVariants(stage.dist)) {
      const values = { listenMs: await listenMs(name, args, stage.dist) };
      stage.record({ bench: "start", case: `${name} listens`, target: how, round, values });
    }
  const ours = await stage.createDatabase("ours");
  const peers = await stage.createDatabase("peers");
  const topic = stage.name("start");
  await stage.renewTopic(topic);
  for (let round = 0; round < times; round += 1)
    for (const target of [stage.own("api"), SEED_API]) {
      const port = await findAnyPort();
      const database = target === SEED_API ? peers : ours;
      const env = stage.getEnvironment(target, { database, topic }, port);
      const values = await first202(target, env, port);
      stage.record({ bench: "start", case: "first 202", target: target.title, round, values });
    }
  await stage.deleteTopic(topic);
  await ours.drop();
  await peers.drop();
}

/** Nothing needs to run for these: neither process waits for MySQL or Pub/Sub. */
function getVariants(dist: string) {
  return ["api", "subscriber"].flatMap((name) => {
    const bundled = join(dist, `${name}.js`);
    const cache = [...HEAP, "--import", join(dist, "compile-cache.js")];
    return [
      { name, how: "unbuilt .ts", args: [join(ROOT, name, "main.ts")] },
      { name, how: "bundle", args: [bundled] },
      { name, how: "bundle, compile cache", args: [...cache, bundled] },
    ];
  });
}

async function listenMs(name: string, args: string[], temporary: string): Promise<number> {
  const startedAt = performance.now();
  const env = { ...NOWHERE, TMPDIR: temporary };
  const child = spawn(process.execPath, args, { env, stdio: ["ignore", "pipe", "inherit"] });
  let output = "";
  for await (const chunk of child.stdout.setEncoding("utf8")) {
    output += chunk;
    if (output.includes(`${name} started`)) break;
  }
  const ms = performance.now() - startedAt;
  await kill(child);
  return ms;
}

async function first202(
  target: Target,
  env: Record<string, string>,
  port: number,
): Promise<Record<string, number>> {
  const startedAt = performance.now();
  const child = spawn(process.execPath, target.args, { env, stdio: ["ignore", "pipe", "inherit"] });
  child.stdout.resume();
  try {
    while (!(await isAccepted(port))) {
      if (child.exitCode !== null) throw new Error(`${target.title} ended at once`);
      if (performance.now() - startedAt > DEADLINE_MS)
        throw new Error(`${target.title} does not answer 202`);
      await sleep(LOOK_EVERY_MS);
    }
    const first202Ms = performance.now() - startedAt;
    await sleep(IDLE_MS);
    const pid = child.pid as number;
    return { first202Ms, ...(CAN_ACCOUNT ? { idleMb: residentMb(pid).now } : {}) };
  } finally {
    await kill(child);
  }
}

async function isAccepted(port: number): Promise<boolean> {
  const answer = await fetch(`http://127.0.0.1:${port}/api/data`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ nombre: "Valpo" }),
  }).catch(() => undefined);
  await answer?.arrayBuffer();
  return answer?.status === 202;
}

async function kill(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill("SIGKILL");
  await once(child, "exit");
}
