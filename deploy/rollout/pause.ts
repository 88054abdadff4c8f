import { setTimeout as sleep } from "node:timers/promises";

/** Waits; throws the reason of `stop` if it aborts. */
export async function pause(forMs: number, stop: AbortSignal): Promise<void> {
  await sleep(forMs, undefined, { signal: stop }).catch(() => {});
  stop.throwIfAborted();
}
