import type { Config } from "../common/config.ts";
import type { OnStatement } from "../common/database.ts";
import { isSampled, type Tracing } from "../common/telemetry/tracing.ts";
import { type Decision, isDead } from "./decide.ts";
import type { Entry, Message } from "./message.ts";

/** A statement is cut to this: the rest of a batch repeats its beginning. */
const QUERY_TEXT_CHARACTERS = 500;

/**
 * Begins the process span of each message that is sampled, as a child of the publish span that the
 * message names (OpenTelemetry's semantic conventions for messaging). So a write is one trace, however
 * often and by whichever way it is delivered. Other messages get a span only if something fails.
 */
export function beginMessages(tracing: Tracing, messages: readonly Message[]): void {
  for (const message of messages) {
    const { traceparent } = message.attributes;
    if (isSampled(traceparent)) message.span = tracing.below(traceparent, message.receivedMs);
  }
}

/** Ends the process spans of a batch. Dead and unsettled messages have one even if not sampled. */
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

/** What names the process spans. */
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
 * Begins the settle span of a batch, as a child of the process span of its first sampled write and
 * with links to all of them, because a span has one parent only. `onStatement` begins the spans of
 * the transaction's statements.
 */
export function beginBatch(tracing: Tracing, entries: readonly Entry[], attempt: number) {
  const spans = entries.flatMap(({ message }) => message.span ?? []);
  const span = tracing.below(spans[0]?.traceparent ?? entries[0]?.message.attributes.traceparent);
  return {
    onStatement: span.isSampled ? traceStatements(tracing, span.traceparent) : undefined,
    /** Ends it, with the error for which the transaction was rolled back. */
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

/** The code or the name of an error; its message may quote a client's data. */
function getName(error: unknown): string {
  const { code, name } = error as { code?: string; name?: string };
  return code ?? name ?? typeof error;
}
