import type { Batcher } from "../common/batcher.ts";
import { WAITING_HOLD } from "../common/limits.ts";
import type { Decision } from "./decide.ts";
import type { Message } from "./message.ts";

type Settle = Pick<Batcher<Message, Decision>, "add">;

/** How a held message is woken. */
type Held = { wake: () => void };

/**
 * Settles messages, and holds those that are *not yet* to be settled: until this process has settled
 * another write of the item, and for {@link WAITING_HOLD}.ms at most. What is not settled by then, or
 * what is too much to be held, is given back.
 */
export class WaitingHold {
  readonly #batcher: Settle;
  readonly #stop: AbortSignal;
  readonly #limits: typeof WAITING_HOLD;
  readonly #byItem = new Map<string, Set<Held>>();
  #messages = 0;
  #bytes = 0;

  constructor(options: { batcher: Settle; stop: AbortSignal; limits?: typeof WAITING_HOLD }) {
    this.#batcher = options.batcher;
    this.#stop = options.stop;
    this.#limits = options.limits ?? WAITING_HOLD;
    options.stop.addEventListener("abort", () => {
      for (const item of [...this.#byItem.keys()]) this.wake([item]);
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
  wake(items: Iterable<string>): void {
    if (this.#messages === 0) return;
    for (const item of items) for (const held of this.#byItem.get(item) ?? []) held.wake();
  }

  #hasRoom({ data }: Message): boolean {
    const { maxMessages, maxBytes } = this.#limits;
    const isRoom = this.#messages < maxMessages && this.#bytes + data.length <= maxBytes;
    return isRoom && !this.#stop.aborted;
  }

  async #hold({ attributes, data }: Message, ms: number): Promise<void> {
    const item = attributes["ce-subject"] ?? "";
    const { promise, resolve } = Promise.withResolvers<void>();
    const held = { wake: resolve };
    const ofItem = this.#byItem.get(item) ?? new Set();
    this.#byItem.set(item, ofItem.add(held));
    this.#messages += 1;
    this.#bytes += data.length;
    const timer = setTimeout(resolve, ms);
    await promise;
    clearTimeout(timer);
    this.#messages -= 1;
    this.#bytes -= data.length;
    ofItem.delete(held);
    if (ofItem.size === 0) this.#byItem.delete(item);
  }
}
