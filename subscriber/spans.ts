import type { Config } from "../common/config.ts";
import type { OnStatement } from "../common/database.ts";
import type { Tracing } from "../common/tracing.ts";
import type { Receiver } from "./settle.ts";
import type { Entry } from "./transaction.ts";

/** Of a statement; with a batch in it, the rest says nothing new. */
const QUERY_TEXT_CHARACTERS = 500;

/**
 * Traces each message from its delivery to its settlement: a process span below the publish span
 * that the message names, so that a write is one trace however it was delivered and how often
 * (OpenTelemetry's semantic conventions for messaging). It links to the batch that settled it.
 */
export function traceMessages(
  tracing: Tracing,
  receiver: Receiver,
  { PUBSUB_SUBSCRIPTION, DELIVERY }: Config,
): Receiver {
  return {
    async add(message) {
      const span = tracing.below(message.attributes.traceparent);
      message.span = span;
      const end = (outcome: string, error?: string) =>
        span.end({
          name: `process ${PUBSUB_SUBSCRIPTION}`,
          kind: "consumer",
          attributes: {
            "messaging.system": "gcp_pubsub",
            "messaging.operation.name": "process",
            "messaging.operation.type": "process",
            "messaging.destination.subscription.name": PUBSUB_SUBSCRIPTION,
            "messaging.message.id": message.messageId,
            "constancia.delivery": DELIVERY,
            "constancia.write": message.attributes["ce-id"],
            "constancia.outcome": outcome,
          },
          links: message.batchSpan ? [message.batchSpan] : [],
          ...(error === undefined ? {} : { error }),
        });
      try {
        const settlement = await receiver.add(message);
        const outcome = settlement === "notYet" ? settlement : settlement.outcome;
        end(outcome, outcome === "dead" ? outcome : undefined);
        return settlement;
      } catch (error) {
        end("unsettled", nameOf(error));
        throw error;
      }
    },
  };
}

/**
 * Begins the settle span of a batch: below the process span of its first write that is sampled,
 * with links to all of them, because a span has one parent only. The statements of its
 * transaction, which are below it, are told to `onStatement`.
 */
export function beginBatch(tracing: Tracing, entries: readonly Entry[], attempt: number) {
  const spans = entries.flatMap(({ message }) => message.span ?? []);
  const parent = spans.find(({ isSampled }) => isSampled) ?? spans[0];
  const span = tracing.below(parent?.traceparent);
  return {
    onStatement: span.isSampled ? traceStatements(tracing, span.traceparent) : undefined,
    /** Ends it: committed, or rolled back for an error. */
    end(error?: unknown): void {
      if (span.isSampled) for (const { message } of entries) message.batchSpan = span;
      span.end({
        name: "settle",
        kind: "internal",
        attributes: {
          "messaging.batch.message_count": entries.length,
          "constancia.attempt": attempt,
        },
        links: spans,
        ...(error === undefined ? {} : { error: nameOf(error) }),
      });
    },
  };
}

/** A span for each statement (OpenTelemetry's semantic conventions for databases). */
function traceStatements(tracing: Tracing, traceparent: string): OnStatement {
  return (sql) => {
    const span = tracing.below(traceparent);
    return (error) => {
      const [, operation = "", table] =
        /^(\w+)(?: (?:\S+ )*?(?:FROM|INTO|UPDATE) `?(\w+))?/.exec(sql) ?? [];
      const summary = table ? `${operation} ${table}` : operation;
      span.end({
        name: summary,
        kind: "client",
        attributes: {
          "db.system.name": "mysql",
          "db.operation.name": operation,
          "db.collection.name": table,
          "db.query.summary": summary,
          "db.query.text": sql.slice(0, QUERY_TEXT_CHARACTERS),
        },
        ...(error === undefined ? {} : { error: nameOf(error) }),
      });
    };
  };
}

/** An error by its code or kind: its message may quote a client's data. */
function nameOf(error: unknown): string {
  const { code, name } = error as { code?: string; name?: string };
  return code ?? name ?? typeof error;
}
