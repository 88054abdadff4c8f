import { TARGET_UTILISATION } from "./figures.ts";
import type { Part } from "./simulate-model.ts";

/** How one service scales, as its file says. */
export type Scaling = {
  least: number;
  most: number;
  startSeconds: number;
  /** Writes that one instance handles in a second. */
  perSecond: number;
};
/** One instance, in seconds of the simulation. */
export type Instance = {
  startedAt: number;
  readyAt: number;
  stoppedAt?: number;
  handled: number;
};

/** App Engine keeps one idle instance (`max_idle_instances`) for a quarter of an hour. */
const LAST_IDLE_SECONDS = 15 * 60;
/** Others that are not needed go after about a minute. Assumed. */
const IDLE_SECONDS = 60;

/** The instances of one service, started by demand as App Engine does. */
export class Fleet {
  readonly instances: Instance[] = [];
  readonly #scaling: Scaling;
  #running: Instance[] = [];
  /** When so many were last wanted, by their number. */
  readonly #lastWanted: number[] = [];

  constructor(scaling: Scaling) {
    this.#scaling = scaling;
    // What always runs has been ready since before the first second.
    for (let count = 0; count < scaling.least; count += 1) this.#start(0, 0);
  }

  /** Starts what so many writes a second need beside what runs, and stops what was idle for long. */
  scale(at: number, perSecond: number): void {
    const { least, most, startSeconds } = this.#scaling;
    const wanted = Math.ceil(perSecond / this.#scaling.perSecond / TARGET_UTILISATION);
    const count = Math.min(most, Math.max(least, wanted));
    while (this.#running.length < count) this.#start(at, startSeconds);
    for (let number = 1; number <= count; number += 1) this.#lastWanted[number] = at;
    while (this.#running.length > count && this.#isIdle(at)) {
      const stopped = this.#running.pop();
      if (stopped) stopped.stoppedAt = at;
    }
  }

  /** Writes that those that are ready handle in this second. */
  capacityAt(at: number): number {
    return Math.floor(this.#readyAt(at).length * this.#scaling.perSecond);
  }

  /** Spreads what was handled evenly over those that are ready. */
  use(at: number, handled: number): void {
    const ready = this.#readyAt(at);
    for (const instance of ready) instance.handled += handled / ready.length;
  }

  partAt(at: number, handled: number): Part {
    const serving = this.#readyAt(at).length;
    const capacity = serving * this.#scaling.perSecond;
    return {
      serving,
      starting: this.#running.length - serving,
      busy: capacity > 0 ? handled / capacity : 0,
    };
  }

  #start(at: number, startSeconds: number): void {
    const instance = { startedAt: at, readyAt: at + startSeconds, handled: 0 };
    this.instances.push(instance);
    this.#running.push(instance);
  }

  #isIdle(at: number): boolean {
    const number = this.#running.length;
    const idleSeconds = at - (this.#lastWanted[number] ?? 0);
    return idleSeconds >= (number === 1 ? LAST_IDLE_SECONDS : IDLE_SECONDS);
  }

  #readyAt(at: number): Instance[] {
    return this.#running.filter(({ readyAt }) => readyAt <= at);
  }
}
