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
import type { Config } from "../config.ts";
import { SETTLE } from "../limits.ts";
import type { Logger } from "./logger.ts";
import { readRegistry } from "./otlp-metrics.ts";
import type { EndedSpan, SpanPlace } from "./tracing.ts";

/** Google's endpoint; it requires the service account's token. */
const GOOGLE_HOST = "telemetry.googleapis.com";
const GOOGLE_SCOPE = "https://www.googleapis.com/auth/cloud-platform";
/** Each export costs; the dashboards need no finer resolution. */
const METRICS_INTERVAL_MS = 60_000;
/** Short, because App Engine leaves little time to flush at the end. */
const SPANS_DELAY_MS = 1_000;
/** A collector that hangs delays a stop by at most this. */
const EXPORT_TIMEOUT_MS = 5_000;
/** A few seconds' worth at full sampling; spans beyond it are dropped. */
const MAX_QUEUED_SPANS = 20_000;
/** A request of about 2 MB. */
const SPANS_PER_EXPORT = 1_000;
const WARNING_INTERVAL_MS = 60_000;
const WARNING_CHARACTERS = 300;
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

/** Which App Engine instance this is; each field is empty elsewhere. */
export type AppEngine = Pick<Config, "GAE_SERVICE" | "GAE_VERSION" | "GAE_INSTANCE">;

/** Creates the exporter for an OTLP endpoint such as `http://localhost:4318`. */
export async function createExporter(options: {
  endpoint: string;
  service: "api" | "subscriber";
  projectId: string;
  appEngine: AppEngine;
  logger: Logger;
  /** Undefined if metrics are not sent. */
  registry: Registry | undefined;
}): Promise<Exporter> {
  diag.setLogger(limitWarnings(options.logger), DiagLogLevel.WARN);
  const base = options.endpoint.replace(/\/$/, "");
  const headers =
    URL.parse(base)?.hostname === GOOGLE_HOST ? { headers: await createGoogleHeaders() } : {};
  const common = { ...headers, timeoutMillis: EXPORT_TIMEOUT_MS };
  const resource = resourceFromAttributes(await describeProcess(options));
  // Tracing has chosen the ids: they were propagated before the span ended.
  let next: SpanPlace;
  const spans = new TracerProvider({
    resource,
    sampler: new AlwaysOnSampler(),
    idGenerator: { generateTraceId: () => next.traceId, generateSpanId: () => next.spanId },
    // A batch's span links to each of its writes.
    spanLimits: { linkCountLimit: SETTLE.maxItems },
    spanProcessors: [
      new BatchSpanProcessor({
        exporter: new OTLPTraceExporter({ ...common, url: `${base}/v1/traces` }),
        scheduledDelayMillis: SPANS_DELAY_MS,
        exportTimeoutMillis: EXPORT_TIMEOUT_MS,
        maxQueueSize: MAX_QUEUED_SPANS,
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
          kind: KINDS[kind],
          attributes,
          startTime: ended.startMs,
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

/** Logs at most one of the SDK's warnings a minute: it warns of every failed export. */
function limitWarnings(logger: Logger): DiagLogger {
  let warnedAt = Number.NEGATIVE_INFINITY;
  const warn = (message: string) => {
    if (Date.now() - warnedAt < WARNING_INTERVAL_MS) return;
    warnedAt = Date.now();
    logger.warn("telemetry is not sent", { error: message.slice(0, WARNING_CHARACTERS) });
  };
  const ignore = () => {};
  return { error: warn, warn, info: ignore, debug: ignore, verbose: ignore };
}

function toContext({ traceId, spanId }: { traceId: string; spanId: string }) {
  return { traceId, spanId, traceFlags: TraceFlags.SAMPLED, isRemote: true };
}

/** Returns the headers of each export; Google's library caches the token while it is valid. */
async function createGoogleHeaders(): Promise<() => Promise<Record<string, string>>> {
  const { GoogleAuth } = await import("google-auth-library");
  const auth = new GoogleAuth({ scopes: GOOGLE_SCOPE });
  return async () => {
    try {
      return Object.fromEntries((await auth.getRequestHeaders()).entries());
    } catch {
      // Must not throw. Without a token the endpoint refuses the export.
      return {};
    }
  };
}

/** The resource, by OpenTelemetry's conventions; Google's endpoint requires `gcp.project_id`. */
async function describeProcess({
  service,
  projectId,
  appEngine: { GAE_SERVICE, GAE_VERSION, GAE_INSTANCE },
}: {
  service: string;
  projectId: string;
  appEngine: AppEngine;
}): Promise<Record<string, string>> {
  return {
    "service.namespace": SCOPE,
    "service.name": `${SCOPE}-${service}`,
    "service.instance.id": GAE_INSTANCE || randomUUID(),
    "gcp.project_id": projectId,
    ...(GAE_VERSION ? { "service.version": GAE_VERSION } : {}),
    ...(GAE_SERVICE ? { "cloud.platform": "gcp_app_engine", ...(await findRegion()) } : {}),
  };
}

/** Google Cloud stores metrics by region. */
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
