import { DeadlineExceededError } from "./deadline.ts";

/**
 * Further turns of the event loop that a batch waits for while each brings more items. Under load,
 * four gather most of what there is (docs/decisions/2026-11-28-googles-client-is-back.md).
 */
const MAX_FURTHER_TURNS = 4;

/**
 * The group commit. Items that are added while earlier batches are under way form the next batch, so
 * that one call of `dispatch` serves many. `dispatch` returns a result for each item, so that one
 * item can fail alone.
 *
 * - A batch is dispatched if none is under way, or if fewer than `maxConcurrent` are and it has at
 *   least `minBatchWhileBusy` items; otherwise when a batch ends.
 * - It is dispatched at the end of the event loop's turn in which its first item was added, or up to
 *   four turns later while each turn adds more. No timer delays it, so a single item does not wait.
 * - Items of one key are never in two batches at once, because the caller handles them one after the
 *   other.
 *
 * The idea is that of graphql/dataloader; the name is from InnoDB's group commit.
 */
export class Batcher<Item, Result> {
  readonly #options: BatcherOptions<Item, Result>;
  readonly #queue: Waiting<Item, Result>[] = [];
  readonly #running: Batch<Item, Result>[] = [];
  #heldBytes = 0;
  #scheduled = false;
  #draining: PromiseWithResolvers<void> | undefined;
  #deadlineTimer: NodeJS.Timeout | undefined;

  /** Throws a RangeError naming the option where a limit is not a whole number above zero. */
  constructor(options: BatcherOptions<Item, Result>) {
    for (const name of [
      "maxItems",
      "maxBytes",
      "maxConcurrent",
      "minBatchWhileBusy",
      "maxQueued",
    ] as const) {
      const limit = options[name];
      if (!Number.isInteger(limit) || limit < 1)
        throw new RangeError(
          `Batcher: ${name} must be a whole number of at least 1, not ${limit}.`,
        );
    }
    this.#options = options;
  }

  /** Items waiting for a batch; those under way are not counted. */
  get queued(): number {
    return this.#queue.length;
  }

  /**
   * Resolves or rejects with the item's own result. Rejects at once with {@link QueueFullError} when
   * `maxQueued` items wait already, or `maxHeldBytes` would be exceeded; with
   * {@link DeadlineExceededError} after `deadlineMs`; and with an Error once {@link drain} was called.
   */
  add(item: Item): Promise<Result> {
    if (this.#draining) return Promise.reject(new Error("Batcher: add() after drain()."));
    const { maxQueued, maxHeldBytes = Number.POSITIVE_INFINITY, getSize, getKey } = this.#options;
    const bytes = getSize?.(item) ?? 0;
    const isTooMuch = this.#heldBytes > 0 && this.#heldBytes + bytes > maxHeldBytes;
    if (isTooMuch || this.#queue.length >= maxQueued)
      return Promise.reject(new QueueFullError(this.#queue.length));
    return new Promise((resolve, reject) => {
      const waiting = { item, bytes, key: getKey?.(item), resolve, reject, deadlineAt: 0 };
      this.#heldBytes += bytes;
      this.#queue.push(waiting);
      this.#setDeadline(waiting);
      this.#schedule();
    });
  }

  /** Refuses further items; resolves when every item added before has its result. */
  drain(): Promise<void> {
    this.#draining ??= Promise.withResolvers<void>();
    this.#resolveDrain();
    return this.#draining.promise;
  }

  #schedule(): void {
    if (this.#scheduled || !this.#mayDispatch()) return;
    this.#scheduled = true;
    this.#waitForTurn(MAX_FURTHER_TURNS);
  }

  #waitForTurn(furtherTurns: number): void {
    const before = this.#queue.length;
    setImmediate(() => {
      const isGrowing = this.#queue.length > before && before < this.#options.maxItems;
      if (isGrowing && furtherTurns > 0) return this.#waitForTurn(furtherTurns - 1);
      this.#scheduled = false;
      this.#dispatchReady();
    });
  }

  #dispatchReady(): void {
    while (this.#mayDispatch()) {
      const batch = this.#takeBatch();
      if (batch.length === 0) return;
      void this.#dispatch(batch);
    }
  }

  #mayDispatch(): boolean {
    const { maxConcurrent, minBatchWhileBusy } = this.#options;
    const min = this.#running.length === 0 ? 1 : minBatchWhileBusy;
    return this.#running.length < maxConcurrent && this.#queue.length >= min;
  }

  #isBusy({ key }: Waiting<Item, Result>): boolean {
    return key !== undefined && this.#running.some(({ keys }) => keys.has(key));
  }

  /** Items are added in the order of their deadlines, so one timer, for the oldest, serves them all. */
  #setDeadline(waiting: Waiting<Item, Result>): void {
    const { deadlineMs } = this.#options;
    if (deadlineMs === undefined) return;
    waiting.deadlineAt = performance.now() + deadlineMs;
    this.#deadlineTimer ??= setTimeout(() => this.#rejectLate(), deadlineMs);
  }

  /**
   * Rejects the late items of the batches and of the queue, which are in the order of their deadlines.
   * A Set with steady adds and deletes keeps its old backing tables alive until a major garbage
   * collection, so arrays are used.
   */
  #rejectLate(): void {
    const now = performance.now();
    const isInTime = ({ deadlineAt }: Waiting<Item, Result>) => deadlineAt > now;
    let nextAt = Number.POSITIVE_INFINITY;
    for (const waitingList of [...this.#running.map(({ items }) => items), this.#queue]) {
      const late = countUntil(waitingList, isInTime);
      // In a batch, some have a result already; for these, reject() has no effect.
      for (const { reject } of waitingList.slice(0, late)) reject(new DeadlineExceededError());
      nextAt = Math.min(nextAt, waitingList[late]?.deadlineAt ?? nextAt);
    }
    this.#release(this.#queue.splice(0, countUntil(this.#queue, isInTime)));
    this.#deadlineTimer =
      nextAt === Number.POSITIVE_INFINITY
        ? undefined
        : setTimeout(() => this.#rejectLate(), nextAt - now);
    this.#resolveDrain();
  }

  /**
   * As many as `maxItems` and `maxBytes` allow; one item always, however large it is. Items whose key
   * is under way keep their places; where the others are fewer than `minBatchWhileBusy`, all do.
   */
  #takeBatch(): Waiting<Item, Result>[] {
    const { maxItems, maxBytes, minBatchWhileBusy } = this.#options;
    const taken: Waiting<Item, Result>[] = [];
    const left: Waiting<Item, Result>[] = [];
    let index = 0;
    for (let bytes = 0; index < this.#queue.length && taken.length < maxItems; index += 1) {
      const waiting = this.#queue[index] as Waiting<Item, Result>;
      if (this.#isBusy(waiting)) {
        left.push(waiting);
        continue;
      }
      bytes += waiting.bytes;
      if (bytes > maxBytes && taken.length > 0) break;
      taken.push(waiting);
    }
    const isAll = index === this.#queue.length;
    if (isAll && this.#running.length > 0 && taken.length < minBatchWhileBusy) return [];
    this.#queue.splice(0, index, ...left);
    return taken;
  }

  async #dispatch(batch: Waiting<Item, Result>[]): Promise<void> {
    const running = { items: batch, keys: new Set(batch.flatMap(({ key }) => key ?? [])) };
    this.#running.push(running);
    try {
      const results = await this.#options.dispatch(batch.map(({ item }) => item));
      if (results.length !== batch.length)
        throw new Error(
          `Batcher: dispatch must answer ${batch.length} items, but answered ${results.length}.`,
        );
      batch.forEach(({ resolve, reject }, index) => {
        const result = results[index] as Result | Error;
        if (result instanceof Error) reject(result);
        else resolve(result);
      });
    } catch (error) {
      for (const { reject } of batch) reject(error);
    }
    this.#running.splice(this.#running.indexOf(running), 1);
    this.#release(batch);
    this.#dispatchReady();
    this.#resolveDrain();
  }

  #release(items: readonly Waiting<Item, Result>[]): void {
    for (const { bytes } of items) this.#heldBytes -= bytes;
  }

  #resolveDrain(): void {
    if (this.#running.length > 0 || this.#queue.length > 0) return;
    if (this.#draining) clearTimeout(this.#deadlineTimer);
    this.#draining?.resolve();
  }
}

export type BatcherOptions<Item, Result> = {
  /** Answers each item in order, with its result or with an Error; throws to fail them all. */
  dispatch: (items: Item[]) => Promise<(Result | Error)[]>;
  maxItems: number;
  /** Counted by `getSize`; a single larger item goes alone. */
  maxBytes: number;
  maxConcurrent: number;
  /** The fewest items for which a batch is dispatched while another is under way. */
  minBatchWhileBusy: number;
  maxQueued: number;
  /** Of all items that wait or are under way, counted by `getSize`; a single larger one is taken. */
  maxHeldBytes?: number;
  /** An item without a result by then is rejected; one that still waits is not dispatched any more. */
  deadlineMs?: number;
  getSize?: (item: Item) => number;
  /** Items of one key are never in two batches under way. Without any, items wait for no other. */
  getKey?: (item: Item) => string | undefined;
};

/** `add` found `maxQueued` items waiting, or `maxHeldBytes` held. The caller should try again later. */
export class QueueFullError extends Error {
  constructor(queued: number) {
    super(`The queue is full: ${queued} items wait already.`);
    this.name = "QueueFullError";
  }
}

type Batch<Item, Result> = { items: readonly Waiting<Item, Result>[]; keys: ReadonlySet<string> };

type Waiting<Item, Result> = {
  item: Item;
  bytes: number;
  key: string | undefined;
  resolve: (result: Result) => void;
  reject: (error: unknown) => void;
  /** The deadline, by the clock of the process; unused where there is none. */
  deadlineAt: number;
};

/** The number of items before the first that `isFound`. */
function countUntil<Item>(items: readonly Item[], isFound: (item: Item) => boolean): number {
  const index = items.findIndex(isFound);
  return index < 0 ? items.length : index;
}
