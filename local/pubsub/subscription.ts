import type { Consumer, Delivery } from "./delivery.ts";
import type { Faults } from "./faults.ts";
import { type Filter, parseFilter } from "./filter.ts";
import { formatAckId, LeaseNumbers, parseAckId } from "./leases.ts";
import { Ordering } from "./ordering.ts";
import { Queue } from "./queue.ts";
import type { Refusal } from "./refusal.ts";
import { type Timed, Wheel } from "./wheel.ts";
import { decodeMessage, type Message, msOf, type SubscriptionConfig } from "./wire.ts";

export type SubscriptionOptions = {
  config: SubscriptionConfig;
  /** Tells this subscription from an earlier one of the same name. */
  uid: string;
  createdAtMs: number;
  faults: Faults;
  /** Told which messages are settled, once they are. */
  onSettled: (messageIds: string[]) => void;
  /** Takes a message that was delivered as often as it may be; false where it cannot. */
  onExhausted: (message: Message, attempts: number) => boolean;
};

/** A message that is not acknowledged. */
type Entry = Timed & {
  readonly message: Message;
  attempts: number;
  /** The number of its lease; none while nobody has it. */
  lease: string | undefined;
  holder: Consumer | undefined;
};

/** Of one response of a streaming pull: few enough that several subscribers share a burst. */
const BATCH_MESSAGES = 500;
const BATCH_BYTES = 4_000_000;
/** Production's backoff where a retry policy leaves out a part. */
const BACKOFF_MS = { least: 10_000, most: 600_000 };
/** How far from its place a message is taken by the fault `reorder`. */
const REORDER_DISTANCE = 1_000;
const MOST_DELAY_MS = 2_000;

/**
 * The messages of a subscription that are not acknowledged, and who has them.
 *
 * An entry is in one of four places: ready in the queue; leased, and in the wheel until its
 * deadline; backing off, and in the wheel until then; or behind another one of its ordering key,
 * of which one is under way at a time. What was settled while it was ready is left in the queue
 * and passed over there.
 */
export class Subscription {
  config: SubscriptionConfig;
  readonly uid: string;
  readonly createdAtMs: number;
  readonly #filter: Filter | undefined;
  readonly #options: SubscriptionOptions;
  readonly #entries = new Map<string, Entry>();
  readonly #ready = new Queue<Entry>();
  readonly #wheel = new Wheel<Entry>((entry) => this.#onDue(entry));
  readonly #leaseNumbers = new LeaseNumbers();
  readonly #ordering = new Ordering<Entry>();
  readonly #consumers = new Set<Consumer>();
  #turn = 0;
  #isWoken = false;

  constructor(options: SubscriptionOptions) {
    this.uid = options.uid;
    this.createdAtMs = options.createdAtMs;
    this.#filter = options.config.filter ? parseFilter(options.config.filter) : undefined;
    this.config = options.config;
    this.#options = options;
  }

  /** The messages that are not acknowledged, in the order in which they came. */
  get backlog(): Message[] {
    return [...this.#entries.values()].map(({ message }) => message);
  }

  get backlogSize(): number {
    return this.#entries.size;
  }

  /** Takes those that its filter lets through; the others are settled by that. */
  add(messages: readonly Message[]): void {
    for (const message of messages)
      if (this.#filter?.(decodeMessage(message.bytes).attributes ?? {}) ?? true)
        this.#addOne(message);
    this.wake();
  }

  attach(consumer: Consumer): void {
    this.#consumers.add(consumer);
    this.wake();
  }

  /** What it holds stays leased until the deadlines: it may only have lost its connection. */
  detach(consumer: Consumer): void {
    this.#consumers.delete(consumer);
  }

  /** Ends every consumer; for a subscription that is deleted, or changes between pull and push. */
  endConsumers(refusal: Refusal): void {
    for (const consumer of this.#consumers) consumer.end(refusal);
    this.#consumers.clear();
  }

  /** Forgets all of it. */
  clear(): void {
    this.#wheel.clear();
    for (const entry of this.#entries.values()) this.#endLease(entry);
    this.#entries.clear();
    this.#ordering.clear();
  }

  /**
   * Settles messages, also by an ack id whose lease is over: production says that this may
   * succeed. Unknown ids are of messages that are settled already.
   */
  acknowledge(ackIds: readonly string[]): void {
    const settled: string[] = [];
    for (const { subscription, messageId } of ackIds.map(parseAckId)) {
      const entry = subscription === this.uid && this.#entries.get(messageId);
      if (!entry || this.#options.faults.hits("dropAck")) continue;
      this.#settle(entry);
      settled.push(messageId);
    }
    if (settled.length > 0) this.#options.onSettled(settled);
    this.wake();
  }

  /** Settles messages by their ids, and tells nobody: it is known. */
  settle(messageIds: readonly string[]): void {
    for (const id of messageIds) {
      const entry = this.#entries.get(id);
      if (entry) this.#settle(entry);
    }
  }

  /** Moves the deadline of leases; 0 gives the message back. A lease that is over has none. */
  modify(ackIds: readonly string[], seconds: number): void {
    for (const { messageId, lease } of ackIds.map(parseAckId)) {
      const entry = this.#entries.get(messageId);
      if (!entry?.lease || entry.lease !== lease) continue;
      if (seconds === 0) this.#giveBack(entry);
      else if (!this.#options.faults.hits("dropExtension"))
        this.#setDeadline(entry, seconds * 1_000);
    }
    this.wake();
  }

  /** Makes exactly these the messages that are not acknowledged. */
  replace(messages: readonly Message[]): void {
    const wanted = new Set(messages.map(({ id }) => id));
    for (const entry of this.#entries.values())
      if (!wanted.has(entry.message.id)) this.#settle(entry);
    this.add(messages.filter(({ id }) => !this.#entries.has(id)));
  }

  /** Lets go what was published before; returns the ids. */
  expire(beforeMs: number): string[] {
    const old = this.backlog.filter(({ publishedAtMs }) => publishedAtMs < beforeMs);
    const ids = old.map(({ id }) => id);
    this.settle(ids);
    return ids;
  }

  /** Delivers at the end of the event loop's turn, so that what comes together leaves together. */
  wake(): void {
    if (this.#isWoken || this.#consumers.size === 0) return;
    this.#isWoken = true;
    setImmediate(() => {
      this.#isWoken = false;
      this.#deliver();
    });
  }

  #addOne(message: Message): void {
    const entry: Entry = {
      ...{ message, attempts: 0, lease: undefined, holder: undefined, slot: undefined },
    };
    this.#entries.set(message.id, entry);
    const mustWait = this.config.enableMessageOrdering && this.#ordering.queue(entry);
    if (!mustWait) this.#ready.push(entry);
  }

  #deliver(): void {
    while (this.#ready.length > 0) {
      const hungry = [...this.#consumers].filter((consumer) => consumer.hasRoom());
      if (hungry.length === 0) return;
      const share = Math.min(Math.ceil(this.#ready.length / hungry.length), BATCH_MESSAGES);
      this.#turn += 1;
      for (let index = 0; index < hungry.length; index += 1)
        this.#serve(hungry[(this.#turn + index) % hungry.length] as Consumer, share);
    }
  }

  #serve(consumer: Consumer, share: number): void {
    const batch: Delivery[] = [];
    let bytes = 0;
    while (batch.length < share && bytes < BATCH_BYTES && consumer.hasRoom()) {
      const entry = this.#takeReady();
      if (!entry) break;
      bytes += entry.message.bytes.length;
      batch.push(this.#lease(entry, consumer));
      if (this.#options.faults.hits("duplicate")) batch.push(this.#describe(entry));
      if (this.#options.faults.hits("twoAtOnce")) this.#deliverToAnother(entry);
    }
    if (batch.length > 0) consumer.take(batch);
  }

  #takeReady(): Entry | undefined {
    const { faults } = this.#options;
    for (;;) {
      if (faults.hits("reorder"))
        this.#ready.swapFirst(Math.floor(faults.amount("reorder", REORDER_DISTANCE)));
      const entry = this.#ready.shift();
      if (!entry) return undefined;
      if (this.#entries.get(entry.message.id) !== entry) continue;
      if (!faults.hits("delay")) return entry;
      this.#wheel.set(entry, faults.amount("delay", MOST_DELAY_MS));
    }
  }

  #lease(entry: Entry, consumer: Consumer): Delivery {
    entry.attempts += 1;
    entry.lease = this.#leaseNumbers.next();
    entry.holder = consumer;
    consumer.hold(entry.message);
    this.#setDeadline(entry, consumer.leaseMs);
    return this.#describe(entry);
  }

  #setDeadline(entry: Entry, leaseMs: number): void {
    const { faults } = this.#options;
    this.#wheel.set(
      entry,
      faults.hits("expireEarly") ? faults.amount("expireEarly", leaseMs) : leaseMs,
    );
  }

  #describe({ message, lease = "", attempts }: Entry): Delivery {
    return {
      ackId: formatAckId({ subscription: this.uid, messageId: message.id, lease }),
      message,
      deliveryAttempt: this.config.deadLetterPolicy ? attempts : 0,
    };
  }

  #deliverToAnother(entry: Entry): void {
    const other = [...this.#consumers].find((one) => one !== entry.holder && one.hasRoom());
    other?.take([this.#describe(entry)]);
  }

  #onDue(entry: Entry): void {
    if (entry.lease) this.#giveBack(entry);
    else this.#ready.push(entry);
    this.wake();
  }

  /** A nack, or a deadline that has passed. */
  #giveBack(entry: Entry): void {
    this.#endLease(entry);
    const most = this.config.deadLetterPolicy?.maxDeliveryAttempts ?? Number.POSITIVE_INFINITY;
    if (entry.attempts >= most && this.#options.onExhausted(entry.message, entry.attempts)) {
      this.#settle(entry);
      this.#options.onSettled([entry.message.id]);
      return;
    }
    const backoffMs = this.#backoffMs(entry.attempts);
    if (backoffMs > 0) this.#wheel.set(entry, backoffMs);
    else this.#ready.push(entry);
  }

  #backoffMs(attempts: number): number {
    const policy = this.config.retryPolicy;
    if (!policy) return 0;
    const leastMs = msOf(policy.minimumBackoff, BACKOFF_MS.least);
    const mostMs = msOf(policy.maximumBackoff, BACKOFF_MS.most);
    return Math.min(leastMs * 2 ** (attempts - 1), mostMs);
  }

  #settle(entry: Entry): void {
    this.#endLease(entry);
    this.#entries.delete(entry.message.id);
    const next = this.#ordering.settle(entry);
    if (next) this.#ready.push(next);
  }

  #endLease(entry: Entry): void {
    this.#wheel.cancel(entry);
    entry.lease = undefined;
    entry.holder?.release(entry.message);
    entry.holder = undefined;
  }
}
