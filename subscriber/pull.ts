import type { Batcher } from "../common/batcher.ts";
import { PULL_MESSAGES } from "../common/limits.ts";
import type { PubsubTarget } from "../common/pubsub.ts";
import type { Logger } from "../common/telemetry/logger.ts";
import { type Decision, isGivenBack } from "./decide.ts";
import { DELIVERY_EXHAUSTED, type Message } from "./message.ts";
import { pullSubscription } from "./pull-subscription.ts";
import type { Delivery } from "./waiting-message.ts";

/** Dead-lettered messages under way at most: they are few, and each is looked at alone. */
const DEAD_LETTER_MESSAGES = 100;

/**
 * Pulls both subscriptions, and acknowledges.
 *
 * A message is acknowledged here and nowhere else, and only after `batcher.add` has resolved:
 * that is, after the transaction with its outcome has been committed. If the process dies in
 * between, Pub/Sub redelivers the message, and it is found settled. A message without an outcome
 * is nacked: Pub/Sub redelivers.
 */
export function startPull(
  options: PubsubTarget & {
    subscription: string;
    deadLetterSubscription: string;
    batcher: Pick<Batcher<Message, Decision>, "add">;
    logger: Logger;
    /** For tests: see {@link pullSubscription}. */
    silenceMs?: number;
    maxMessages?: number;
  },
): { stop(): Promise<void> } {
  const { batcher, ...shared } = options;
  const pulls = [
    pullSubscription({
      ...shared,
      maxMessages: options.maxMessages ?? PULL_MESSAGES,
      onDelivery: (delivery) => settle(delivery),
    }),
    pullSubscription({
      ...shared,
      subscription: options.deadLetterSubscription,
      maxMessages: DEAD_LETTER_MESSAGES,
      onDelivery: (delivery) => settle(delivery, DELIVERY_EXHAUSTED),
    }),
  ];
  return {
    async stop() {
      await Promise.all(pulls.map(({ stop }) => stop()));
    },
  };

  async function settle(delivery: Delivery, deliveryExhausted?: string): Promise<void> {
    const { id: messageId, attributes, data, publishTime } = delivery;
    const publishedAt = publishTime.getTime();
    const message: Message = { messageId, attributes, data, publishedAt, receivedMs: Date.now() };
    if (deliveryExhausted !== undefined) message.deliveryExhausted = deliveryExhausted;
    try {
      const decision = await batcher.add(message);
      if (isGivenBack(decision)) delivery.nack();
      else delivery.ack();
    } catch {
      delivery.nack();
    }
  }
}
