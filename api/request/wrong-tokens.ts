import { RATE_WINDOW_MS, TOKENS } from "../../common/limits.ts";

/**
 * Counts the wrong tokens of each address in a window of {@link RATE_WINDOW_MS}. To find out that a
 * token is wrong takes a signature's work, which an address may cause only so often; 0 for no limit.
 */
export class WrongTokens {
  readonly #most: number;
  readonly #counts = new Map<string, number>();
  #endsAtMs = 0;

  constructor({ RATE_LIMIT_PER_MINUTE }: { RATE_LIMIT_PER_MINUTE: number }) {
    this.#most = RATE_LIMIT_PER_MINUTE * TOKENS.wrongPerLimit || Number.POSITIVE_INFINITY;
  }

  /** Whether an address has sent too many to have another token verified. */
  isExceeded(address: string): boolean {
    if (performance.now() >= this.#endsAtMs) this.#counts.clear();
    return (this.#counts.get(address) ?? 0) >= this.#most;
  }

  add(address: string): void {
    if (this.#counts.size === 0) this.#endsAtMs = performance.now() + RATE_WINDOW_MS;
    if (this.#counts.size >= TOKENS.countedAddresses) this.#counts.clear();
    this.#counts.set(address, (this.#counts.get(address) ?? 0) + 1);
  }
}
