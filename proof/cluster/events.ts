import { setTimeout as sleep } from "node:timers/promises";
import type { ChaosCluster } from "./chaos-cluster.ts";
import type { Event } from "./plan.ts";

/** All events of a run are over within 10 s, unless the machine is very busy. */
const DEADLINE_MS = 4 * 60_000;

/**
 * Runs the events at their times; those of one target wait for each other. Resolves once all have
 * been undone.
 */
export async function runEvents(cluster: ChaosCluster, events: readonly Event[]): Promise<void> {
  const startedAt = performance.now();
  const previous = new Map<string, Promise<void>>();
  const all = events.map((event) => {
    const before = previous.get(event.target);
    const running = (async () => {
      await sleep(event.atMs - (performance.now() - startedAt));
      await before?.catch(() => {});
      await runEvent(cluster, event);
    })();
    previous.set(event.target, running);
    return running;
  });
  const timer = sleep(DEADLINE_MS, "late", { ref: false });
  const over = Promise.allSettled(all);
  if ((await Promise.race([over, timer])) === "late")
    throw new Error(`The events are not over after ${DEADLINE_MS} ms.`);
  for (const { status, reason } of (await over) as PromiseRejectedResult[])
    if (status === "rejected") throw reason;
}

async function runEvent(cluster: ChaosCluster, event: Event): Promise<void> {
  const { kind, target, forMs } = event;
  if (target === "mysql") return runMysqlEvent(cluster, event);
  if (target === "pubsub") return runPubsubEvent(cluster, event);
  const process = cluster.processes[target];
  if (kind === "freeze") return process.freeze(forMs);
  await process.end(kind === "kill" ? "SIGKILL" : "SIGTERM");
  await sleep(forMs);
  await process.start();
}

async function runMysqlEvent(cluster: ChaosCluster, event: Event): Promise<void> {
  const { kind, forMs, delayMs = 0 } = event;
  const { server, name } = cluster.database;
  const proxy = cluster.proxies.mysql;
  if (kind === "cut") return server.cutConnections(name);
  if (kind === "freeze") return server.freeze(forMs);
  if (kind === "kill") await server.kill();
  if (kind === "terminate") await server.stop();
  if (kind === "fill") await retryAfterExit(server, () => server.fill());
  if (kind === "readOnly") await server.setReadOnly(true);
  if (kind === "sever") proxy.sever();
  if (kind === "delay") proxy.delayMs = delayMs;
  await sleep(forMs);
  if (kind === "kill" || kind === "terminate") await server.restart();
  if (kind === "fill") await retryAfterExit(server, () => server.empty());
  if (kind === "readOnly") await server.setReadOnly(false);
  if (kind === "sever" || kind === "delay") proxy.restore();
}

/** Does the work again where MySQL exited by itself meanwhile. */
async function retryAfterExit(
  server: ChaosCluster["database"]["server"],
  work: () => Promise<void>,
): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (!(await server.restartIfExited())) throw error;
    await work();
  }
}

async function runPubsubEvent(cluster: ChaosCluster, event: Event): Promise<void> {
  const { kind, forMs, delayMs = 0, rates = {} } = event;
  const { pubsub } = cluster;
  const proxy = cluster.proxies.pubsub;
  if (kind === "freeze") return pubsub.freeze(forMs);
  if (kind === "kill") await pubsub.kill();
  if (kind === "misbehave") await pubsub.injectFaults(rates);
  if (kind === "sever") proxy.sever();
  if (kind === "delay") proxy.delayMs = delayMs;
  await sleep(forMs);
  if (kind === "kill") await pubsub.restart();
  if (kind === "misbehave") await pubsub.clearFaults();
  if (kind === "sever" || kind === "delay") proxy.restore();
}
