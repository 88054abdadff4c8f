import { type Api, describeKeyAdvice } from "./api.ts";
import { Breach, Failure } from "./failure.ts";
import { pause } from "./pause.ts";
import { withProgress } from "./say.ts";
import { SYNTHETIC } from "./slo.ts";
import { readTarget } from "./target.ts";

/**
 * Sends a bounded number of requests to an API where clients send too few, without
 * `Prefer: wait`, which would add to the latency. They are judged by the logs like all requests;
 * here only a failed request or an unsettled write is reported.
 */
export async function sendRequests(api: Api, stop: AbortSignal): Promise<void> {
  const { path, item } = await readTarget(api);
  const failures: string[] = [];
  let left: number = SYNTHETIC.rounds;
  await withProgress(`too little traffic: sending ${SYNTHETIC.rounds} rounds of requests`, () =>
    Promise.all(Array.from({ length: SYNTHETIC.concurrency }, runRounds)),
  );
  if (failures.length <= SYNTHETIC.toleratedFailures) return;
  throw new Breach(
    `${failures.length} of ${SYNTHETIC.rounds} rounds of requests failed, but at most` +
      ` ${SYNTHETIC.toleratedFailures} may; the first: ${failures[0]}`,
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
    if (created.status !== 202)
      throw new Failure(
        `POST ${path} returned ${created.status}.${describeKeyAdvice(created.status)}`,
      );
    const { id, receipt } = created.body;
    const outcome = await awaitOutcome(String(receipt));
    if (outcome !== "applied") throw new Failure(`A create has the outcome ${outcome}.`);
    for (const [method, wanted] of [
      ["GET", 200],
      ["DELETE", 202],
    ] as const) {
      const { status } = await api(method, `${path}/${id}`);
      if (status !== wanted) throw new Failure(`${method} of an item returned ${status}.`);
    }
  }

  async function awaitOutcome(receipt: string): Promise<unknown> {
    const { first, max } = SYNTHETIC.lookMs;
    const deadline = Date.now() + SYNTHETIC.settledWithinMs;
    for (let pauseMs: number = first; ; pauseMs = Math.min(2 * pauseMs, max)) {
      const { status, body } = await api("GET", receipt);
      if (status === 200 && body.status === "settled") return body.outcome;
      if (Date.now() > deadline)
        throw new Failure(`A write was not settled within ${SYNTHETIC.settledWithinMs / 1_000} s.`);
      await pause(pauseMs, stop);
    }
  }
}
