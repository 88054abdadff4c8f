import type { StatusError } from "../errors.ts";
import type { Message } from "../wire.ts";

/** A message on its way to one subscriber. */
export type Delivery = {
  ackId: string;
  message: Message;
  /** Counted from 1 where there is a dead-letter policy, else 0. */
  deliveryAttempt: number;
};

/** Something that takes messages: a streaming pull, a waiting pull, or the pushes. */
export type Consumer = {
  /** How long it may hold a message before the message is delivered again. */
  readonly leaseMs: number;
  hasRoom(): boolean;
  /** It now holds a message, or no longer: settled, nacked, or its lease has expired. */
  hold(message: Message): void;
  release(message: Message): void;
  take(deliveries: Delivery[]): void;
  /** The subscription ends it, for this reason. */
  end(error: StatusError): void;
};

/** As a response describes it. */
export function describeDelivery({ ackId, message, deliveryAttempt }: Delivery) {
  return { ackId, message: message.bytes, deliveryAttempt };
}
