/** The front of the array is cut off once this much of it has been taken. */
const LEAST_CUT = 1_024;

/** First in, first out, at the same small cost whatever the length. */
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
    if (this.#head >= LEAST_CUT && this.#head * 2 >= this.#items.length) {
      this.#items = this.#items.slice(this.#head);
      this.#head = 0;
    }
    return item;
  }

  /** Changes the first item's place with that of the one `distance` behind it. */
  swapFirst(distance: number): void {
    const other = this.#head + distance;
    if (other >= this.#items.length) return;
    const first = this.#items[this.#head];
    this.#items[this.#head] = this.#items[other];
    this.#items[other] = first;
  }
}
