import type { Faults } from "../faults.ts";
import type { Message } from "../wire.ts";
import type { Consumer } from "./delivery.ts";
import { Queue } from "./queue.ts";
import type { Timed } from "./timing-wheel.ts";

/** A message that is not acknowledged. */
export type Entry = Timed & {
  readonly message: Message;
  attempts: number;
  /** The id of its lease; undefined while it is not leased. */
  lease: string | undefined;
  holder: Consumer | undefined;
  /** By the fault `delay`, which delays each entry once at most. */
  wasDelayed: boolean;
};

/** An entry that was not delivered yet. */
export function createEntry(message: Message): Entry {
  return {
    message,
    attempts: 0,
    slot: undefined,
    wasDelayed: false,
    lease: undefined,
    holder: undefined,
  };
}

/** How far from its place a message is taken by the fault `reorder`. */
const REORDER_DISTANCE = 1_000;
/** How late a message is delivered at most by the fault `delay`. */
const MAX_DELAY_MS = 2_000;

/** The entries that may be delivered now, in order, unless a fault changes it. */
export class DeliveryQueue {
  readonly #queue = new Queue<Entry>();
  readonly #faults: Faults;
  readonly #isOpen: (entry: Entry) => boolean;
  readonly #keepBack: (entry: Entry, delayMs: number) => void;

  /** `isOpen` returns whether an entry is still unsettled; `keepBack` delays one. */
  constructor(options: {
    faults: Faults;
    isOpen: (entry: Entry) => boolean;
    keepBack: (entry: Entry, delayMs: number) => void;
  }) {
    this.#faults = options.faults;
    this.#isOpen = options.isOpen;
    this.#keepBack = options.keepBack;
  }

  /** Includes entries that were settled while they were queued. */
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
      this.#keepBack(entry, faults.amount("delay", MAX_DELAY_MS));
    }
  }
}
