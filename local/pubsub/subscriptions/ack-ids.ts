import { invalidArgument } from "../errors.ts";

/** The parts of an ack id: the subscription, the message, and the lease of the delivery. */
export type AckId = { subscription: string; messageId: string; lease: string };

const FORM = /^([a-z\d]+)-(\d+)-([a-z\d]+)$/;

export function formatAckId({ subscription, messageId, lease }: AckId): string {
  return `${subscription}-${messageId}-${lease}`;
}

/** Parses an ack id of this subscription; throws on any other text. */
export function parseAckId(text: string, ownSubscription: string): AckId {
  const [, subscription, messageId, lease] = FORM.exec(text) ?? [];
  if (subscription !== ownSubscription || !messageId || !lease)
    throw invalidArgument(`You have passed an invalid ack ID to the service (ack_id=${text}).`);
  return { subscription, messageId, lease };
}

/** Ids of leases, unique also across restarts of the server. */
export class LeaseIds {
  #last = Date.now() * 1_000;

  next(): string {
    this.#last += 1;
    return this.#last.toString(36);
  }
}
