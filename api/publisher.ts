import { setTimeout as sleep } from "node:timers/promises";
import { type Client, type ServiceError, status } from "@grpc/grpc-js";
import { DeadlineExceededError, QueueFullError } from "../common/batcher.ts";
import { PUBLISH, PUBLISH_DEADLINE_MS } from "../common/limits.ts";
import { connectPubsub, routeTo } from "../common/pubsub-connection.ts";
import type { Logger } from "../common/telemetry/logger.ts";
import type { Metrics } from "../common/telemetry/metrics.ts";
import {
  getTraceId,
  isSampled,
  nowMs,
  type Span,
  type Tracing,
} from "../common/telemetry/tracing.ts";
import { encodeWrite, type MessageContent, type Write } from "../common/write.ts";
import { Problem } from "./answer/problem.ts";
import { decodeMessageIds, encodePublishRequest, PUBLISH_PATH } from "./publish-request.ts";

/** Puts writes on the topic. */
export type Publisher = {
  /**
   * Resolves once Pub/Sub has returned the message's id: the write is accepted. Rejects with a
   * 503 Problem after {@link PUBLISH_DEADLINE_MS}, or at once where the queue is full.
   */
  publish(write: Write, requestId: string): Promise<void>;
  /** Connects ahead of the first write, which does so else. */
  warmUp(): void;
  /** Waits for everything under way, then closes the connection. */
  stop(): Promise<void>;
};

/** The request may be sent again within the deadline. */
const RETRY_CODES = [
  ...[status.UNAVAILABLE, status.ABORTED, status.INTERNAL, status.DEADLINE_EXCEEDED],
];
const RETRY_MS = { first: 100, most: 1_000 };
/** An attempt is given up half-way to the deadline, so that there is time for another. */
const ATTEMPT_TIMEOUT_MS = PUBLISH_DEADLINE_MS / 2;

type Item = {
  write: Write;
  requestId: string;
  content: MessageContent;
  /** The message's id and the size of its batch, once Pub/Sub holds it. */
  published?: { messageId: string; batch: number };
};

/**
 * Publishes by group commit over a connection of its own: Google's client has timers in its
 * batching, and would be half of what the API loads (docs/decisions).
 */
export function createPublisher(options: {
  projectId: string;
  topic: string;
  logger: Logger;
  metrics: Metrics;
  tracing: Tracing | undefined;
  onAccepted: (writes: readonly Write[]) => void;
}): Publisher {
  const { logger, metrics, tracing, onAccepted } = options;
  const topic = `projects/${options.projectId}/topics/${options.topic}`;
  let connection: Promise<Client> | undefined;
  const batcher = metrics.createBatcher<Item, void>("publish", {
    ...PUBLISH,
    deadlineMs: PUBLISH_DEADLINE_MS,
    dispatch: publishBatch,
    // The bytes of the item, with what attributes and envelope may take.
    getSize: ({ content }) => content.data.length + 1_000,
  });
  const metadata = routeTo("topic", topic);
  return {
    publish,
    warmUp: () => void connect().catch(() => {}),
    async stop() {
      await batcher.drain();
      (await connection?.catch(() => undefined))?.close();
    },
  };

  function publish(write: Write, requestId: string): Promise<void> {
    const from = write.traceparent;
    const startMs = nowMs();
    const span = tracing && isSampled(from) ? tracing.below(from, startMs) : undefined;
    if (span) write.traceparent = span.traceparent;
    const item: Item = { write, requestId, content: encodeWrite(write) };
    return batcher.add(item).then(
      () => {
        if (span) endSpan(span, item);
      },
      (error) => {
        if (tracing) endSpan(span ?? tracing.below(from, startMs), item, error as Error);
        throw toProblem(error, item);
      },
    );
  }

  async function publishBatch(items: Item[]): Promise<undefined[]> {
    const contents = items.map(({ content }) => content);
    const request = encodePublishRequest(topic, contents);
    const messageIds = await send(request, Date.now() + PUBLISH_DEADLINE_MS);
    if (messageIds.length !== items.length)
      throw new Error(`Pub/Sub answered ${messageIds.length} ids for ${items.length} messages.`);
    items.forEach((item, index) => {
      item.published = { messageId: messageIds[index] ?? "", batch: items.length };
    });
    report(items);
    return items.map(() => undefined);
  }

  function connect(): Promise<Client> {
    connection ??= connectPubsub().catch((error: Error) => {
      connection = undefined;
      logger.error("there is no connection to Pub/Sub", { error: error.message });
      throw error;
    });
    return connection;
  }

  /** Tries until the deadline, with growing pauses, while Pub/Sub says that trying again may help. */
  async function send(request: Buffer, deadline: number): Promise<string[]> {
    for (let pauseMs = RETRY_MS.first; ; pauseMs = Math.min(2 * pauseMs, RETRY_MS.most)) {
      try {
        return await attempt(request, Math.min(deadline, Date.now() + ATTEMPT_TIMEOUT_MS));
      } catch (error) {
        const mayHelp = RETRY_CODES.includes((error as ServiceError).code);
        if (!mayHelp || Date.now() + pauseMs >= deadline) throw error;
        await sleep(pauseMs);
      }
    }
  }

  async function attempt(request: Buffer, deadline: number): Promise<string[]> {
    const client = await connect();
    return new Promise((resolve, reject) => {
      client.makeUnaryRequest(
        PUBLISH_PATH,
        (bytes: Buffer) => bytes,
        decodeMessageIds,
        request,
        metadata,
        { deadline },
        (error, messageIds) => {
          if (error) reject(error);
          else resolve(messageIds ?? []);
        },
      );
    });
  }

  /** One line for the whole batch: at full speed, a line for each write would cost the most. */
  function report(items: readonly Item[]): void {
    const writes = items.map(({ write, requestId }) => ({
      id: write.id,
      collection: write.collection.name,
      item: write.itemId,
      request: requestId,
      trace: getTraceId(write.traceparent),
    }));
    const only = writes.length === 1 ? writes[0] : undefined;
    logger.info("writes accepted", {
      // Cloud Logging can add up a number, but not count a list.
      count: writes.length,
      writes,
      trace: only?.trace,
      requestId: only?.request,
    });
    onAccepted(items.map(({ write }) => write));
  }

  /** The publish span, in OpenTelemetry's semantic conventions for messaging. */
  function endSpan(span: Span, { write, published }: Item, error?: Error & { code?: number }) {
    tracing?.end(span, {
      name: `send ${options.topic}`,
      kind: "producer",
      attributes: {
        "messaging.system": "gcp_pubsub",
        "messaging.operation.name": "send",
        "messaging.operation.type": "send",
        "messaging.destination.name": options.topic,
        "messaging.message.id": published?.messageId,
        "messaging.batch.message_count": published?.batch,
        "constancia.write": write.id,
        "constancia.collection": write.collection.name,
      },
      ...(error ? { error: String(error.code ?? error.name) } : {}),
    });
  }

  function toProblem(error: unknown, { write, requestId }: Item): Problem {
    if (error instanceof QueueFullError)
      return new Problem("unavailable", "Too many writes are waiting; nothing was accepted.");
    logger.error("publishing failed; the write's fate is unknown", {
      write: write.id,
      requestId,
      trace: getTraceId(write.traceparent),
      code: error instanceof DeadlineExceededError ? "late" : (error as Partial<ServiceError>).code,
    });
    return new Problem("unavailable", UNKNOWN_FATE);
  }
}

const UNKNOWN_FATE =
  "Pub/Sub did not answer in time, so it is not known whether the write was accepted. " +
  "Ask again; with the same Idempotency-Key that is always safe.";
