import type { StatusError } from "../errors.ts";
import type { Faults } from "../faults.ts";
import { computeBackoffMs } from "../services/subscription-config.ts";
import { decodeMessage, type Message, type SubscriptionConfig } from "../wire.ts";
import { formatAckId, LeaseIds, parseAckId } from "./ack-ids.ts";
import { Consumers } from "./consumers.ts";
import type { Consumer, Delivery } from "./delivery.ts";
import { createEntry, DeliveryQueue, type Entry } from "./delivery-queue.ts";
import { type Filter, parseFilter } from "./filter.ts";
import { Ordering } from "./ordering.ts";
import { TimingWheel } from "./timing-wheel.ts";

export type SubscriptionOptions = {
  config: SubscriptionConfig;
  /** Distinguishes this subscription from an earlier one of the same name. */
  uid: string;
  createdAtMs: number;
  faults: Faults;
  /** Called with the ids of messages once they are settled. */
  onSettled: (messageIds: string[]) => void;
  /** Takes a message that was delivered as often as it may be; false where it cannot. */
  onExhausted: (message: Message, attempts: number) => boolean;
};

/** Of one response of a streaming pull: few enough that several subscribers share a burst. */
const BATCH_MESSAGES = 500;
const BATCH_BYTES = 4_000_000;
/** How long a lease lasts at most that `expireEarly` ends. */
const EARLY_MS = 1_000;

/**
 * The messages of a subscription that are not acknowledged, and who has them.
 *
 * An entry is in one of four places: ready in the queue; leased, and in the wheel until its
 * deadline; backing off, and in the wheel until then; or behind another one of its ordering key,
 * of which one is outstanding at a time. An entry that is settled while it is ready stays in the
 * queue and is skipped there.
 */
export class Subscription {
  config: SubscriptionConfig;
  readonly uid: string;
  readonly createdAtMs: number;
  readonly #filter: Filter | undefined;
  readonly #options: SubscriptionOptions;
  readonly #entries = new Map<string, Entry>();
  readonly #ready: DeliveryQueue;
  readonly #wheel = new TimingWheel<Entry>((entry) => this.#onDue(entry));
  readonly #leaseIds = new LeaseIds();
  readonly #ordering = new Ordering<Entry>();
  readonly #consumers = new Consumers();
  #isWoken = false;

  constructor(options: SubscriptionOptions) {
    this.uid = options.uid;
    this.createdAtMs = options.createdAtMs;
    this.#filter = options.config.filter ? parseFilter(options.config.filter) : undefined;
    this.config = options.config;
    this.#options = options;
    this.#ready = new DeliveryQueue({
      faults: options.faults,
      isOpen: (entry) => this.#entries.get(entry.message.id) === entry,
      keepBack: (entry, delayMs) => this.#wheel.set(entry, delayMs),
    });
  }

  /** The messages that are not acknowledged, in the order in which they arrived. */
  get backlog(): Message[] {
    return [...this.#entries.values()].map(({ message }) => message);
  }

  get backlogSize(): number {
    return this.#entries.size;
  }

  /** Adds the messages that its filter matches; the others count as acknowledged. */
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

  /** Its leases stay until their deadlines: it may only have lost its connection. */
  detach(consumer: Consumer): void {
    this.#consumers.delete(consumer);
  }

  /** Ends every consumer; for a subscription that is deleted, or changes between pull and push. */
  endConsumers(error: StatusError): void {
    this.#consumers.end(error);
  }

  /** Drops every message. */
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
    for (const { messageId } of ackIds.map((ackId) => parseAckId(ackId, this.uid))) {
      const entry = this.#entries.get(messageId);
      if (!entry || this.#options.faults.hits("dropAck")) continue;
      this.#settle(entry);
      settled.push(messageId);
    }
    if (settled.length > 0) this.#options.onSettled(settled);
    this.wake();
  }

  /** Settles messages by their ids, without calling onSettled: the caller has the journal's record. */
  settle(messageIds: readonly string[]): void {
    for (const id of messageIds) {
      const entry = this.#entries.get(id);
      if (entry) this.#settle(entry);
    }
  }

  /** Moves the deadline of leases; 0 is a nack. A lease that has expired stays so. */
  modify(ackIds: readonly string[], seconds: number): void {
    for (const { messageId, lease } of ackIds.map((ackId) => parseAckId(ackId, this.uid))) {
      const entry = this.#entries.get(messageId);
      if (!entry?.lease || entry.lease !== lease) continue;
      if (seconds === 0) this.#redeliver(entry);
      else if (!this.#options.faults.hits("dropExtension"))
        this.#setDeadline(entry, seconds * 1_000);
    }
    this.wake();
  }

  /** Makes exactly these messages the unacknowledged ones. */
  replace(messages: readonly Message[]): void {
    const kept = new Set(messages.map(({ id }) => id));
    for (const entry of this.#entries.values())
      if (!kept.has(entry.message.id)) this.#settle(entry);
    this.add(messages.filter(({ id }) => !this.#entries.has(id)));
  }

  /** Delivers at the end of the event loop's turn, so that messages that arrive together are delivered together. */
  wake(): void {
    if (this.#isWoken || this.#consumers.isEmpty) return;
    this.#isWoken = true;
    setImmediate(() => {
      this.#isWoken = false;
      this.#deliver();
    });
  }

  #addOne(message: Message): void {
    const entry = createEntry(message);
    this.#entries.set(message.id, entry);
    const mustWait = this.config.enableMessageOrdering && this.#ordering.queue(entry);
    if (!mustWait) this.#ready.push(entry);
  }

  #deliver(): void {
    while (this.#ready.length > 0) {
      const withRoom = this.#consumers.listWithRoom();
      if (withRoom.length === 0) return;
      const share = Math.min(Math.ceil(this.#ready.length / withRoom.length), BATCH_MESSAGES);
      for (const consumer of withRoom) this.#serve(consumer, share);
    }
  }

  #serve(consumer: Consumer, share: number): void {
    const batch: Delivery[] = [];
    let bytes = 0;
    while (batch.length < share && bytes < BATCH_BYTES && consumer.hasRoom()) {
      const entry = this.#ready.take();
      if (!entry) break;
      bytes += entry.message.bytes.length;
      batch.push(this.#lease(entry, consumer));
      if (this.#options.faults.hits("duplicate")) batch.push(this.#describe(entry));
      if (this.#options.faults.hits("twoAtOnce"))
        this.#consumers.findOther(consumer)?.take([this.#describe(entry)]);
    }
    if (batch.length > 0) consumer.take(batch);
  }

  #lease(entry: Entry, consumer: Consumer): Delivery {
    entry.attempts += 1;
    entry.lease = this.#leaseIds.next();
    entry.holder = consumer;
    consumer.hold(entry.message);
    this.#setDeadline(entry, consumer.leaseMs);
    return this.#describe(entry);
  }

  #setDeadline(entry: Entry, leaseMs: number): void {
    const { faults } = this.#options;
    const isEarly = faults.hits("expireEarly");
    this.#wheel.set(entry, isEarly ? faults.amount("expireEarly", EARLY_MS) : leaseMs);
  }

  #describe({ message, lease = "", attempts }: Entry): Delivery {
    return {
      ackId: formatAckId({ subscription: this.uid, messageId: message.id, lease }),
      message,
      deliveryAttempt: this.config.deadLetterPolicy ? attempts : 0,
    };
  }

  #onDue(entry: Entry): void {
    if (entry.lease) this.#redeliver(entry);
    else this.#ready.push(entry);
    this.wake();
  }

  /** After a nack, or when the ack deadline has passed. */
  #redeliver(entry: Entry): void {
    this.#endLease(entry);
    const most = this.config.deadLetterPolicy?.maxDeliveryAttempts ?? Number.POSITIVE_INFINITY;
    if (entry.attempts >= most && this.#options.onExhausted(entry.message, entry.attempts)) {
      this.#settle(entry);
      this.#options.onSettled([entry.message.id]);
      return;
    }
    const backoffMs = computeBackoffMs(this.config, entry.attempts);
    if (backoffMs > 0) this.#wheel.set(entry, backoffMs);
    else this.#ready.push(entry);
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
