import type { Message } from "../wire.ts";

/**
 * Of the messages with the same ordering key, one is outstanding at a time; the others wait behind
 * it, in the order in which they were published.
 */
export class Ordering<Item extends { readonly message: Message }> {
  readonly #behind = new Map<string, Set<Item>>();

  /** Adds the item; whether it must wait behind another one with its key. */
  queue(item: Item): boolean {
    const key = item.message.orderingKey;
    if (!key) return false;
    const behind = this.#behind.get(key);
    if (behind) behind.add(item);
    else this.#behind.set(key, new Set());
    return behind !== undefined;
  }

  /** Removes a settled item; returns the one that is next in its key, if any. */
  settle(item: Item): Item | undefined {
    const behind = this.#behind.get(item.message.orderingKey);
    if (!behind || behind.delete(item)) return undefined;
    const [next] = behind;
    if (next) behind.delete(next);
    else this.#behind.delete(item.message.orderingKey);
    return next;
  }

  clear(): void {
    this.#behind.clear();
  }
}
