import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import type { v1 } from "@google-cloud/pubsub";
import { withDeadline } from "../common/deadline.ts";
import { PUBLISH_DEADLINE_MS } from "../common/limits.ts";
import { createGeneratedClient, type PubsubTarget } from "../common/pubsub.ts";
import type { Logger } from "../common/telemetry/logger.ts";
import type { MessageContent } from "../common/write.ts";

/** Publishes to one topic. */
export type TopicClient = {
  /**
   * Publishes the messages in one request; resolves with an id for each. Retries until the deadline,
   * and rejects by then: with a {@link NotPublishedError} where Pub/Sub has certainly not stored them.
   */
  publish(messages: readonly MessageContent[]): Promise<string[]>;
  /** Loads the library, connects and fetches a token ahead of the first request. */
  warmUp(): Promise<void>;
  close(): Promise<void>;
};

/** The status codes of gRPC that a publish is answered with. */
const STATUS = {
  CANCELLED: 1,
  UNKNOWN: 2,
  INVALID_ARGUMENT: 3,
  DEADLINE_EXCEEDED: 4,
  NOT_FOUND: 5,
  PERMISSION_DENIED: 7,
  RESOURCE_EXHAUSTED: 8,
  ABORTED: 10,
  INTERNAL: 13,
  UNAVAILABLE: 14,
  UNAUTHENTICATED: 16,
} as const;
/** The codes after which Google's client retries a publish (publisher_client_config.json). */
export const RETRY_CODES: readonly number[] = [
  STATUS.CANCELLED,
  STATUS.UNKNOWN,
  STATUS.DEADLINE_EXCEEDED,
  STATUS.RESOURCE_EXHAUSTED,
  STATUS.ABORTED,
  STATUS.INTERNAL,
  STATUS.UNAVAILABLE,
];
/** The codes by which Pub/Sub refuses a publish. */
const REFUSAL_CODES: readonly number[] = [
  STATUS.INVALID_ARGUMENT,
  STATUS.NOT_FOUND,
  STATUS.PERMISSION_DENIED,
  STATUS.UNAUTHENTICATED,
];
const RETRY_MS = { first: 100, most: 1_000 };
/** After this many attempts in a row without an answer, the connection counts as lost. */
const MAX_UNANSWERED = 2;

/** A client, and its attempts in a row that got no answer. */
type Client = { ready: Promise<v1.PublisherClient>; unanswered: number };

/** Pub/Sub refused the messages, or they could not be sent. */
export class NotPublishedError extends Error {
  readonly code: number | string | undefined;

  constructor(cause: Error & { code?: number | string }) {
    super(cause.message, { cause });
    this.name = "NotPublishedError";
    this.code = cause.code;
  }
}

/**
 * Publishes by the generated client, without the library's batching and retries: the batcher has
 * gathered the messages already, and the library's retries do not keep to a deadline
 * (docs/decisions/2026-11-28-googles-client-is-back.md).
 */
export function createTopicClient(
  options: PubsubTarget & { topic: string; logger: Logger; deadlineMs?: number },
): TopicClient {
  const { logger, deadlineMs = PUBLISH_DEADLINE_MS } = options;
  const topic = `projects/${options.projectId}/topics/${options.topic}`;
  let client: Client | undefined;
  return {
    publish,
    async warmUp() {
      const connected = await connect(getClient(), deadlineMs);
      const stub = await connected.initialize();
      const waitForReady = promisify((stub.waitForReady as WaitForReady).bind(stub));
      await Promise.all([
        waitForReady(Date.now() + deadlineMs),
        options.emulatorHost === "" && connected.auth.getRequestHeaders(),
      ]);
    },
    close: () => close(client),
  };

  async function publish(messages: readonly MessageContent[]): Promise<string[]> {
    const deadline = performance.now() + deadlineMs;
    await connect(getClient(), deadlineMs).catch((error) => {
      throw new NotPublishedError(error);
    });
    let isFirst = true;
    for (let pauseMs = RETRY_MS.first; ; pauseMs = Math.min(2 * pauseMs, RETRY_MS.most)) {
      try {
        // At most half of the time, so that a second attempt is possible.
        return await attempt(messages, Math.min(deadline - performance.now(), deadlineMs / 2));
      } catch (error) {
        const { code = -1 } = error as { code?: number };
        // After an attempt without an answer, the messages may be stored.
        if (isFirst && REFUSAL_CODES.includes(code)) throw new NotPublishedError(error as Error);
        isFirst = false;
        const isRetryable = RETRY_CODES.includes(code);
        if (!isRetryable || performance.now() + pauseMs >= deadline) throw error;
        await sleep(pauseMs);
      }
    }
  }

  async function attempt(messages: readonly MessageContent[], timeoutMs: number) {
    const own = getClient();
    const connected = await connect(own, timeoutMs);
    try {
      const [{ messageIds }] = await connected.publish(
        { topic, messages: messages as MessageContent[] },
        // A new object for each call, since the library writes into it. A timeout of 0 would mean 30 s.
        { isBundling: false, timeout: Math.max(1, timeoutMs), retry: null },
      );
      own.unanswered = 0;
      return checkIds(messageIds, messages.length);
    } catch (error) {
      const { code } = error as { code?: number };
      if (code === STATUS.DEADLINE_EXCEEDED) countUnanswered(own);
      throw error;
    }
  }

  /**
   * A connection that has fallen silent is noticed by the next keepalive, 20 s later; a new client
   * has a new one. The old client's calls under way end by their own deadlines.
   */
  function countUnanswered(own: Client): void {
    own.unanswered += 1;
    if (own.unanswered < MAX_UNANSWERED || client !== own) return;
    client = undefined;
    logger.warn("Pub/Sub does not answer; connecting again");
    setTimeout(() => discard(own), deadlineMs).unref();
  }

  function getClient(): Client {
    client ??= { ready: createGeneratedClient("PublisherClient", options), unanswered: 0 };
    return client;
  }

  /** Waits for the client; one that fails, or is not there in time, is replaced by the next call. */
  async function connect(own: Client, timeoutMs: number): Promise<v1.PublisherClient> {
    try {
      return await withDeadline(own.ready, timeoutMs);
    } catch (error) {
      if (client === own) {
        client = undefined;
        logger.error("connecting to Pub/Sub failed", { error: (error as Error).message });
        discard(own);
      }
      throw error;
    }
  }

  /** Closes a client that is no longer used. Should that fail, nothing waits for it. */
  function discard(own: Client): void {
    close(own).catch((error: Error) =>
      logger.warn("closing a connection to Pub/Sub failed", { error: error.message }),
    );
  }

  async function close(own: Client | undefined): Promise<void> {
    await (await own?.ready.catch(() => undefined))?.close();
  }
}

/** Pub/Sub answers an id for each message, or the messages may not be stored. */
function checkIds(ids: readonly (string | null)[] | null | undefined, count: number): string[] {
  const known = (ids ?? []).filter((id) => id !== null && id !== "");
  if (known.length === count && ids?.length === count) return known as string[];
  throw new Error(`Pub/Sub answered ${known.length} ids for ${count} messages.`);
}

type WaitForReady = (deadlineMs: number, done: (error?: Error | null) => void) => void;
