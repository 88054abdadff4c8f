import { QueueFullError } from "./batcher.ts";
import { withDeadline } from "./deadline.ts";

/** Lets at most `places` pieces of work run at once; at most `maxQueued` others wait, in order. */
export class Semaphore {
  #free: number;
  readonly #maxQueued: number;
  readonly #queue: (() => void)[] = [];

  constructor({ places, maxQueued }: { places: number; maxQueued: number }) {
    this.#free = places;
    this.#maxQueued = maxQueued;
  }

  /**
   * Runs `work` once there is a place. Rejects with {@link QueueFullError} at once where too many wait,
   * and with a DeadlineExceededError where there is none within `deadlineMs`; then `work` never runs.
   */
  async run<Result>(work: () => Promise<Result>, deadlineMs: number): Promise<Result> {
    if (this.#free > 0) this.#free -= 1;
    else await this.#waitForPlace(deadlineMs);
    try {
      return await work();
    } finally {
      this.#release();
    }
  }

  async #waitForPlace(deadlineMs: number): Promise<void> {
    if (this.#queue.length >= this.#maxQueued) throw new QueueFullError(this.#queue.length);
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#queue.push(resolve);
    try {
      await withDeadline(promise, deadlineMs);
    } catch (error) {
      const place = this.#queue.indexOf(resolve);
      // The place may have come together with the deadline.
      if (place < 0) this.#release();
      else this.#queue.splice(place, 1);
      throw error;
    }
  }

  #release(): void {
    const next = this.#queue.shift();
    if (next) next();
    else this.#free += 1;
  }
}
