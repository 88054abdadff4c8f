/** Counts the bytes that are reserved together against a limit. */
export class ByteBudget {
  readonly #limit: number;
  #reserved = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Reserves bytes; false, and none, where the limit would be exceeded. */
  tryReserve(bytes: number): boolean {
    if (this.#reserved + bytes > this.#limit) return false;
    this.#reserved += bytes;
    return true;
  }

  /** Reserves bytes that are in memory already, also past the limit. */
  forceReserve(bytes: number): void {
    this.#reserved += bytes;
  }

  /** Gives back bytes that were reserved. */
  release(bytes: number): void {
    this.#reserved -= bytes;
  }
}
