/** Counts the bytes that are held together against a limit. */
export class ByteBudget {
  readonly #limit: number;
  #held = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Takes bytes, or none where the limit would be exceeded. */
  take(bytes: number): boolean {
    if (this.#held + bytes > this.#limit) return false;
    this.#held += bytes;
    return true;
  }

  /** Takes bytes that are there already, also past the limit. */
  add(bytes: number): void {
    this.#held += bytes;
  }

  /** Gives back bytes that were taken. */
  give(bytes: number): void {
    this.#held -= bytes;
  }
}
