/** What a wheel can hold; `slot` is the wheel's own. */
export type Timed = { slot: number | undefined };

/** A lease is over up to this much later than it should be; small beside the shortest, 10 s. */
const TICK_MS = 20;

/**
 * Tells when each of very many items is due, with one timer for all of them. An item stands in
 * the slot of its tick; to set, move or cancel one costs a set's insertion and deletion. The
 * price is that an item is due up to a tick late. The clock is the monotonic one.
 */
export class Wheel<Item extends Timed> {
  readonly #onDue: (item: Item) => void;
  readonly #slots = new Map<number, Set<Item>>();
  #timer: NodeJS.Timeout | undefined;
  #passed = 0;

  constructor(onDue: (item: Item) => void) {
    this.#onDue = onDue;
  }

  /** Sets when the item is due, instead of what was set before. */
  set(item: Item, afterMs: number): void {
    this.cancel(item);
    if (!this.#timer) this.#start();
    const slot = Math.max(getTick(performance.now() + afterMs) + 1, this.#passed + 1);
    const items = this.#slots.get(slot) ?? new Set();
    this.#slots.set(slot, items.add(item));
    item.slot = slot;
  }

  cancel(item: Item): void {
    if (item.slot === undefined) return;
    const items = this.#slots.get(item.slot);
    items?.delete(item);
    if (items?.size === 0) this.#slots.delete(item.slot);
    item.slot = undefined;
  }

  clear(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
    for (const items of this.#slots.values()) for (const item of items) this.cancel(item);
  }

  #start(): void {
    this.#passed = getTick(performance.now());
    this.#timer = setInterval(() => this.#turn(), TICK_MS);
  }

  #turn(): void {
    const now = getTick(performance.now());
    while (this.#passed < now) {
      this.#passed += 1;
      // One by one: what is told of an item may cancel the next.
      for (const item of this.#slots.get(this.#passed) ?? []) {
        this.cancel(item);
        this.#onDue(item);
      }
    }
    if (this.#slots.size === 0) this.clear();
  }
}

function getTick(timeMs: number): number {
  return Math.floor(timeMs / TICK_MS);
}
