/**
 * The faults that this Pub/Sub can inject. Production may do each of them, if rarely; a rate of 0.1
 * applies to every tenth message, call or batch.
 */
export const FAULTS = {
  duplicate: "delivers a message twice to the same subscriber",
  twoAtOnce: "delivers a message to two subscribers at once",
  reorder: "takes a later message before the next one",
  delay: "delivers a message up to two seconds late",
  dropAck: "loses an acknowledgement that it answered",
  dropExtension: "loses an extension, so that a message is redelivered after its first deadline",
  expireEarly: "ends a lease before its deadline",
  unavailable: "answers a call for messages UNAVAILABLE, half of them after it was done",
  hang: "never answers a call for messages, half of them after it was done",
  cut: "ends a streaming pull after a batch",
  storm: "pushes a message five times at once, whatever the window is",
} as const;

export type Fault = keyof typeof FAULTS;
export type Rates = Partial<Record<Fault, number>>;

/** A low rate of every fault. */
export const CHAOS: Rates = {
  duplicate: 0.05,
  twoAtOnce: 0.05,
  reorder: 0.3,
  delay: 0.02,
  dropAck: 0.02,
  dropExtension: 0.05,
  expireEarly: 0.01,
  unavailable: 0.03,
  hang: 0.002,
  cut: 0.01,
  storm: 0.02,
};

/**
 * Decides which faults happen. Each fault has random numbers of its own, all made from the seed: the
 * same seed gives the same decisions in the same order, fault by fault, whatever the others do.
 */
export class Faults {
  readonly #decisions: Record<Fault, () => number>;
  readonly #amounts: Record<Fault, () => number>;
  #rates: Rates = {};
  #counts: Rates = {};

  constructor(seed = 0) {
    this.#decisions = mapFaults((fault) => createRandom(`${seed} ${fault}`));
    this.#amounts = mapFaults((fault) => createRandom(`${seed} amount ${fault}`));
  }

  get rates(): Rates {
    return { ...this.#rates };
  }

  /** How often each has happened. */
  get counts(): Rates {
    return { ...this.#counts };
  }

  /** Sets the rates of these; the others stay. Throws a RangeError where there is no such fault. */
  set(rates: Rates): void {
    for (const [fault, rate] of Object.entries(rates)) {
      if (!Object.hasOwn(FAULTS, fault)) throw new RangeError(`There is no fault "${fault}".`);
      if (!(rate >= 0 && rate <= 1))
        throw new RangeError(`The rate of ${fault} must be from 0 to 1, not ${rate}.`);
    }
    this.#rates = { ...this.#rates, ...rates };
  }

  clear(): void {
    this.#rates = {};
  }

  /** Whether the fault happens this time. */
  hits(fault: Fault): boolean {
    const rate = this.#rates[fault];
    if (!rate || this.#decisions[fault]() >= rate) return false;
    this.#counts[fault] = (this.#counts[fault] ?? 0) + 1;
    return true;
  }

  /** By how much: from 0 up to, not including, `max`. */
  amount(fault: Fault, max: number): number {
    return this.#amounts[fault]() * max;
  }
}

function mapFaults<T>(make: (fault: Fault) => T): Record<Fault, T> {
  const faults = Object.keys(FAULTS) as Fault[];
  return Object.fromEntries(faults.map((fault) => [fault, make(fault)])) as Record<Fault, T>;
}

/** Numbers from 0 to 1, always the same ones for the same text (FNV-1a, then mulberry32). */
export function createRandom(text: string): () => number {
  let state = 0x811c9dc5;
  for (const character of text)
    state = Math.imul(state ^ (character.codePointAt(0) as number), 0x01000193);
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
