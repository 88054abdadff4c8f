import { PubSub, v1 } from "@google-cloud/pubsub";
import { QueueFull } from "../common/batcher.ts";
import { PUBLISH, PUBLISH_DEADLINE_MS } from "../common/limits.ts";
import type { Logger } from "../common/logger.ts";
import type { Metrics } from "../common/telemetry.ts";
import { isSampled, nowMs, type Span, type Tracing, traceIdOf } from "../common/tracing.ts";
import { encodeWrite, type Write } from "../common/write.ts";
import { Problem } from "./problem.ts";

/** Puts writes on the topic. */
export type Publisher = {
  /**
   * Resolves once Pub/Sub has returned the message's id: the write is accepted. Rejects with a
   * 503 Problem after {@link PUBLISH_DEADLINE_MS}, or at once where the queue is full.
   */
  publish(write: Write, requestId: string): Promise<void>;
  /** Waits for everything under way, then closes the connection. */
  stop(): Promise<void>;
};

/** gRPC's UNAVAILABLE, ABORTED, INTERNAL: the request may be sent again within the deadline. */
const RETRY_CODES = [14, 10, 13];
/** An attempt is given up half-way to the deadline, so that there is time for another. */
const ATTEMPT_TIMEOUT_MS = PUBLISH_DEADLINE_MS / 2;

type Item = {
  write: Write;
  requestId: string;
  content: ReturnType<typeof encodeWrite>;
  /** Set when the client has been answered already. */
  isLate: boolean;
  /** The message's id and the size of its batch, once Pub/Sub holds it. */
  published?: { messageId: string; batch: number };
};

/**
 * Publishes by group commit over the generated client, without the timers of the library's own
 * batching (facts: nine times the throughput at 50 concurrent, a tenth of the latency).
 */
export async function createPublisher(options: {
  projectId: string;
  topic: string;
  logger: Logger;
  metrics: Metrics;
  tracing: Tracing | undefined;
  onAccepted: (writes: readonly Write[]) => void;
}): Promise<Publisher> {
  const { logger, metrics, tracing, onAccepted } = options;
  const topic = `projects/${options.projectId}/topics/${options.topic}`;
  const config = await new PubSub({ projectId: options.projectId }).getClientConfig();
  const client = new v1.PublisherClient(config as v1.PublisherClient["_opts"]);
  const batcher = metrics.createBatcher<Item, void>("publish", {
    ...PUBLISH,
    dispatch: publishBatch,
    sizeOf,
  });
  return {
    publish,
    async stop() {
      await batcher.drain();
      await client.close();
    },
  };

  async function publish(write: Write, requestId: string): Promise<void> {
    const from = write.traceparent;
    const startMs = nowMs();
    const span = tracing && isSampled(from) ? tracing.below(from, startMs) : undefined;
    if (span) write.traceparent = span.traceparent;
    const item: Item = { write, requestId, content: encodeWrite(write), isLate: false };
    const { promise: late, reject } = Promise.withResolvers<never>();
    const timer = setTimeout(() => {
      item.isLate = true;
      reject(new Problem("unavailable", UNKNOWN_FATE));
    }, PUBLISH_DEADLINE_MS);
    try {
      await Promise.race([batcher.add(item), late]);
      if (span) endSpan(span, item);
    } catch (error) {
      if (tracing) endSpan(span ?? tracing.below(from, startMs), item, error as Error);
      throw toProblem(error, item);
    } finally {
      clearTimeout(timer);
    }
  }

  async function publishBatch(items: Item[]): Promise<(undefined | Error)[]> {
    // Those answered already must not be accepted behind their client's back.
    const timely = items.filter(({ isLate }) => !isLate);
    if (timely.length > 0) {
      const messages = timely.map(({ content }) => content);
      const [{ messageIds }] = await client.publish({ topic, messages }, CALL);
      timely.forEach((item, index) => {
        item.published = { messageId: messageIds?.[index] ?? "", batch: timely.length };
      });
      report(timely);
    }
    return items.map(({ isLate }) => (isLate ? new Error("late") : undefined));
  }

  /** One line for the whole batch: at full speed, a line for each write would cost the most. */
  function report(items: readonly Item[]): void {
    const writes = items.map(({ write, requestId }) => ({
      id: write.id,
      collection: write.collection.name,
      item: write.itemId,
      request: requestId,
      trace: traceIdOf(write.traceparent),
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
    if (error instanceof QueueFull)
      return new Problem("unavailable", "Too many writes are waiting; nothing was accepted.");
    logger.error("publishing failed; the write's fate is unknown", {
      write: write.id,
      requestId,
      trace: traceIdOf(write.traceparent),
      code: (error as { code?: number }).code ?? "late",
    });
    return error instanceof Problem ? error : new Problem("unavailable", UNKNOWN_FATE);
  }
}

const UNKNOWN_FATE =
  "Pub/Sub did not answer in time, so it is not known whether the write was accepted. " +
  "Ask again; with the same Idempotency-Key that is always safe.";

/** `isBundling: false`, or the client waits another 10 ms for company. */
const CALL = {
  isBundling: false,
  retry: {
    retryCodes: RETRY_CODES,
    backoffSettings: {
      initialRetryDelayMillis: 100,
      retryDelayMultiplier: 1.3,
      maxRetryDelayMillis: 1_000,
      initialRpcTimeoutMillis: ATTEMPT_TIMEOUT_MS,
      rpcTimeoutMultiplier: 1,
      maxRpcTimeoutMillis: ATTEMPT_TIMEOUT_MS,
      totalTimeoutMillis: PUBLISH_DEADLINE_MS,
    },
  },
};

/** The message's bytes, with what its attributes and envelope may take. */
function sizeOf({ content }: Item): number {
  return content.data.length + 1_000;
}
