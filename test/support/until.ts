import { setTimeout as sleep } from "node:timers/promises";

/** Long enough for a machine that is busy with other work; a test that passes does not wait so. */
const DEFAULT_SECONDS = 60;
const POLL_INTERVAL_MS = 20;

/** Waits until `condition` holds; throws what it waited for once `seconds` have passed. */
export async function until(
  what: string,
  condition: () => boolean | Promise<boolean>,
  seconds = DEFAULT_SECONDS,
): Promise<void> {
  const deadline = Date.now() + seconds * 1_000;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`Waited ${seconds} s in vain until ${what}.`);
    await sleep(POLL_INTERVAL_MS);
  }
}
