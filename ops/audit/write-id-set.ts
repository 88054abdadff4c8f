/** A set doubles when it is this full; beyond it, a look takes many steps. */
const MOST_FULL = 0.6;
const FIRST_SLOTS = 1 << 16;
const WORDS = 4;

/**
 * A set of write ids in 16 bytes each: at most 54 bytes an id with the room to grow, where a
 * `Set` of strings takes about 120. Only what `isWriteId` allows may be added.
 */
export class WriteIdSet {
  /** Number of ids. */
  size = 0;
  #slots = FIRST_SLOTS;
  #words = new Uint32Array(FIRST_SLOTS * WORDS);

  /** Adds an id; false where it was there already. */
  add(id: string): boolean {
    if (this.size >= this.#slots * MOST_FULL) this.#grow();
    const isNew = this.#put(
      Number.parseInt(id.slice(0, 8), 16),
      Number.parseInt(id.slice(9, 13) + id.slice(14, 18), 16),
      Number.parseInt(id.slice(19, 23) + id.slice(24, 28), 16),
      Number.parseInt(id.slice(28), 16),
    );
    if (isNew) this.size += 1;
    return isNew;
  }

  #put(first: number, second: number, third: number, fourth: number): boolean {
    const words = this.#words;
    const hash = Math.imul(fourth ^ Math.imul(third, 0x85ebca6b) ^ second, 0x9e3779b1) ^ first;
    for (let slot = hash >>> 0; ; slot += 1) {
      const at = (slot & (this.#slots - 1)) * WORDS;
      // The version digit stands in the second word, which no id therefore leaves at 0.
      if (words[at + 1] === 0) {
        words[at] = first;
        words[at + 1] = second;
        words[at + 2] = third;
        words[at + 3] = fourth;
        return true;
      }
      if (
        words[at] === first &&
        words[at + 1] === second &&
        words[at + 2] === third &&
        words[at + 3] === fourth
      )
        return false;
    }
  }

  #grow(): void {
    const old = this.#words;
    this.#slots *= 2;
    this.#words = new Uint32Array(this.#slots * WORDS);
    for (let at = 0; at < old.length; at += WORDS)
      if (old[at + 1] !== 0)
        this.#put(
          old[at] as number,
          old[at + 1] as number,
          old[at + 2] as number,
          old[at + 3] as number,
        );
  }
}
