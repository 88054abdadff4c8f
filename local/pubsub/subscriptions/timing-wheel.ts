/** An item that the wheel can hold; only the wheel sets `slot`. */
export type Timed = { slot: number | undefined };

/** A lease expires up to this late; short compared with the shortest lease, 10 s. */
const TICK_MS = 20;

/**
 * A timing wheel: timeouts of very many items by one timer. An item is in the slot of its tick, so
 * setting, moving and cancelling cost an insertion into a set and a deletion. An item may be due up
 * to a tick late. The clock is the monotonic one.
 */
export class TimingWheel<Item extends Timed> {
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
    const slot = Math.max(toTick(performance.now() + afterMs) + 1, this.#passed + 1);
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
    this.#passed = toTick(performance.now());
    this.#timer = setInterval(() => this.#turn(), TICK_MS);
  }

  #turn(): void {
    const now = toTick(performance.now());
    while (this.#passed < now) {
      this.#passed += 1;
      // The callback of one item may cancel the next.
      for (const item of this.#slots.get(this.#passed) ?? []) {
        this.cancel(item);
        this.#onDue(item);
      }
    }
    if (this.#slots.size === 0) this.clear();
  }
}

function toTick(timeMs: number): number {
  return Math.floor(timeMs / TICK_MS);
}
