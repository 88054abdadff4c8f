import { TARGET_UTILISATION } from "./figures.ts";

/** How one service scales. */
export type Scaling = {
  least: number;
  most: number;
  startSeconds: number;
  /** Writes that one instance handles in a second. */
  perSecond: number;
};
/** The instances of a service in one second, and the share of their capacity that is used. */
export type Part = { serving: number; starting: number; busy: number };
/** One instance; times are seconds of the simulation. */
export type Instance = {
  startedAt: number;
  readyAt: number;
  stoppedAt?: number;
  handled: number;
};

/** App Engine keeps one idle instance (`max_idle_instances`) for 15 minutes. */
const LAST_IDLE_SECONDS = 15 * 60;
/** Other idle instances stop after about a minute. An assumption. */
const IDLE_SECONDS = 60;

/** The instances of one service, started and stopped on demand as App Engine does. */
export class Fleet {
  readonly instances: Instance[] = [];
  readonly #scaling: Scaling;
  #running: Instance[] = [];
  /** When that many instances were last needed, by their number. */
  readonly #lastNeeded: number[] = [];

  constructor(scaling: Scaling) {
    this.#scaling = scaling;
    // Instances that always run are ready from the start.
    for (let count = 0; count < scaling.least; count += 1) this.#start(0, 0);
  }

  /** Starts the instances that this rate needs, and stops those that were idle for long. */
  scale(at: number, perSecond: number): void {
    const { least, most, startSeconds } = this.#scaling;
    const needed = Math.ceil(perSecond / this.#scaling.perSecond / TARGET_UTILISATION);
    const count = Math.min(most, Math.max(least, needed));
    while (this.#running.length < count) this.#start(at, startSeconds);
    for (let number = 1; number <= count; number += 1) this.#lastNeeded[number] = at;
    while (this.#running.length > count && this.#isIdle(at)) {
      const stopped = this.#running.pop();
      if (stopped) stopped.stoppedAt = at;
    }
  }

  /** The number of writes that the ready instances can handle in this second. */
  computeCapacity(at: number): number {
    return Math.floor(this.#readyAt(at).length * this.#scaling.perSecond);
  }

  /** Records that the ready instances handled so many writes. */
  use(at: number, handled: number): void {
    const ready = this.#readyAt(at);
    for (const instance of ready) instance.handled += handled / ready.length;
  }

  /** The state of the service in this second. */
  getPart(at: number, handled: number): Part {
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
    const idleSeconds = at - (this.#lastNeeded[number] ?? 0);
    return idleSeconds >= (number === 1 ? LAST_IDLE_SECONDS : IDLE_SECONDS);
  }

  #readyAt(at: number): Instance[] {
    return this.#running.filter(({ readyAt }) => readyAt <= at);
  }
}
