import { type Client, Metadata, type ServiceError } from "@grpc/grpc-js";
import type { Logger } from "../common/logger.ts";
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

/** The messages of a subscription that are held: their leases are renewed until each is given up. */
export class Leases {
  readonly #options: LeasesOptions;
  readonly #metadata = new Metadata();
  readonly #renewal: NodeJS.Timeout;
  /** When the lease of each began at the latest. */
  readonly #held = new Map<Received, number>();
  #acks: string[] = [];
  #nacks: string[] = [];
  #isScheduled = false;
  readonly #calls = new Set<Promise<void>>();
  #emptied: (() => void) | undefined;

  constructor(options: LeasesOptions) {
    this.#options = options;
    this.#metadata.set(
      "x-goog-request-params",
      `subscription=${encodeURIComponent(options.subscription)}`,
    );
    this.#renewal = setInterval(() => this.#renew(), (options.leaseSeconds * 1_000) / 3);
  }

  hold(received: Received, nowMs: number): void {
    this.#held.set(received, nowMs);
  }

  /** It is settled, and comes no more. */
  ack(received: Received): void {
    this.#acks.push(received.ackId);
    this.#release(received);
  }

  /** It is to come again, soon, here or elsewhere. */
  nack(received: Received): void {
    this.#nacks.push(received.ackId);
    this.#release(received);
  }

  /** Waits until nothing is held any more, for so long at most, and gives back what still is. */
  async stop(waitMs: number): Promise<void> {
    if (this.#held.size > 0) {
      const { promise, resolve } = Promise.withResolvers<void>();
      const timer = setTimeout(resolve, waitMs);
      this.#emptied = resolve;
      await promise;
      clearTimeout(timer);
    }
    clearInterval(this.#renewal);
    for (const received of this.#held.keys()) this.nack(received);
    this.#flush();
    await Promise.all(this.#calls);
  }

  #release(received: Received): void {
    this.#held.delete(received);
    if (this.#held.size === 0) this.#emptied?.();
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    // What is settled together is acknowledged together.
    setImmediate(() => this.#flush());
  }

  #flush(): void {
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
    for (const [received, since] of this.#held) {
      if (nowMs - since < (leaseSeconds * 1_000) / 4) continue;
      this.#held.set(received, nowMs);
      due.push(received.ackId);
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
    const call = new Promise<void>((resolve) => {
      const onEnd = (error: ServiceError | null) => {
        if (error) logger.warn("messages will come again", { subscription, code: error.code });
        this.#calls.delete(call);
        resolve();
      };
      const deadline = Date.now() + REQUEST_TIMEOUT_MS;
      const asIs = (bytes: Buffer) => bytes;
      client.makeUnaryRequest(path, asIs, asIs, request, this.#metadata, { deadline }, onEnd);
    });
    this.#calls.add(call);
  }
}

export type LeasesOptions = {
  client: Client;
  /** `projects/…/subscriptions/…` */
  subscription: string;
  leaseSeconds: number;
  logger: Logger;
};

function inRequests(ids: readonly string[]): string[][] {
  const requests: string[][] = [];
  for (let at = 0; at < ids.length; at += IDS_PER_REQUEST)
    requests.push(ids.slice(at, at + IDS_PER_REQUEST));
  return requests;
}
