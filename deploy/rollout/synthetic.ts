import type { Api } from "./api.ts";
import { Breach, Failure } from "./failure.ts";
import { pause } from "./pause.ts";
import { withProgress } from "./say.ts";
import { SYNTHETIC } from "./slo.ts";
import { firstCollection } from "./smoke.ts";

/**
 * Sends a bounded number of requests, for a version that clients send too few. Nothing waits with
 * `Prefer: wait`, so that the answers' latency is that of ordinary requests. What they tell is
 * read from the logs like all else; only a write that is not settled is told here.
 */
export async function drive(api: Api, stop: AbortSignal): Promise<void> {
  const { path, item } = firstCollection();
  const failures: string[] = [];
  let left: number = SYNTHETIC.rounds;
  await withProgress(
    `too little traffic: sending ${SYNTHETIC.rounds} rounds of requests of its own`,
    () => Promise.all(Array.from({ length: SYNTHETIC.concurrency }, runRounds)),
  );
  if (failures.length <= SYNTHETIC.toleratedFailures) return;
  throw new Breach(
    `${failures.length} of ${SYNTHETIC.rounds} rounds of its own requests failed, ${SYNTHETIC.toleratedFailures}` +
      ` may; the first: ${failures[0]}`,
  );

  async function runRounds(): Promise<void> {
    while (left > 0) {
      left -= 1;
      try {
        await runRound();
      } catch (error) {
        stop.throwIfAborted();
        if (!(error instanceof Failure)) throw error;
        failures.push(error.message);
      }
    }
  }

  async function runRound(): Promise<void> {
    const created = await api("POST", path, { item });
    if (created.status !== 202) throw new Failure(`POST ${path} was answered ${created.status}.`);
    const { id, receipt } = created.body;
    const outcome = await awaitOutcome(String(receipt));
    if (outcome !== "applied") throw new Failure(`A create had the outcome ${outcome}.`);
    for (const [method, wanted] of [
      ["GET", 200],
      ["DELETE", 202],
    ] as const) {
      const { status } = await api(method, `${path}/${id}`);
      if (status !== wanted) throw new Failure(`${method} of an item was answered ${status}.`);
    }
  }

  async function awaitOutcome(receipt: string): Promise<unknown> {
    const { first, max } = SYNTHETIC.lookMs;
    const deadline = Date.now() + SYNTHETIC.settledWithinMs;
    for (let pauseMs: number = first; ; pauseMs = Math.min(2 * pauseMs, max)) {
      const { status, body } = await api("GET", receipt);
      if (status === 200 && body.status === "settled") return body.outcome;
      if (Date.now() > deadline)
        throw new Failure(`A write was not settled in ${SYNTHETIC.settledWithinMs / 1_000} s.`);
      await pause(pauseMs, stop);
    }
  }
}
