import type { Client, Metadata, ServiceError } from "@grpc/grpc-js";
import { routeTo } from "../common/pubsub-connection.ts";
import type { Logger } from "../common/telemetry/logger.ts";
import {
  ACKNOWLEDGE_PATH,
  encodeAcknowledge,
  encodeModifyAckDeadline,
  MODIFY_ACK_DEADLINE_PATH,
  type Received,
} from "./pull-protocol.ts";

/** A request may have 512 KiB, and an ack id has some 200 bytes (Pub/Sub's quotas and limits). */
const IDS_PER_REQUEST = 1_000;
const REQUEST_TIMEOUT_MS = 10_000;

/**
 * The messages of a subscription that are held: their leases are renewed until each is given up.
 * How much is held is counted here, and the limits kept, since a server need not: the emulator does
 * not, and Pub/Sub's own limits are each stream's.
 */
export class Leases {
  readonly #options: LeasesOptions;
  readonly #metadata: Metadata;
  readonly #renewal: NodeJS.Timeout;
  /**
   * The first of what is held. A list, which each leaves without a trace: a Map, added to and taken
   * from, makes table after table that point to the next, and one that got old keeps all that follow
   * from the garbage collector.
   */
  #first: Lease | undefined;
  #messages = 0;
  #bytes = 0;
  #isFull = false;
  #acks: string[] = [];
  #nacks: string[] = [];
  #isScheduled = false;
  #isOver = false;
  #calls = 0;
  /** Told when nothing is held any more, and when no call is under way. */
  #onNoneHeld: (() => void) | undefined;
  #onNoCall: (() => void) | undefined;

  constructor(options: LeasesOptions) {
    this.#options = options;
    this.#metadata = routeTo("subscription", options.subscription);
    this.#renewal = setInterval(() => this.#renew(), (options.leaseSeconds * 1_000) / 3);
  }

  /** `received` has come just now. */
  hold({ ackId, data }: Received): Lease {
    const after = this.#first;
    const lease: Lease = {
      ackId,
      bytes: data.length,
      sinceMs: Date.now(),
      isHeld: true,
      before: undefined,
      after,
    };
    if (this.#first) this.#first.before = lease;
    this.#first = lease;
    this.#count(1, lease.bytes);
    return lease;
  }

  /** The message is settled, and comes no more. */
  ack(lease: Lease): void {
    this.#acks.push(lease.ackId);
    this.#release(lease);
  }

  /** The message is to come again, soon, here or elsewhere. */
  nack(lease: Lease): void {
    this.#nacks.push(lease.ackId);
    this.#release(lease);
  }

  /** Waits until nothing is held any more, for so long at most, and gives back what still is. */
  async stop(waitMs: number): Promise<void> {
    if (this.#first) {
      const { promise, resolve } = Promise.withResolvers<void>();
      const timer = setTimeout(resolve, waitMs);
      this.#onNoneHeld = resolve;
      await promise;
      clearTimeout(timer);
    }
    clearInterval(this.#renewal);
    while (this.#first) this.nack(this.#first);
    this.#flush();
    // What is settled later was given back.
    this.#isOver = true;
    if (this.#calls === 0) return;
    await new Promise<void>((resolve) => {
      this.#onNoCall = resolve;
    });
  }

  #release(lease: Lease): void {
    if (!lease.isHeld) return;
    lease.isHeld = false;
    const { before, after } = lease;
    if (before) before.after = after;
    else this.#first = after;
    if (after) after.before = before;
    lease.before = undefined;
    lease.after = undefined;
    this.#count(-1, -lease.bytes);
    if (!this.#first) this.#onNoneHeld?.();
    if (this.#isScheduled || this.#isOver) return;
    this.#isScheduled = true;
    // What is settled together is acknowledged together.
    setImmediate(() => this.#flush());
  }

  #count(messages: number, bytes: number): void {
    const { maxMessages, maxBytes, onFull } = this.#options;
    this.#messages += messages;
    this.#bytes += bytes;
    const isFull = this.#messages >= maxMessages || this.#bytes >= maxBytes;
    if (isFull === this.#isFull) return;
    this.#isFull = isFull;
    onFull(isFull);
  }

  #flush(): void {
    if (this.#isOver) return;
    this.#isScheduled = false;
    const { subscription } = this.#options;
    for (const ids of inRequests(this.#acks))
      this.#call(ACKNOWLEDGE_PATH, encodeAcknowledge(subscription, ids));
    for (const ids of inRequests(this.#nacks))
      this.#call(MODIFY_ACK_DEADLINE_PATH, encodeModifyAckDeadline(subscription, ids, 0));
    this.#acks = [];
    this.#nacks = [];
  }

  #renew(): void {
    const { subscription, leaseSeconds } = this.#options;
    const nowMs = Date.now();
    const due: string[] = [];
    for (let lease = this.#first; lease; lease = lease.after) {
      if (nowMs - lease.sinceMs < (leaseSeconds * 1_000) / 4) continue;
      lease.sinceMs = nowMs;
      due.push(lease.ackId);
    }
    for (const ids of inRequests(due))
      this.#call(
        MODIFY_ACK_DEADLINE_PATH,
        encodeModifyAckDeadline(subscription, ids, leaseSeconds),
      );
  }

  /** Nothing is tried again: a message whose ack or lease is lost comes again, and is found settled. */
  #call(path: string, request: Buffer): void {
    const { client, logger, subscription } = this.#options;
    const onEnd = (error: ServiceError | null) => {
      if (error) logger.warn("messages will come again", { subscription, code: error.code });
      this.#calls -= 1;
      if (this.#calls === 0) this.#onNoCall?.();
    };
    const deadline = Date.now() + REQUEST_TIMEOUT_MS;
    const asIs = (bytes: Buffer) => bytes;
    this.#calls += 1;
    client.makeUnaryRequest(path, asIs, asIs, request, this.#metadata, { deadline }, onEnd);
  }
}

/** A message that is held; since when, at the latest, its lease runs. */
export type Lease = {
  readonly ackId: string;
  readonly bytes: number;
  sinceMs: number;
  isHeld: boolean;
  before: Lease | undefined;
  after: Lease | undefined;
};

export type LeasesOptions = {
  client: Client;
  /** `projects/…/subscriptions/…` */
  subscription: string;
  leaseSeconds: number;
  /** What may be held, and the bytes of its data. */
  maxMessages: number;
  maxBytes: number;
  /** Told when so much is held, and when it is less again. */
  onFull: (isFull: boolean) => void;
  logger: Logger;
};

function inRequests(ids: readonly string[]): string[][] {
  const requests: string[][] = [];
  for (let at = 0; at < ids.length; at += IDS_PER_REQUEST)
    requests.push(ids.slice(at, at + IDS_PER_REQUEST));
  return requests;
}
