import { type Span, SpanKind } from "@opentelemetry/api";
import { QueueFullError } from "../common/batcher.ts";
import { ITEM_BYTES, PUBLISH, PUBLISH_DEADLINE_MS } from "../common/limits.ts";
import type { PubsubTarget } from "../common/pubsub.ts";
import { type Logger, splitIntoLines } from "../common/telemetry/logger.ts";
import type { Metrics } from "../common/telemetry/metrics.ts";
import {
  getTraceId,
  getTraceparent,
  isParentSampled,
  setError,
  toContext,
  tracer,
} from "../common/telemetry/tracing.ts";
import { encodeWrite, type MessageContent, type Write } from "../common/write.ts";
import { itemTooLarge, Problem } from "./answer/problem.ts";
import { createTopicClient, NotPublishedError } from "./topic-client.ts";

/** Puts writes on the topic. */
export type Publisher = {
  /**
   * Resolves once Pub/Sub has returned the message's id: the write is accepted. Rejects with a
   * 503 Problem after {@link PUBLISH_DEADLINE_MS}, or at once where the queue is full.
   */
  publish(write: Write, requestId: string): Promise<void>;
  /** Connects ahead of the first write. */
  warmUp(): void;
  /** Waits for everything under way, then closes the connection. */
  stop(): Promise<void>;
};

/** A write that waits for Pub/Sub to hold it. */
type PendingWrite = {
  write: Write;
  requestId: string;
  content: MessageContent;
  /** Whether it was handed to Pub/Sub's client. */
  isSent: boolean;
  /** The message's id and the size of its batch, once Pub/Sub holds it. */
  published?: { messageId: string; batch: number };
};

/** Publishes by group commit: one request for all writes that wait. */
export function createPublisher(
  options: PubsubTarget & {
    topic: string;
    logger: Logger;
    metrics: Metrics;
    onAccepted: (writes: readonly Write[]) => void;
  },
): Publisher {
  const { logger, metrics, onAccepted } = options;
  const client = createTopicClient(options);
  let failed: { pending: PendingWrite; isUnknown: boolean; code: unknown }[] = [];
  const batcher = metrics.createBatcher<PendingWrite, void>("publish", {
    ...PUBLISH,
    deadlineMs: PUBLISH_DEADLINE_MS,
    dispatch: publishBatch,
    // The item's bytes, and those of attributes and envelope.
    getSize: ({ content }) => content.data.length + 1_000,
  });
  return {
    publish,
    // Should it fail, the first write connects.
    warmUp: () => void client.warmUp().catch(() => {}),
    async stop() {
      await batcher.drain();
      reportFailed();
      await client.close();
    },
  };

  function publish(write: Write, requestId: string): Promise<void> {
    // Recording every span would cost a write 3 µs, so one that is not sampled starts if it fails.
    const startTime = Date.now();
    const parent = write.traceparent;
    const span = isParentSampled(parent) ? startSpan(write, parent) : undefined;
    if (span) write.traceparent = getTraceparent(span);
    const pending: PendingWrite = { write, requestId, content: encodeWrite(write), isSent: false };
    // It may be larger than what was sent: 1e18 becomes 19 digits, and defaults are filled in.
    if (pending.content.data.length > ITEM_BYTES) {
      span?.end();
      return Promise.reject(itemTooLarge());
    }
    return batcher.add(pending).then(
      () => endSpan(span, pending),
      (error) => {
        endSpan(span ?? startSpan(write, parent, startTime), pending, error);
        if (error instanceof QueueFullError)
          throw new Problem("unavailable", "Too many writes are waiting; nothing was accepted.");
        const isUnknown = pending.isSent && !(error instanceof NotPublishedError);
        recordFailure(pending, isUnknown, error);
        throw new Problem("unavailable", isUnknown ? MAYBE_ACCEPTED : NOT_ACCEPTED);
      },
    );
  }

  async function publishBatch(batch: PendingWrite[]): Promise<undefined[]> {
    for (const pending of batch) pending.isSent = true;
    const messageIds = await client.publish(batch.map(({ content }) => content));
    batch.forEach((pending, index) => {
      pending.published = { messageId: messageIds[index] ?? "", batch: batch.length };
    });
    report(batch);
    return batch.map(() => undefined);
  }

  /** A line for many writes: at full speed, a line for each write would cost the most. */
  function report(batch: readonly PendingWrite[]): void {
    // A sweep's are nobody's: the audit would take the time in their ids for that of acceptance.
    const accepted = batch.filter(({ write }) => write.kind !== "expire");
    for (const fields of describeWrites(accepted)) logger.info("writes accepted", fields);
    onAccepted(batch.map(({ write }) => write));
  }

  /** Starts the publish span, by OpenTelemetry's semantic conventions for messaging. */
  function startSpan(write: Write, parent: string | undefined, startTime?: number): Span {
    const attributes = {
      "messaging.system": "gcp_pubsub",
      "messaging.operation.name": "send",
      "messaging.operation.type": "send",
      "messaging.destination.name": options.topic,
      "constancia.write": write.id,
      "constancia.collection": write.collection.name,
    };
    return tracer.startSpan(
      `send ${options.topic}`,
      { kind: SpanKind.PRODUCER, startTime, attributes },
      toContext(parent),
    );
  }

  function endSpan(
    span: Span | undefined,
    { published }: PendingWrite,
    error?: Error & { code?: number },
  ): void {
    if (published)
      span?.setAttributes({
        "messaging.message.id": published.messageId,
        "messaging.batch.message_count": published.batch,
      });
    if (span && error) setError(span, String(error.code ?? error.name));
    span?.end();
  }

  /** Queues a line of the log, which names all writes that fail in this turn of the event loop. */
  function recordFailure(pending: PendingWrite, isUnknown: boolean, error: unknown): void {
    if (failed.length === 0) setImmediate(reportFailed);
    failed.push({ pending, isUnknown, code: (error as { code?: unknown }).code });
  }

  /** Logs writes that failed together, as many in a line as fit. */
  function reportFailed(): void {
    const groups = Map.groupBy(failed, ({ isUnknown, code }) => `${isUnknown} ${code}`);
    failed = [];
    for (const group of groups.values())
      for (const fields of describeWrites(group.map(({ pending }) => pending)))
        logger.error(
          group[0]?.isUnknown
            ? "publishing failed; it is not known whether the writes were accepted"
            : "publishing failed; the writes were not accepted",
          { ...fields, code: group[0]?.code },
        );
  }
}

/** The fields of log lines about many writes: of each as many as fit, because the audit needs them all. */
function describeWrites(batch: readonly PendingWrite[]) {
  const all = batch.map(({ write, requestId }) => ({
    id: write.id,
    collection: write.collection.name,
    item: write.itemId,
    request: requestId,
    trace: getTraceId(write.traceparent),
  }));
  return splitIntoLines(all).map((writes) => {
    const only = writes.length === 1 ? writes[0] : undefined;
    // Cloud Logging can add up a number, but not count a list.
    return { count: writes.length, writes, trace: only?.trace, requestId: only?.request };
  });
}

const NOT_ACCEPTED = "The write could not be published and was not accepted.";
const MAYBE_ACCEPTED =
  "Pub/Sub did not answer in time, so it is not known whether the write was accepted. " +
  "Retry with the same Idempotency-Key; a retry cannot create a second item.";
