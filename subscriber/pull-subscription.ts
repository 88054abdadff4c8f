import { setImmediate, setTimeout as sleep } from "node:timers/promises";
import type { PubSub, Subscription, SubscriptionOptions } from "@google-cloud/pubsub";
import { LEASE_SECONDS, PULL_BYTES, STOP_DEADLINE_MS } from "../common/limits.ts";
import { createPubsub, type PubsubTarget } from "../common/pubsub.ts";
import type { Logger } from "../common/telemetry/logger.ts";
import { type Delivery, WaitingMessages } from "./waiting-message.ts";

/** Pause before a subscription is opened again; it doubles until a message is delivered. */
const REOPEN_MS = { first: 500, most: 5_000 };

/**
 * At a stop, wait for messages already sent by Pub/Sub: closing would drop them, and they would stay
 * leased. The wait ends when nothing has arrived for a while.
 */
const ARRIVAL_MS = { quiet: 50, most: 300 };
/** Messages under way at a stop may take this long; those that are not settled then are nacked. */
const STOP_MS = STOP_DEADLINE_MS - 1_000;
/** Time for those nacks. */
const NACK_MS = 500;

/** After this time without a message, a pull looks whether one waits. */
const SILENCE_MS = 30_000;

export type PullOptions = PubsubTarget & {
  /** The subscription's id. */
  subscription: string;
  /** Pub/Sub delivers no more while this many messages are under way. */
  maxMessages: number;
  /** Acks or nacks the delivery, and resolves then. */
  onDelivery: (delivery: Delivery) => Promise<void>;
  logger: Logger;
  silenceMs?: number;
};

/**
 * Pulls a subscription until it is stopped.
 *
 * The library replaces a stream that ends for a temporary reason. For any other (the subscription does
 * not exist yet, a permission is missing, there are no credentials) it closes the subscription, which
 * is opened again after a pause, by a new client.
 *
 * The library has also been reported to stop delivering without an error. So after `silenceMs`
 * without a message, a synchronous pull looks for one. If it finds one that has been waiting, the
 * stream is dead, and the subscription is opened again.
 */
export function pullSubscription(options: PullOptions): { stop(): Promise<void> } {
  const { subscription: name, logger, silenceMs = SILENCE_MS } = options;
  const waiting = new WaitingMessages(options);
  const stopping = new AbortController();
  let pauseMs = REOPEN_MS.first;
  let underWay = 0;
  let quietSince = performance.now();
  /** The last message that was found waiting, and when it is acked or nacked. */
  let found: { message: Delivery; handled: Promise<void> } | undefined;
  const stopped = run();
  return {
    async stop() {
      stopping.abort();
      const mostMs = ARRIVAL_MS.most + STOP_MS + NACK_MS;
      await Promise.race([stopped, sleep(mostMs, undefined, { ref: false })]);
    },
  };

  async function run(): Promise<void> {
    while (!stopping.signal.aborted) {
      const pubsub = await createPubsub(options);
      const settings = await loadSubscriptionOptions(options.maxMessages);
      // A stop during the lines above aborts before anything listens.
      if (!stopping.signal.aborted) await pullUntilClosed(pubsub, settings);
      await pubsub.close().catch(() => {});
      await pause(pauseMs, stopping.signal);
      pauseMs = Math.min(2 * pauseMs, REOPEN_MS.most);
    }
    await finishFound();
    await waiting.close();
  }

  /** The library does not know of a message that was found, so that it is acked or nacked here. */
  async function finishFound(): Promise<void> {
    if (!found) return;
    const { message, handled } = found;
    const late = sleep(STOP_MS, true, { ref: false });
    if (await Promise.race([handled.then(() => false), late])) message.nack();
  }

  async function pullUntilClosed(pubsub: PubSub, settings: SubscriptionOptions): Promise<void> {
    const subscription = pubsub.subscription(name, settings);
    const closed = new Promise<void>((resolve) => subscription.on("close", resolve));
    const isClosed = new AbortController();
    const arrivals: Delivery[] = [];
    const close = async () => {
      await untilQuiet(arrivals);
      void subscription.close();
      // Not before: what is nacked makes room for more.
      for (const message of arrivals) message.nack();
    };
    stopping.signal.addEventListener("abort", close);
    subscription.on("error", logFailure).on("debug", logFailedAcks);
    // The first listener opens the stream.
    subscription.on("message", (message) => {
      pauseMs = REOPEN_MS.first;
      if (stopping.signal.aborted) arrivals.push(message);
      else void handle(message);
    });
    quietSince = performance.now();
    const watching = watch(subscription, isClosed.signal);
    await closed;
    isClosed.abort();
    await watching;
    stopping.signal.removeEventListener("abort", close);
  }

  async function handle(delivery: Delivery): Promise<void> {
    underWay += 1;
    await options.onDelivery(delivery);
    underWay -= 1;
    quietSince = performance.now();
  }

  async function watch(subscription: Subscription, closed: AbortSignal): Promise<void> {
    const isSilent = () => underWay === 0 && performance.now() - quietSince >= silenceMs;
    while (!closed.aborted) {
      await pause(silenceMs, closed);
      if (closed.aborted || !isSilent()) continue;
      const message = await waiting.find().catch(() => undefined);
      if (!message) continue;
      const waitedMs = Date.now() - message.publishTime.getTime();
      // One that was published just now would have been delivered by the stream, too.
      const isStalled = isSilent() && waitedMs >= silenceMs / 2;
      found = { message, handled: handle(message) };
      if (!isStalled) continue;
      logger.error("messages wait, but none is delivered; opening the subscription again", {
        subscription: name,
        waitedMs,
      });
      void subscription.close();
      return;
    }
  }

  function logFailure({ code, message }: Error & { code?: number }): void {
    logger.error("the subscription cannot be pulled; trying again", {
      subscription: name,
      code,
      error: message,
    });
  }

  /** Failed acks and nacks are among what the library reports as `debug`. */
  function logFailedAcks({ error }: { error?: Error & { ackIds?: string[]; code?: number } }) {
    if (!error?.ackIds) return;
    logger.warn("acknowledging failed; Pub/Sub redelivers", {
      subscription: name,
      count: error.ackIds.length,
      code: error.code,
    });
  }
}

/** Why each option is set, and what it costs, is in docs/decisions/2026-11-28-googles-client-is-back.md. */
async function loadSubscriptionOptions(maxMessages: number): Promise<SubscriptionOptions> {
  const { Duration, SubscriptionCloseBehaviors } = await import("@google-cloud/pubsub");
  const lease = Duration.from({ seconds: LEASE_SECONDS });
  return {
    minAckDeadline: lease,
    maxAckDeadline: lease,
    // Otherwise messages beyond maxBytes may be kept back for as long as they are leased.
    flowControl: { maxMessages, maxBytes: PULL_BYTES, allowExcessMessages: true },
    // Each stream would ask for maxMessages, and only the end of the last one is reported.
    streamingOptions: { maxStreams: 1, retryMaxBackoff: Duration.from({ seconds: 2 }) },
    // A call that hangs would have leases renewed every millisecond (google-cloud-node 9243).
    batching: { maxMilliseconds: 20, callOptions: { timeout: 5_000, retry: null } },
    closeOptions: {
      behavior: SubscriptionCloseBehaviors.WaitForProcessing,
      // The library keeps the last second for nacks.
      timeout: Duration.from({ milliseconds: STOP_MS + 1_000 }),
    },
  };
}

/** Waits until nothing is added for a while; counted in rounds, as a busy process reads late. */
async function untilQuiet(arrivals: readonly unknown[]): Promise<void> {
  let before = -1;
  for (let ms = 0; ms < ARRIVAL_MS.most && arrivals.length !== before; ms += ARRIVAL_MS.quiet) {
    before = arrivals.length;
    await sleep(ARRIVAL_MS.quiet, undefined, { ref: false });
    // Timers come before what the sockets hold.
    await setImmediate();
  }
}

/** Waits, or less where the signal aborts. */
async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal }).catch(() => {});
}
