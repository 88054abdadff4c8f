import { ROOT_CONTEXT, type Span, SpanKind, trace } from "@opentelemetry/api";
import type { Config } from "../common/config.ts";
import type { OnStatement } from "../common/database.ts";
import {
  isParentSampled,
  isSampled,
  setError,
  toContext,
  tracer,
} from "../common/telemetry/tracing.ts";
import { type Decision, isDead } from "./decide.ts";
import type { Entry, Message } from "./message.ts";

/** A statement is cut to this: the rest of a batch repeats its beginning. */
const QUERY_TEXT_CHARACTERS = 500;

/** What names the process spans. */
export type SpanNames = Pick<Config, "PUBSUB_SUBSCRIPTION" | "DELIVERY">;

/**
 * Starts the process span of each message that is sampled, as a child of the publish span that the
 * message names (OpenTelemetry's semantic conventions for messaging). So a write is one trace, however
 * often and by whichever way it is delivered. Other messages get a span only if something fails.
 */
export function startMessages(messages: readonly Message[], names: SpanNames): void {
  for (const message of messages)
    if (isParentSampled(message.attributes.traceparent)) message.span = startSpan(message, names);
}

function startSpan(message: Message, { PUBSUB_SUBSCRIPTION, DELIVERY }: SpanNames): Span {
  const { traceparent, "ce-id": write } = message.attributes;
  return tracer.startSpan(
    `process ${PUBSUB_SUBSCRIPTION}`,
    {
      kind: SpanKind.CONSUMER,
      startTime: message.receivedMs,
      attributes: {
        "messaging.system": "gcp_pubsub",
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        "messaging.destination.subscription.name": PUBSUB_SUBSCRIPTION,
        "messaging.message.id": message.messageId,
        "constancia.delivery": DELIVERY,
        "constancia.write": write,
      },
    },
    toContext(traceparent),
  );
}

/** Ends the process spans of a batch. Dead and unsettled messages have one even if not sampled. */
export function endMessages(
  messages: readonly Message[],
  decisions: readonly (Decision | Error)[],
  names: SpanNames,
): void {
  messages.forEach((message, index) => {
    const decision = decisions[index] as Decision | Error;
    const error = getError(decision);
    const span = message.span ?? (error === undefined ? undefined : startSpan(message, names));
    span?.setAttribute("constancia.outcome", getOutcome(decision));
    if (span && error !== undefined) setError(span, error);
    span?.end();
  });
}

function getError(decision: Decision | Error): string | undefined {
  if (decision instanceof Error) return getName(decision);
  return isDead(decision) ? "dead" : undefined;
}

function getOutcome(decision: Decision | Error): string {
  if (decision instanceof Error) return "unsettled";
  return decision.kind === "settled" ? decision.outcome : decision.kind;
}

/**
 * Starts the settle span of a batch, as a child of the process span of its first sampled write and
 * with links to and from all of them, because a span has one parent only. `onStatement` starts the
 * spans of the transaction's statements.
 */
export function startBatch(entries: readonly Entry[], attempt: number) {
  const spans = entries.flatMap(({ message }) => message.span ?? []);
  const span = tracer.startSpan(
    "settle",
    {
      links: spans.map(toLink),
      attributes: {
        "messaging.batch.message_count": entries.length,
        "constancia.attempt": attempt,
      },
    },
    spans[0]
      ? trace.setSpan(ROOT_CONTEXT, spans[0])
      : toContext(entries[0]?.message.attributes.traceparent),
  );
  for (const sampled of spans) sampled.addLink(toLink(span));
  return {
    onStatement: isSampled(span.spanContext()) ? traceStatements(span) : undefined,
    /** Ends it, with the error for which the transaction was rolled back. */
    end: (error?: unknown) => endSpan(span, error),
  };
}

function toLink(span: Span) {
  return { context: span.spanContext() };
}

/** A span for each statement (OpenTelemetry's semantic conventions for databases). */
function traceStatements(parent: Span): OnStatement {
  const context = trace.setSpan(ROOT_CONTEXT, parent);
  return (sql) => {
    const [, operation = "", table] =
      /^(\w+)(?: (?:\S+ )*?(?:FROM|INTO|UPDATE) `?(\w+))?/.exec(sql) ?? [];
    const summary = table ? `${operation} ${table}` : operation;
    const attributes = {
      "db.system.name": "mysql",
      "db.operation.name": operation,
      "db.collection.name": table,
      "db.query.summary": summary,
      "db.query.text": sql.slice(0, QUERY_TEXT_CHARACTERS),
    };
    const span = tracer.startSpan(summary, { kind: SpanKind.CLIENT, attributes }, context);
    return (error) => endSpan(span, error);
  };
}

function endSpan(span: Span, error: unknown): void {
  if (error !== undefined) setError(span, getName(error));
  span.end();
}

/** The code or the name of an error; its message may quote a client's data. */
function getName(error: unknown): string {
  const { code, name } = error as { code?: string; name?: string };
  return code ?? name ?? typeof error;
}
