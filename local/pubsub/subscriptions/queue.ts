/** The consumed front of the array is dropped once it has this many items. */
const MIN_CUT = 1_024;

/** First in, first out, in constant time whatever the length. */
export class Queue<Item> {
  #items: (Item | undefined)[] = [];
  #head = 0;

  get length(): number {
    return this.#items.length - this.#head;
  }

  push(item: Item): void {
    this.#items.push(item);
  }

  shift(): Item | undefined {
    if (this.#head === this.#items.length) return undefined;
    const item = this.#items[this.#head];
    this.#items[this.#head] = undefined;
    this.#head += 1;
    if (this.#head >= MIN_CUT && this.#head * 2 >= this.#items.length) {
      this.#items = this.#items.slice(this.#head);
      this.#head = 0;
    }
    return item;
  }

  /** Swaps the first item with the one `distance` behind it. */
  swapFirst(distance: number): void {
    const other = this.#head + distance;
    if (other >= this.#items.length) return;
    const first = this.#items[this.#head];
    this.#items[this.#head] = this.#items[other];
    this.#items[other] = first;
  }
}
