import type { Consumer } from "./delivery.ts";
import type { Faults } from "./faults.ts";
import { Queue } from "./queue.ts";
import type { Timed } from "./wheel.ts";
import type { Message } from "./wire.ts";

/** A message that is not acknowledged. */
export type Entry = Timed & {
  readonly message: Message;
  attempts: number;
  /** The number of its lease; none while nobody has it. */
  lease: string | undefined;
  holder: Consumer | undefined;
  /** By the fault `delay`, which happens to it once. */
  wasDelayed: boolean;
};

/** How far from its place a message is taken by the fault `reorder`. */
const REORDER_DISTANCE = 1_000;
/** How late a message comes at most by the fault `delay`. */
const MOST_DELAY_MS = 2_000;

/** The entries that may be delivered now, in their order, unless a fault has it otherwise. */
export class Ready {
  readonly #queue = new Queue<Entry>();
  readonly #faults: Faults;
  readonly #isOpen: (entry: Entry) => boolean;
  readonly #keepBack: (entry: Entry, delayMs: number) => void;

  /** `isOpen` says of an entry that it was not settled meanwhile. */
  constructor(options: {
    faults: Faults;
    isOpen: (entry: Entry) => boolean;
    keepBack: (entry: Entry, delayMs: number) => void;
  }) {
    this.#faults = options.faults;
    this.#isOpen = options.isOpen;
    this.#keepBack = options.keepBack;
  }

  /** Counts what was settled meanwhile, too. */
  get length(): number {
    return this.#queue.length;
  }

  push(entry: Entry): void {
    this.#queue.push(entry);
  }

  take(): Entry | undefined {
    const faults = this.#faults;
    for (;;) {
      if (faults.hits("reorder"))
        this.#queue.swapFirst(Math.floor(faults.amount("reorder", REORDER_DISTANCE)));
      const entry = this.#queue.shift();
      if (!entry) return undefined;
      if (!this.#isOpen(entry)) continue;
      if (entry.wasDelayed || !faults.hits("delay")) return entry;
      entry.wasDelayed = true;
      this.#keepBack(entry, faults.amount("delay", MOST_DELAY_MS));
    }
  }
}
