import type { Attributes } from "@opentelemetry/api";
import { randomHex } from "../random.ts";

/*
 * Spans without OpenTelemetry's SDK, which only sees the spans that are exported: automatic
 * instrumentation would triple the process's memory (docs/decisions/2026-11-21-spans-by-hand.md).
 */

/** A span's ids and flag, as in a `traceparent` (W3C Trace Context level 1, section 3.2). */
export type SpanPlace = { traceId: string; spanId: string; isSampled: boolean };

/** A span that has ended. Times are in milliseconds since 1970, with fractions. */
export type EndedSpan = SpanPlace & {
  parentSpanId: string | undefined;
  name: string;
  /** OpenTelemetry's span kind. */
  kind: "internal" | "server" | "client" | "producer" | "consumer";
  startMs: number;
  endMs: number;
  attributes: Attributes;
  links: readonly SpanPlace[];
  /** What went wrong, in a word. A span with an error is exported even if it is not sampled. */
  error: string | undefined;
};

/** What is added to a span when it ends. */
export type SpanEnd = Pick<EndedSpan, "name" | "kind" | "attributes"> &
  Partial<Pick<EndedSpan, "links" | "error">>;

/** A span that has not ended: its ids and its start; everything else is added at its end. */
export type Span = SpanPlace & {
  parentSpanId: string | undefined;
  startMs: number;
  /** To propagate: spans started from it are children of this span. */
  traceparent: string;
};

/** Starts spans, and passes those that are sampled or have an error to an exporter. */
export type Tracing = {
  /**
   * Starts a span at the edge: a child of the caller's span, if there is one. Whether the trace is
   * sampled is decided here by its id, not by the caller's flag, which anybody can set.
   */
  enter(traceparent: string | undefined): Span;
  /** Starts a child of one of our spans, sampled if that is; it began at `startMs`, or begins now. */
  below(traceparent: string | undefined, startMs?: number): Span;
  /**
   * Ends a span. One that is not sampled is only sent if it has an error, so check
   * {@link Span.isSampled} before computing its attributes.
   */
  end(span: Span, end: SpanEnd): void;
  /** Sends the spans that are queued. */
  flush(): Promise<void>;
};

const TRACEPARENT = /^00-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})$/;
const SAMPLED = 1;
/** The last 32 bits of a trace id are random (W3C Trace Context level 2, section 5.1). */
const RANDOM_DIGITS = 8;

/** Creates the tracing of a process; it samples a share of `ratio` (0 to 1), and every error. */
export function createTracing(options: {
  ratio: number;
  exporter: { add(span: EndedSpan): void; flush(): Promise<void> };
}): Tracing {
  const { ratio, exporter } = options;
  const bound = ratio * 16 ** RANDOM_DIGITS;
  return {
    enter(traceparent) {
      const parent = parseTraceparent(traceparent);
      const traceId = parent?.traceId ?? randomHex(16);
      const isSampled = Number.parseInt(traceId.slice(-RANDOM_DIGITS), 16) < bound;
      return begin(traceId, parent?.spanId, isSampled, nowMs());
    },
    below(traceparent, startMs = nowMs()) {
      const parent = parseTraceparent(traceparent);
      const traceId = parent?.traceId ?? randomHex(16);
      return begin(traceId, parent?.spanId, parent?.isSampled ?? false, startMs);
    },
    end(span, { name, kind, attributes, links = [], error }) {
      if (!span.isSampled && error === undefined) return;
      exporter.add({ ...span, endMs: nowMs(), name, kind, attributes, links, error });
    },
    flush: () => exporter.flush(),
  };
}

function begin(
  traceId: string,
  parentSpanId: string | undefined,
  isSampled: boolean,
  startMs: number,
): Span {
  const spanId = randomHex(8);
  const traceparent = formatTraceparent({ traceId, spanId, isSampled });
  return { traceId, spanId, parentSpanId, isSampled, startMs, traceparent };
}

/** Whether children of this `traceparent` are sampled; faster than parsing all of it. */
export function isSampled(traceparent: string | undefined): boolean {
  // The last digit of the flags; its lowest bit is the flag.
  return traceparent !== undefined && /[13579bdf]$/.test(traceparent);
}

/** Mints the `traceparent` of a new trace: logs name traces even if no spans are sent. */
export function mintTraceparent(): string {
  return formatTraceparent({ traceId: randomHex(16), spanId: randomHex(8), isSampled: true });
}

/** Returns the trace id of a `traceparent`, if it is valid. */
export function getTraceId(traceparent: string | undefined): string | undefined {
  return traceparent && TRACEPARENT.test(traceparent) ? traceparent.slice(3, 35) : undefined;
}

/** Parses a `traceparent`; returns undefined if it is missing or not of version 00. */
export function parseTraceparent(traceparent: string | undefined): SpanPlace | undefined {
  const [, traceId, spanId, flags = ""] = TRACEPARENT.exec(traceparent ?? "") ?? [];
  if (!traceId || !spanId) return undefined;
  return { traceId, spanId, isSampled: (Number.parseInt(flags, 16) & SAMPLED) === SAMPLED };
}

function formatTraceparent({ traceId, spanId, isSampled }: SpanPlace): string {
  return `00-${traceId}-${spanId}-${isSampled ? "01" : "00"}`;
}

/** A getter in Node, and slower than `now()`. */
const { timeOrigin } = performance;

/** As `Date.now()`, with fractions: most spans are shorter than a millisecond. */
export function nowMs(): number {
  return timeOrigin + performance.now();
}
