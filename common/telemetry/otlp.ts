import { randomUUID } from "node:crypto";
import {
  type DiagLogger,
  DiagLogLevel,
  diag,
  ROOT_CONTEXT,
  SpanKind,
  SpanStatusCode,
  TraceFlags,
  trace,
} from "@opentelemetry/api";
import { OTLPMetricExporter } from "@opentelemetry/exporter-metrics-otlp-proto";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-proto";
import { resourceFromAttributes } from "@opentelemetry/resources";
import { MeterProvider, PeriodicExportingMetricReader } from "@opentelemetry/sdk-metrics";
import { AlwaysOnSampler, BatchSpanProcessor, TracerProvider } from "@opentelemetry/sdk-trace";
import type { Registry } from "prom-client";
import { SETTLE } from "../limits.ts";
import type { Logger } from "./logger.ts";
import { readRegistry } from "./otlp-metrics.ts";
import type { EndedSpan, SpanPlace } from "./tracing.ts";

/** Google's endpoint, which wants the service account's token. */
const GOOGLE_HOST = "telemetry.googleapis.com";
const GOOGLE_SCOPE = "https://www.googleapis.com/auth/cloud-platform";
/** Google Cloud's lowest interval for a metric's points is well below; each export costs. */
const METRICS_INTERVAL_MS = 60_000;
/** Spans leave soon, for whoever is looking, and because App Engine gives little time at the end. */
const SPANS_DELAY_MS = 1_000;
/** An export is given up so that a collector that hangs holds nothing back for long. */
const EXPORT_TIMEOUT_MS = 5_000;
/** A few seconds' worth at full sampling; what comes beyond is dropped, never waited for. */
const WAITING_SPANS = 20_000;
/** A request of 2 MB or so. */
const SPANS_PER_EXPORT = 1_000;
const COMPLAIN_MS = 60_000;
const COMPLAINT_CHARACTERS = 300;
const SCOPE = "constancia";

const KINDS = {
  internal: SpanKind.INTERNAL,
  server: SpanKind.SERVER,
  client: SpanKind.CLIENT,
  producer: SpanKind.PRODUCER,
  consumer: SpanKind.CONSUMER,
};

/** Sends spans and metrics by OTLP over HTTP (OpenTelemetry protocol 1, section "OTLP/HTTP"). */
export type Exporter = {
  add(span: EndedSpan): void;
  /** Sends what is waiting, and the metrics as they are. */
  flush(): Promise<void>;
};

/** Opens the way to an OTLP endpoint such as `http://localhost:4318`. Loaded only where one is set. */
export async function createExporter(options: {
  endpoint: string;
  service: "api" | "subscriber";
  projectId: string;
  logger: Logger;
  /** Undefined where metrics are not sent. */
  registry: Registry | undefined;
}): Promise<Exporter> {
  diag.setLogger(tellSometimes(options.logger), DiagLogLevel.WARN);
  const base = options.endpoint.replace(/\/$/, "");
  const headers =
    URL.parse(base)?.hostname === GOOGLE_HOST ? { headers: await googleHeaders() } : {};
  const common = { ...headers, timeoutMillis: EXPORT_TIMEOUT_MS };
  const resource = resourceFromAttributes(await describeProcess(options));
  // The ids are ours: a span's place was told to others before the span had ended.
  let next: SpanPlace;
  const spans = new TracerProvider({
    resource,
    sampler: new AlwaysOnSampler(),
    idGenerator: { generateTraceId: () => next.traceId, generateSpanId: () => next.spanId },
    // A batch has a link to each of its writes.
    spanLimits: { linkCountLimit: SETTLE.maxItems },
    spanProcessors: [
      new BatchSpanProcessor({
        exporter: new OTLPTraceExporter({ ...common, url: `${base}/v1/traces` }),
        scheduledDelayMillis: SPANS_DELAY_MS,
        exportTimeoutMillis: EXPORT_TIMEOUT_MS,
        maxQueueSize: WAITING_SPANS,
        maxExportBatchSize: SPANS_PER_EXPORT,
      }),
    ],
  });
  const tracer = spans.getTracer(SCOPE);
  const { registry } = options;
  const reader =
    registry &&
    new PeriodicExportingMetricReader({
      exporter: new OTLPMetricExporter({ ...common, url: `${base}/v1/metrics` }),
      exportIntervalMillis: METRICS_INTERVAL_MS,
      exportTimeoutMillis: EXPORT_TIMEOUT_MS,
      metricProducers: [{ collect: () => readRegistry(registry, resource, SCOPE) }],
    });
  const metrics = new MeterProvider({ resource, readers: reader ? [reader] : [] });
  return {
    add(ended) {
      next = ended;
      const { name, kind, attributes, parentSpanId, traceId } = ended;
      const parent = parentSpanId && toContext({ traceId, spanId: parentSpanId });
      const span = tracer.startSpan(
        name,
        {
          ...{ kind: KINDS[kind], attributes, startTime: ended.startMs },
          links: ended.links.map((place) => ({ context: toContext(place) })),
        },
        parent ? trace.setSpanContext(ROOT_CONTEXT, parent) : ROOT_CONTEXT,
      );
      if (ended.error !== undefined)
        span.setStatus({ code: SpanStatusCode.ERROR, message: ended.error });
      span.end(ended.endMs);
    },
    async flush() {
      await Promise.allSettled([spans.forceFlush(), metrics.forceFlush()]);
    },
  };
}

/** The SDK complains of every export; a collector that is away for an hour is worth a few lines. */
function tellSometimes(logger: Logger): DiagLogger {
  let toldAt = Number.NEGATIVE_INFINITY;
  const tell = (message: string) => {
    if (Date.now() - toldAt < COMPLAIN_MS) return;
    toldAt = Date.now();
    logger.warn("telemetry is not sent", { error: message.slice(0, COMPLAINT_CHARACTERS) });
  };
  const leave = () => {};
  return { error: tell, warn: tell, info: leave, debug: leave, verbose: leave };
}

function toContext({ traceId, spanId }: { traceId: string; spanId: string }) {
  return { traceId, spanId, traceFlags: TraceFlags.SAMPLED, isRemote: true };
}

/** A fresh token for each export; Google's library keeps it while it is valid. */
async function googleHeaders(): Promise<() => Promise<Record<string, string>>> {
  const { GoogleAuth } = await import("google-auth-library");
  const auth = new GoogleAuth({ scopes: GOOGLE_SCOPE });
  return async () => {
    try {
      return Object.fromEntries((await auth.getRequestHeaders()).entries());
    } catch {
      // Must not throw; the endpoint refuses the request, and the export is lost.
      return {};
    }
  };
}

/** Who is speaking, in OpenTelemetry's words; `gcp.project_id` is what Google's endpoint asks for. */
async function describeProcess({
  service,
  projectId,
}: {
  service: string;
  projectId: string;
}): Promise<Record<string, string>> {
  const { GAE_INSTANCE, GAE_VERSION, GAE_SERVICE } = process.env;
  return {
    "service.namespace": SCOPE,
    "service.name": `${SCOPE}-${service}`,
    "service.instance.id": GAE_INSTANCE ?? randomUUID(),
    "gcp.project_id": projectId,
    ...(GAE_VERSION ? { "service.version": GAE_VERSION } : {}),
    ...(GAE_SERVICE ? { "cloud.platform": "gcp_app_engine", ...(await findRegion()) } : {}),
  };
}

/** Where we run: Google's metrics are kept by place. */
async function findRegion(): Promise<Record<string, string>> {
  const { gcpMetadata } = await import("google-auth-library");
  try {
    // projects/NUMBER/regions/REGION
    const region = String(await gcpMetadata.instance("region"));
    return { "cloud.region": region.slice(region.lastIndexOf("/") + 1) };
  } catch {
    return {};
  }
}
