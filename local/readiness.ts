import { setTimeout as sleep } from "node:timers/promises";
import type { Readiness } from "../common/readiness.ts";

const DEADLINE_MS = 120_000;
const REQUEST_DEADLINE_MS = 2_000;
const POLL_INTERVAL_MS = 100;

/** What `GET /health/ready` answers. */
type Answer = Pick<Readiness, "cause" | "faults">;

/**
 * Resolves once the API is ready. All migrations have run by then, so it rejects at once where the
 * tables do not match the collections; where MySQL or the API does not answer, after two minutes.
 */
export async function waitUntilReady(address: string): Promise<void> {
  const deadline = Date.now() + DEADLINE_MS;
  for (;;) {
    const reason = await checkReadiness(address);
    if (reason === undefined) return;
    if (Date.now() > deadline)
      throw new Error(`the API is not ready after ${DEADLINE_MS / 1_000} s: ${reason}`);
    await sleep(POLL_INTERVAL_MS);
  }
}

/** Why the API is not ready; undefined once it is. Throws where it cannot become ready. */
async function checkReadiness(address: string): Promise<string | undefined> {
  let answer: Answer;
  try {
    const signal = AbortSignal.timeout(REQUEST_DEADLINE_MS);
    const response = await fetch(`${address}/health/ready`, { signal });
    if (response.ok) return undefined;
    answer = (await response.json()) as Answer;
  } catch (error) {
    return `it does not answer (${(error as Error).message})`;
  }
  const faults = answer.faults.join(" ");
  if (answer.cause !== "schema") return faults;
  throw new Error(
    `all migrations have run, but the tables do not match the collections; add a migration to migrations/, or, where its items do not matter, start without .local/mysql and .local/pubsub. ${faults}`,
  );
}
