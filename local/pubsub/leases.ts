import { invalid } from "./refusal.ts";

/** What an ack id says: whose message it is, and by which delivery. */
export type AckId = { subscription: string; messageId: string; lease: string };

const FORM = /^([a-z\d]+)-(\d+)-([a-z\d]+)$/;

export function formatAckId({ subscription, messageId, lease }: AckId): string {
  return `${subscription}-${messageId}-${lease}`;
}

/** Reads an ack id of this subscription; refuses every other text. */
export function parseAckId(text: string, ownSubscription: string): AckId {
  const [, subscription, messageId, lease] = FORM.exec(text) ?? [];
  if (subscription !== ownSubscription || !messageId || !lease)
    throw invalid(`You have passed an invalid ack ID to the service (ack_id=${text}).`);
  return { subscription, messageId, lease };
}

/** Numbers of leases: no two are the same, also not those of a server before a restart. */
export class LeaseNumbers {
  #last = Date.now() * 1_000;

  next(): string {
    this.#last += 1;
    return this.#last.toString(36);
  }
}
