import { SpanStatusCode, TraceFlags } from "@opentelemetry/api";
import type { Resource } from "@opentelemetry/resources";
import {
  AlwaysOffSampler,
  BatchSpanProcessor,
  createAlwaysRecordSampler,
  ParentBasedSampler,
  type ReadableSpan,
  type Sampler,
  type SpanExporter,
  TraceIdRatioBasedSampler,
  TracerProvider,
} from "@opentelemetry/sdk-trace";
import { SETTLE } from "../limits.ts";

/** Short, because App Engine leaves little time to flush at the end. */
const DELAY_MS = 1_000;
/** A collector that hangs delays a stop by at most this. */
export const EXPORT_TIMEOUT_MS = 5_000;
/** A few seconds' worth at full sampling; spans beyond it are dropped. */
const MAX_QUEUED_SPANS = 20_000;
/** A request of about 2 MB. */
const SPANS_PER_EXPORT = 1_000;

/**
 * Creates a service's sampler. The API decides by the trace's id, not by the caller's flag, which
 * anybody can set; the subscriber follows the API's flag. A span that is not sampled is recorded,
 * because it may have an error.
 */
export function createSampler(service: "api" | "subscriber", ratio: number): Sampler {
  return createAlwaysRecordSampler(
    service === "api"
      ? new TraceIdRatioBasedSampler(ratio)
      : new ParentBasedSampler({ root: new AlwaysOffSampler() }),
  );
}

/** Creates the provider; it exports spans that are sampled or have an error. */
export function createTracerProvider(options: {
  resource: Resource;
  sampler: Sampler;
  exporter: SpanExporter;
}): TracerProvider {
  const { resource, sampler, exporter } = options;
  return new TracerProvider({
    resource,
    sampler,
    // A batch's span links to each of its writes.
    spanLimits: { linkCountLimit: SETTLE.maxItems },
    spanProcessors: [
      new ErrorSpanProcessor({
        exporter,
        scheduledDelayMillis: DELAY_MS,
        exportTimeoutMillis: EXPORT_TIMEOUT_MS,
        maxQueueSize: MAX_QUEUED_SPANS,
        maxExportBatchSize: SPANS_PER_EXPORT,
      }),
    ],
  });
}

/** Exports spans with an error even if they are not sampled, which its base class drops. */
class ErrorSpanProcessor extends BatchSpanProcessor {
  override onEnd(span: ReadableSpan): void {
    super.onEnd(span.status.code === SpanStatusCode.ERROR ? setSampled(span) : span);
  }
}

function setSampled(span: ReadableSpan): ReadableSpan {
  const context = { ...span.spanContext(), traceFlags: TraceFlags.SAMPLED };
  return Object.create(span, { spanContext: { value: () => context } });
}
