import type { Fold } from "../fuzz/fold.ts";

const SHOW_EVERY_MS = 1_000;

/** On a terminal one line that changes; elsewhere a line for each stretch. */
export class SoakProgress {
  readonly #fold: Fold;
  readonly #startedAt = performance.now();
  readonly #timer: NodeJS.Timeout | undefined;
  #line = "calibrating";

  constructor(fold: Fold) {
    this.#fold = fold;
    if (process.stdout.isTTY) this.#timer = setInterval(() => this.#show(), SHOW_EVERY_MS);
    else this.say(this.#line);
  }

  /** A line that stays. */
  say(line: string): void {
    if (this.#timer) process.stdout.write("\r".padEnd(120));
    console.log(`${this.#timer ? "\r" : ""}${line}`);
  }

  begin(number: number, count: number, fault: string): void {
    this.#line = `${number} of ${count}: ${fault}`;
    if (!this.#timer) this.#show();
  }

  end(): void {
    if (!this.#timer) return;
    clearInterval(this.#timer);
    console.log();
  }

  #show(): void {
    const { accepted, missing, doubled, stale, violations } = this.#fold;
    const seconds = Math.round((performance.now() - this.#startedAt) / 1_000);
    const line =
      `${seconds} s, ${this.#line}; looked at ${accepted}, missing ${missing}, ` +
      `doubled ${doubled}, stale ${stale}, else wrong ${violations.length}`;
    if (this.#timer) process.stdout.write(`\r${line.slice(0, 118).padEnd(118)}`);
    else console.log(line);
  }
}
