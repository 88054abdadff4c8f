import type { Attributes } from "@opentelemetry/api";
import { randomHex } from "../random.ts";

/*
 * Spans by hand: automatic instrumentation costs three times the memory of the whole process. A
 * span is only a few fields until it has ended; the SDK sees those that are exported and no others.
 */

/** A place in a trace, as W3C Trace Context (level 1, section 3.2) has it in `traceparent`. */
export type SpanPlace = { traceId: string; spanId: string; isSampled: boolean };

/** What is known of a span at its end. Times in milliseconds since 1970, with fractions. */
export type EndedSpan = SpanPlace & {
  parentSpanId: string | undefined;
  name: string;
  /** As OpenTelemetry has them. */
  kind: "internal" | "server" | "client" | "producer" | "consumer";
  startMs: number;
  endMs: number;
  attributes: Attributes;
  links: readonly SpanPlace[];
  /** What went wrong, in a word; a span with an error is exported whether sampled or not. */
  error: string | undefined;
};

/** What a span is told at its end. */
export type SpanEnd = Pick<EndedSpan, "name" | "kind" | "attributes"> &
  Partial<Pick<EndedSpan, "links" | "error">>;

/** A span under way: where it is, and since when. Nothing else is known of it until it ends. */
export type Span = SpanPlace & {
  parentSpanId: string | undefined;
  startMs: number;
  /** For those who go on with the trace below this span. */
  traceparent: string;
};

/** Begins spans, and hands those that count to an exporter. */
export type Tracing = {
  /**
   * A span where a trace enters our house: below the caller's span, if there is one. Whether the
   * trace is sampled is decided here by its id, not by the caller's flag: anybody can set that.
   */
  enter(traceparent: string | undefined): Span;
  /** A span below one of ours, sampled if that is; begun at `startMs`, or now. */
  below(traceparent: string | undefined, startMs?: number): Span;
  /**
   * Ends a span. Of one that is not sampled only an error is sent, so ask {@link Span.isSampled}
   * before going to the trouble of describing it.
   */
  end(span: Span, end: SpanEnd): void;
  /** Sends what is waiting. */
  flush(): Promise<void>;
};

const TRACEPARENT = /^00-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})$/;
const SAMPLED = 1;
/** The last 32 bits of a trace id are random (W3C Trace Context level 2, section 5.1). */
const RANDOM_DIGITS = 8;

/** Makes spans of which a share of `ratio` (0 to 1), and every error, goes to `exporter`. */
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

/** Whether what goes on below this `traceparent` is sampled; quicker than reading the whole. */
export function isSampled(traceparent: string | undefined): boolean {
  // The last digit of the flags; its lowest bit is the flag.
  return traceparent !== undefined && /[13579bdf]$/.test(traceparent);
}

/** A new trace's first `traceparent`, for where nothing is traced and logs still name traces. */
export function mintTraceparent(): string {
  return formatTraceparent({ traceId: randomHex(16), spanId: randomHex(8), isSampled: true });
}

/** The trace id inside a traceparent, or undefined. */
export function getTraceId(traceparent: string | undefined): string | undefined {
  return traceparent && TRACEPARENT.test(traceparent) ? traceparent.slice(3, 35) : undefined;
}

/** Reads a `traceparent`; undefined where there is none or it is not of version 00's form. */
export function parseTraceparent(traceparent: string | undefined): SpanPlace | undefined {
  const [, traceId, spanId, flags = ""] = TRACEPARENT.exec(traceparent ?? "") ?? [];
  if (!traceId || !spanId) return undefined;
  return { traceId, spanId, isSampled: (Number.parseInt(flags, 16) & SAMPLED) === SAMPLED };
}

function formatTraceparent({ traceId, spanId, isSampled }: SpanPlace): string {
  return `00-${traceId}-${spanId}-${isSampled ? "01" : "00"}`;
}

/** Finer than `Date.now()`: most spans are shorter than a millisecond. */
export function nowMs(): number {
  return performance.timeOrigin + performance.now();
}
