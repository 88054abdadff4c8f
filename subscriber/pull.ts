import type { Batcher } from "../common/batcher.ts";
import { PULL_BYTES, PULL_MESSAGES, STOP_DEADLINE_MS } from "../common/limits.ts";
import { connectPubsub } from "../common/pubsub-connection.ts";
import type { Logger } from "../common/telemetry/logger.ts";
import { nowMs } from "../common/telemetry/tracing.ts";
import type { Decision } from "./decide.ts";
import { Leases } from "./leases.ts";
import type { Message } from "./message.ts";
import type { Received } from "./pull-protocol.ts";
import { PullStream } from "./pull-stream.ts";

/** Why a message that comes by the dead-letter topic is dead. */
export const DELIVERY_EXHAUSTED =
  "Pub/Sub delivered the message as often as it may, and it was never settled.";

/**
 * A lease is renewed while its message is at work, and runs out this long after a crash: a killed
 * subscriber's messages are held back no longer.
 */
export const LEASE_SECONDS = 15;

/** As in Google's own client. */
const KEEPALIVE = { keepaliveMs: 30_000, answerMs: 15_000 };

/** At most this many dead-lettered messages at once: they are few, and each needs a look. */
const DEAD_LETTER_MESSAGES = 100;

/** Of what a stop may take, for what comes after the last ack. */
const STOP_MS = STOP_DEADLINE_MS - 300;

/**
 * Pulls both subscriptions, and acknowledges.
 *
 * A message is acknowledged here and nowhere else, and only after `batcher.add` has resolved:
 * that is, after the transaction with its outcome has been committed. If the process dies in
 * between, the message is delivered again and found settled. A message without an outcome is
 * nacked, so that it is delivered again.
 */
export async function startPull(options: {
  projectId: string;
  subscription: string;
  deadLetterSubscription: string;
  streams: number;
  batcher: Pick<Batcher<Message, Decision>, "add">;
  logger: Logger;
}): Promise<{ stop(): Promise<void> }> {
  const { batcher, logger, streams } = options;
  const client = await connectPubsub();
  const pulls = [
    pull(options.subscription, { streams, maxMessages: PULL_MESSAGES }),
    pull(
      options.deadLetterSubscription,
      { streams: 1, maxMessages: DEAD_LETTER_MESSAGES },
      DELIVERY_EXHAUSTED,
    ),
  ];
  return {
    async stop() {
      await Promise.all(pulls.map(({ stop }) => stop()));
      client.close();
    },
  };

  function pull(
    id: string,
    limits: { streams: number; maxMessages: number },
    deliveryExhausted?: string,
  ) {
    const subscription = `projects/${options.projectId}/subscriptions/${id}`;
    const common = { client, subscription, leaseSeconds: LEASE_SECONDS, logger };
    const leases = new Leases({
      ...common,
      maxMessages: limits.maxMessages,
      maxBytes: PULL_BYTES,
      onFull(isFull) {
        for (const stream of opened) isFull ? stream.pause() : stream.resume();
      },
    });
    const open = () =>
      new PullStream({
        ...common,
        ...KEEPALIVE,
        maxMessages: Math.ceil(limits.maxMessages / limits.streams),
        maxBytes: Math.ceil(PULL_BYTES / limits.streams),
        onMessages: (received) => {
          const receivedMs = nowMs();
          for (const one of received) {
            void settle(one, receivedMs, leases, deliveryExhausted);
          }
        },
        onFailed: ({ code, details }) => {
          logger.error("the subscription failed", { subscription, code, error: details });
          process.exitCode = 1;
          process.kill(process.pid, "SIGTERM");
        },
      });
    const opened = Array.from({ length: limits.streams }, open);
    return {
      stop() {
        for (const stream of opened) stream.stop();
        return leases.stop(STOP_MS);
      },
    };
  }

  async function settle(
    received: Received,
    receivedMs: number,
    leases: Leases,
    deliveryExhausted?: string,
  ) {
    const { messageId, attributes, data } = received;
    const lease = leases.hold(received);
    const message: Message = { messageId, attributes, data, receivedMs };
    if (deliveryExhausted !== undefined) message.deliveryExhausted = deliveryExhausted;
    try {
      const decision = await batcher.add(message);
      if (decision.kind === "not-yet") leases.nack(lease);
      else leases.ack(lease);
    } catch {
      leases.nack(lease);
    }
  }
}
