/** Whole numbers of writes, first in, first out, with the second in which each came. */
export class Waiting {
  count = 0;
  readonly #cohorts: { at: number; count: number }[] = [];
  #first = 0;

  /** The second in which the oldest came. */
  get oldest(): number | undefined {
    return this.#cohorts[this.#first]?.at;
  }

  add(at: number, count: number): void {
    if (count === 0) return;
    this.#cohorts.push({ at, count });
    this.count += count;
  }

  /** Takes out the oldest, as many as there are; returns how many that were. */
  take(most: number): number {
    let taken = 0;
    for (let cohort = this.#cohorts[this.#first]; cohort && taken < most; ) {
      const count = Math.min(cohort.count, most - taken);
      cohort.count -= count;
      taken += count;
      if (cohort.count > 0) break;
      this.#first += 1;
      cohort = this.#cohorts[this.#first];
    }
    this.count -= taken;
    return taken;
  }

  /** Takes out all that came in the given second or before; returns how many that were. */
  dropOlderThan(at: number): number {
    let dropped = 0;
    for (let cohort = this.#cohorts[this.#first]; cohort && cohort.at <= at; ) {
      dropped += cohort.count;
      this.#first += 1;
      cohort = this.#cohorts[this.#first];
    }
    this.count -= dropped;
    return dropped;
  }
}
