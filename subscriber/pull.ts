import {
  type Message as Delivered,
  Duration,
  PubSub,
  SubscriptionCloseBehaviors,
} from "@google-cloud/pubsub";
import type { Batcher } from "../common/batcher.ts";
import { PULL_BYTES, PULL_MESSAGES, STOP_DEADLINE_MS } from "../common/limits.ts";
import type { Logger } from "../common/logger.ts";
import { nowMs } from "../common/tracing.ts";
import type { Message, Settlement } from "./settle.ts";

/** Why a message that comes by the dead-letter topic is dead. */
export const GIVEN_UP =
  "Pub/Sub delivered the message as often as it may, and it was never settled.";

/**
 * A lease is renewed while its message is at work, and runs out this long after a crash. The
 * library would stretch it with the load, to minutes, and a killed subscriber's messages would be
 * held back as long.
 */
const LEASE_SECONDS = 15;

/** At most this many dead-lettered messages at once: they are few, and each needs a look. */
const DEAD_LETTER_MESSAGES = 100;

/**
 * Pulls both subscriptions, and acknowledges.
 *
 * A message is acknowledged here and nowhere else, and only after `batcher.add` has resolved:
 * that is, after the transaction with its outcome has been committed. If the process dies in
 * between, the message is delivered again and found settled. A message without an outcome is
 * nacked, so that it is delivered again.
 */
export function startPull(options: {
  projectId: string;
  subscription: string;
  deadLetterSubscription: string;
  streams: number;
  batcher: Batcher<Message, Settlement>;
  logger: Logger;
}): { stop(): Promise<void> } {
  const { batcher, logger } = options;
  const pubsub = new PubSub({ projectId: options.projectId });
  const closeOptions = {
    behavior: SubscriptionCloseBehaviors.WaitForProcessing,
    timeout: Duration.from({ milliseconds: STOP_DEADLINE_MS - 300 }),
  };
  const maxAckDeadline = Duration.from({ seconds: LEASE_SECONDS });
  const writes = pubsub.subscription(options.subscription, {
    maxAckDeadline,
    flowControl: { maxMessages: PULL_MESSAGES, maxBytes: PULL_BYTES, allowExcessMessages: false },
    streamingOptions: { maxStreams: options.streams },
    closeOptions,
  });
  const deadLetters = pubsub.subscription(options.deadLetterSubscription, {
    maxAckDeadline,
    flowControl: { maxMessages: DEAD_LETTER_MESSAGES, allowExcessMessages: false },
    streamingOptions: { maxStreams: 1 },
    closeOptions,
  });
  writes.on("message", (message) => settle(message));
  deadLetters.on("message", (message) => settle(message, GIVEN_UP));
  for (const subscription of [writes, deadLetters])
    subscription.on("error", (error) => {
      // The client reconnects by itself where that can help; what arrives here is final.
      logger.error("the subscription failed", {
        subscription: subscription.name,
        error: error.message,
      });
      process.exitCode = 1;
      process.kill(process.pid, "SIGTERM");
    });
  return {
    async stop() {
      await Promise.all([writes.close(), deadLetters.close()]);
      await pubsub.close();
    },
  };

  async function settle(delivered: Delivered, giveUp?: string): Promise<void> {
    const message: Message = {
      messageId: delivered.id,
      attributes: delivered.attributes,
      data: delivered.data,
      receivedMs: nowMs(),
      ...(giveUp === undefined ? {} : { giveUp }),
    };
    try {
      const settlement = await batcher.add(message);
      if (settlement === "notYet") delivered.nack();
      else delivered.ack();
    } catch {
      delivered.nack();
    }
  }
}
