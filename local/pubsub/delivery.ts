import type { Refusal } from "./refusal.ts";
import type { Message } from "./wire.ts";

/** A message on its way to one subscriber. */
export type Delivery = {
  ackId: string;
  message: Message;
  /** Counted from 1 where there is a dead-letter policy, else 0. */
  deliveryAttempt: number;
};

/** Who takes messages: a streaming pull, a waiting pull, the pushes. */
export type Consumer = {
  /** How long it may hold a message before the message is delivered again. */
  readonly leaseMs: number;
  hasRoom(): boolean;
  /** A message is now held by it, or no more: settled, given back, or its lease is over. */
  hold(message: Message): void;
  release(message: Message): void;
  take(deliveries: Delivery[]): void;
  /** There is nothing more to take. */
  end(refusal: Refusal): void;
};

/** As a response has it. */
export function describeDelivery({ ackId, message, deliveryAttempt }: Delivery) {
  return { ackId, message: message.bytes, deliveryAttempt };
}
