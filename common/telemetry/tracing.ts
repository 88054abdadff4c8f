import {
  type Context,
  isSpanContextValid,
  ROOT_CONTEXT,
  type Span,
  type SpanContext,
  SpanStatusCode,
  TraceFlags,
  trace,
} from "@opentelemetry/api";
import { randomHex } from "../random.ts";

/** Starts the spans of this process; they are no-ops unless `startTelemetry` sets a provider. */
export const tracer = trace.getTracer("constancia");

/** Version 00 (W3C Trace Context level 1, section 3.2). */
const TRACEPARENT = /^00-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})$/;

/** Returns the context in which to start a child of the span that a `traceparent` names. */
export function toContext(traceparent: string | undefined): Context {
  const parent = parseTraceparent(traceparent);
  return parent ? trace.setSpanContext(ROOT_CONTEXT, parent) : ROOT_CONTEXT;
}

/** Parses a `traceparent`; returns undefined if it is missing or not of version 00. */
export function parseTraceparent(traceparent: string | undefined): SpanContext | undefined {
  const [, traceId, spanId, flags = ""] = TRACEPARENT.exec(traceparent ?? "") ?? [];
  if (!traceId || !spanId) return undefined;
  return { traceId, spanId, traceFlags: Number.parseInt(flags, 16), isRemote: true };
}

/**
 * Returns the `traceparent` of a span for its children. Without a provider, a span is its parent's,
 * and one without a parent gets a new trace: logs and receipts name traces even if none is sent.
 */
export function getTraceparent(span: Span): string {
  const context = span.spanContext();
  if (!isSpanContextValid(context)) return mintTraceparent();
  return formatTraceparent(context.traceId, context.spanId, isSampled(context));
}

/** Mints the `traceparent` of a new trace. */
export function mintTraceparent(sampled = false): string {
  return formatTraceparent(randomHex(16), randomHex(8), sampled);
}

function formatTraceparent(traceId: string, spanId: string, sampled: boolean): string {
  return `00-${traceId}-${spanId}-${sampled ? "01" : "00"}`;
}

/** Returns the trace id of a `traceparent`, if it is valid. */
export function getTraceId(traceparent: string | undefined): string | undefined {
  return traceparent && TRACEPARENT.test(traceparent) ? traceparent.slice(3, 35) : undefined;
}

/** Whether children of this `traceparent` are sampled; faster than parsing all of it. */
export function isParentSampled(traceparent: string | undefined): boolean {
  // The last digit of the flags; its lowest bit is the flag.
  return traceparent !== undefined && /[13579bdf]$/.test(traceparent);
}

/** Whether a span is sampled. One that is not is recorded, and only sent if it has an error. */
export function isSampled({ traceFlags }: SpanContext): boolean {
  return (traceFlags & TraceFlags.SAMPLED) !== 0;
}

/** Gives a span its error. A message of an error may quote a client's data, so pass a code or name. */
export function setError(span: Span, message: string): void {
  span.setStatus({ code: SpanStatusCode.ERROR, message });
}
