import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { findAnyPort } from "../../local/ports.ts";
import { CAN_ACCOUNT, residentMb } from "../support/process-usage.ts";
import type { BenchEnvironment } from "./environment.ts";
import { SEED, SEED_API, type Target } from "./targets.ts";

/** Starts are short and vary, so each round has several. */
const STARTS_PER_ROUND = 2;
/** A process is left alone for so long before its memory is read. */
const IDLE_MS = 2_000;
const LOOK_EVERY_MS = 2;
const DEADLINE_MS = 60_000;

/** From the start of a process to its first 202; and its memory when idle. */
export async function benchStart(environment: BenchEnvironment): Promise<void> {
  const { rounds, size } = environment.options;
  const starts = size === "smoke" ? 1 : STARTS_PER_ROUND;
  const database = await environment.createDatabase("constancia");
  const seedDatabase = await environment.createDatabase("seed");
  const topic = environment.name("start");
  await environment.renewTopic(topic);
  for (let round = 0; round < rounds * starts; round += starts)
    await environment.forEachCores(async (cores) => {
      for (let start = round; start < round + starts; start += 1)
        for (const target of [environment.createOwn("api"), SEED_API]) {
          const own = target.title === SEED ? seedDatabase : database;
          const port = await findAnyPort();
          const env = environment.buildVariables(target, { database: own, topic }, port);
          const values = await measureStart(target, env, port);
          const sample = { bench: "start", case: "first 202", cores, round: start };
          environment.record({ ...sample, target: target.title, values });
        }
    });
  await environment.deleteTopic(topic);
  await database.drop();
  await seedDatabase.drop();
}

async function measureStart(
  target: Target,
  env: Record<string, string>,
  port: number,
): Promise<Record<string, number>> {
  const startedAt = performance.now();
  const child = spawn(process.execPath, target.args, { env, stdio: ["ignore", "pipe", "inherit"] });
  child.stdout.resume();
  try {
    while (!(await isAccepted(port))) {
      if (child.exitCode !== null) throw new Error(`${target.title} exited at its start`);
      if (performance.now() - startedAt > DEADLINE_MS)
        throw new Error(`${target.title} does not answer 202`);
      await sleep(LOOK_EVERY_MS);
    }
    const first202Ms = performance.now() - startedAt;
    await sleep(IDLE_MS);
    if (!CAN_ACCOUNT) return { first202Ms };
    return { first202Ms, idleMb: residentMb(child.pid as number).now };
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
