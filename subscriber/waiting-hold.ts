import type { Batcher } from "../common/batcher.ts";
import { WAITING_HOLD } from "../common/limits.ts";
import type { Decision } from "./decide.ts";
import { getMessageBytes, type Message } from "./message.ts";

type Settle = Pick<Batcher<Message, Decision>, "add">;

/** The id of a held message's item, and how it is woken. */
type Held = { item: string; wake: () => void };

/**
 * Settles messages, and holds those that are *not yet* to be settled: until this process has settled
 * another write of the item, and for {@link WAITING_HOLD}.ms at most. What is not settled by then, or
 * what is too much to be held, is given back.
 */
export class WaitingHold {
  readonly #batcher: Settle;
  readonly #stop: AbortSignal;
  readonly #limits: typeof WAITING_HOLD;
  /** So few that each is looked at whenever something is settled. */
  readonly #held = new Set<Held>();
  #bytes = 0;

  constructor(options: { batcher: Settle; stop: AbortSignal; limits?: typeof WAITING_HOLD }) {
    this.#batcher = options.batcher;
    this.#stop = options.stop;
    this.#limits = options.limits ?? WAITING_HOLD;
    options.stop.addEventListener("abort", () => {
      for (const { wake } of this.#held) wake();
    });
  }

  /** As the batcher's `add`; resolves with `not-yet` where the message is to be given back. */
  async add(message: Message): Promise<Decision> {
    const untilMs = performance.now() + this.#limits.ms;
    for (;;) {
      const decision = await this.#batcher.add(message);
      const leftMs = untilMs - performance.now();
      if (decision.kind !== "not-yet" || leftMs <= 0 || !this.#hasRoom(message)) return decision;
      await this.#hold(message, Math.min(leftMs, this.#limits.lookMs));
      // The batcher takes nothing any more.
      if (this.#stop.aborted) return decision;
    }
  }

  /** Has another look at what is held of these items, by their ids. */
  wake(items: readonly string[]): void {
    for (const { item, wake } of this.#held) if (items.includes(item)) wake();
  }

  #hasRoom(message: Message): boolean {
    const { maxMessages, maxBytes } = this.#limits;
    const bytes = this.#bytes + getMessageBytes(message);
    const isRoom = this.#held.size < maxMessages && bytes <= maxBytes;
    return isRoom && !this.#stop.aborted;
  }

  async #hold(message: Message, ms: number): Promise<void> {
    const bytes = getMessageBytes(message);
    const { promise, resolve } = Promise.withResolvers<void>();
    const held = { item: message.attributes["ce-subject"] as string, wake: resolve };
    this.#held.add(held);
    this.#bytes += bytes;
    const timer = setTimeout(resolve, ms);
    await promise;
    clearTimeout(timer);
    this.#held.delete(held);
    this.#bytes -= bytes;
  }
}
