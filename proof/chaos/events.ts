import { setTimeout as sleep } from "node:timers/promises";
import type { Event } from "./plan.ts";
import type { Stage } from "./stage.ts";

/** An end before the time that all events have to be over in. */
const OVER_DEADLINE_MS = 60_000;

/**
 * Lets the events happen at their times. Those of one target wait for each other. Resolves once
 * all are over and undone.
 */
export async function perform(stage: Stage, events: readonly Event[]): Promise<void> {
  const startedAt = performance.now();
  const last = new Map<string, Promise<void>>();
  const all = events.map((event) => {
    const before = last.get(event.target);
    const happening = (async () => {
      await sleep(event.atMs - (performance.now() - startedAt));
      await before?.catch(() => {});
      await happen(stage, event);
    })();
    last.set(event.target, happening);
    return happening;
  });
  const timer = sleep(OVER_DEADLINE_MS, "late", { ref: false });
  const over = Promise.allSettled(all);
  if ((await Promise.race([over, timer])) === "late") throw new Error("The events do not end.");
  for (const { status, reason } of (await over) as PromiseRejectedResult[])
    if (status === "rejected") throw reason;
}

/** One event, from its begin to its end. */
async function happen(stage: Stage, event: Event): Promise<void> {
  const { what, target, forMs } = event;
  if (target === "mysql") return happenToMysql(stage, event);
  if (target === "pubsub") return happenToPubsub(stage, event);
  const child = stage.children[target];
  if (what === "freeze") return child.freeze(forMs);
  await child.end(what === "kill" ? "SIGKILL" : "SIGTERM");
  await sleep(forMs);
  await child.start();
}

async function happenToMysql(stage: Stage, { what, forMs, delayMs = 0 }: Event): Promise<void> {
  const { server, name } = stage.database;
  const link = stage.links.mysql;
  if (what === "cut") return server.cutConnections(name);
  if (what === "freeze") return server.freeze(forMs);
  if (what === "kill") await server.kill();
  if (what === "terminate") await server.stop();
  if (what === "fill") await evenIfItEnds(server, () => server.fill());
  if (what === "readOnly") await server.setReadOnly(true);
  if (what === "sever") link.sever();
  if (what === "delay") link.delayMs = delayMs;
  await sleep(forMs);
  if (what === "kill" || what === "terminate") await server.restart();
  if (what === "fill") await evenIfItEnds(server, () => server.empty());
  if (what === "readOnly") await server.setReadOnly(false);
  if (what === "sever" || what === "delay") link.restore();
}

/** Does it again, where MySQL has ended by itself in between. */
async function evenIfItEnds(server: Stage["database"]["server"], work: () => Promise<void>) {
  try {
    await work();
  } catch (error) {
    if (!(await server.revive())) throw error;
    await work();
  }
}

async function happenToPubsub(stage: Stage, event: Event): Promise<void> {
  const { what, forMs, delayMs = 0, rates = {} } = event;
  const { pubsub } = stage;
  const link = stage.links.pubsub;
  if (what === "freeze") return pubsub.freeze(forMs);
  if (what === "kill") await pubsub.kill();
  if (what === "misbehave") await pubsub.misbehave(rates);
  if (what === "sever") link.sever();
  if (what === "delay") link.delayMs = delayMs;
  await sleep(forMs);
  if (what === "kill") await pubsub.restart();
  if (what === "misbehave") await pubsub.behave();
  if (what === "sever" || what === "delay") link.restore();
}
