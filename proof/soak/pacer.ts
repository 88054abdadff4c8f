import { setTimeout as sleep } from "node:timers/promises";

/** Lets through so many a second, evenly; a turn that nobody takes is lost. */
export class Pacer {
  readonly #everyMs: number;
  #nextMs = 0;

  constructor(perSecond: number) {
    this.#everyMs = 1_000 / perSecond;
  }

  async take(): Promise<void> {
    const now = performance.now();
    const dueMs = Math.max(now, this.#nextMs);
    this.#nextMs = dueMs + this.#everyMs;
    await sleep(dueMs - now);
  }
}
