import type { Config } from "../common/config.ts";
import type { OnStatement } from "../common/database.ts";
import { isSampled, type Tracing } from "../common/telemetry/tracing.ts";
import { type Decision, isDead } from "./decide.ts";
import type { Entry, Message } from "./message.ts";

/** Of a statement; with a batch in it, the rest says nothing new. */
const QUERY_TEXT_CHARACTERS = 500;

/**
 * Begins the process span of each message that is sampled: below the publish span that the message
 * names, so that a write is one trace however it was delivered and how often (OpenTelemetry's
 * semantic conventions for messaging). The others have none unless something goes wrong.
 */
export function beginMessages(tracing: Tracing, messages: readonly Message[]): void {
  for (const message of messages) {
    const { traceparent } = message.attributes;
    if (isSampled(traceparent)) message.span = tracing.below(traceparent, message.receivedMs);
  }
}

/** Ends the process spans of a batch; those of dead and unsettled messages whether sampled or not. */
export function endMessages(
  tracing: Tracing,
  messages: readonly Message[],
  decisions: readonly (Decision | Error)[],
  { PUBSUB_SUBSCRIPTION, DELIVERY }: SpanNames,
): void {
  messages.forEach((message, index) => {
    const decision = decisions[index] as Decision | Error;
    const error = getError(decision);
    if (!message.span && error === undefined) return;
    const { traceparent, "ce-id": write } = message.attributes;
    tracing.end(message.span ?? tracing.below(traceparent, message.receivedMs), {
      name: `process ${PUBSUB_SUBSCRIPTION}`,
      kind: "consumer",
      attributes: {
        "messaging.system": "gcp_pubsub",
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        "messaging.destination.subscription.name": PUBSUB_SUBSCRIPTION,
        "messaging.message.id": message.messageId,
        "constancia.delivery": DELIVERY,
        "constancia.write": write,
        "constancia.outcome": getOutcome(decision),
      },
      links: message.batchSpan ? [message.batchSpan] : [],
      ...(error === undefined ? {} : { error }),
    });
  });
}

/** What the process span says of where it is. */
export type SpanNames = Pick<Config, "PUBSUB_SUBSCRIPTION" | "DELIVERY">;

function getError(decision: Decision | Error): string | undefined {
  if (decision instanceof Error) return getName(decision);
  return isDead(decision) ? "dead" : undefined;
}

function getOutcome(decision: Decision | Error): string {
  if (decision instanceof Error) return "unsettled";
  return decision.kind === "settled" ? decision.outcome : decision.kind;
}

/**
 * Begins the settle span of a batch: below the process span of its first write that is sampled,
 * with links to all of those, because a span has one parent only. The statements of its
 * transaction, which are below it, are told to `onStatement`.
 */
export function beginBatch(tracing: Tracing, entries: readonly Entry[], attempt: number) {
  const spans = entries.flatMap(({ message }) => message.span ?? []);
  const span = tracing.below(spans[0]?.traceparent ?? entries[0]?.message.attributes.traceparent);
  return {
    onStatement: span.isSampled ? traceStatements(tracing, span.traceparent) : undefined,
    /** Ends it: committed, or rolled back for an error. */
    end(error?: unknown): void {
      if (span.isSampled) for (const { message } of entries) message.batchSpan = span;
      else if (error === undefined) return;
      tracing.end(span, {
        name: "settle",
        kind: "internal",
        attributes: {
          "messaging.batch.message_count": entries.length,
          "constancia.attempt": attempt,
        },
        links: spans,
        ...(error === undefined ? {} : { error: getName(error) }),
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
      tracing.end(span, {
        name: summary,
        kind: "client",
        attributes: {
          "db.system.name": "mysql",
          "db.operation.name": operation,
          "db.collection.name": table,
          "db.query.summary": summary,
          "db.query.text": sql.slice(0, QUERY_TEXT_CHARACTERS),
        },
        ...(error === undefined ? {} : { error: getName(error) }),
      });
    };
  };
}

/** An error by its code or kind: its message may quote a client's data. */
function getName(error: unknown): string {
  const { code, name } = error as { code?: string; name?: string };
  return code ?? name ?? typeof error;
}
