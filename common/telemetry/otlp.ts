import { randomUUID } from "node:crypto";
import { type DiagLogger, DiagLogLevel, diag, trace } from "@opentelemetry/api";
import { OTLPMetricExporter } from "@opentelemetry/exporter-metrics-otlp-proto";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-proto";
import { type Resource, resourceFromAttributes } from "@opentelemetry/resources";
import { MeterProvider, PeriodicExportingMetricReader } from "@opentelemetry/sdk-metrics";
import type { Registry } from "prom-client";
import { truncate } from "../characters.ts";
import type { Config } from "../config.ts";
import { findRegion } from "./location.ts";
import type { Logger } from "./logger.ts";
import { readRegistry } from "./otlp-metrics.ts";
import { createSampler, createTracerProvider, EXPORT_TIMEOUT_MS } from "./tracer-provider.ts";

/** Google's endpoint; it requires the service account's token. */
const GOOGLE_HOST = "telemetry.googleapis.com";
const GOOGLE_SCOPE = "https://www.googleapis.com/auth/cloud-platform";
/** Each export costs; the dashboards need no finer resolution. */
const METRICS_INTERVAL_MS = 60_000;
const WARNING_INTERVAL_MS = 60_000;
const WARNING_CHARACTERS = 300;
const SCOPE = "constancia";

/** Sends spans and metrics by OTLP over HTTP (OpenTelemetry protocol 1, section "OTLP/HTTP"). */
export type Telemetry = {
  /** Sends the spans that wait, and the metrics as they are. */
  flush(): Promise<void>;
};

/** Sends the spans of `tracer`, and the metrics, to an endpoint such as `http://localhost:4318`. */
export async function startOtlp(options: {
  config: Config;
  service: "api" | "subscriber";
  registry: Registry;
  logger: Logger;
}): Promise<Telemetry> {
  const { config, service, registry, logger } = options;
  diag.setLogger(limitWarnings(logger), DiagLogLevel.WARN);
  const base = config.OTEL_EXPORTER_OTLP_ENDPOINT.replace(/\/$/, "");
  const isGoogle = URL.parse(base)?.hostname === GOOGLE_HOST;
  const headers = isGoogle ? { headers: await createGoogleHeaders() } : {};
  const common = { ...headers, timeoutMillis: EXPORT_TIMEOUT_MS };
  const resource = describeProcess(service, config, isGoogle ? findRegion(logger) : undefined);
  const spans = createTracerProvider({
    resource,
    sampler: createSampler(service, config.OTEL_TRACES_SAMPLER_ARG),
    exporter: new OTLPTraceExporter({ ...common, url: `${base}/v1/traces` }),
  });
  trace.setGlobalTracerProvider(spans);
  const metrics = new MeterProvider({
    resource,
    readers:
      config.OTEL_METRICS_EXPORTER === "otlp"
        ? [
            new PeriodicExportingMetricReader({
              exporter: new OTLPMetricExporter({ ...common, url: `${base}/v1/metrics` }),
              exportIntervalMillis: METRICS_INTERVAL_MS,
              exportTimeoutMillis: EXPORT_TIMEOUT_MS,
              metricProducers: [{ collect: () => readRegistry(registry, resource, SCOPE) }],
            }),
          ]
        : [],
  });
  return {
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
    logger.warn("telemetry is not sent", { error: truncate(message, WARNING_CHARACTERS) });
  };
  const ignore = () => {};
  return { error: warn, warn, info: ignore, debug: ignore, verbose: ignore };
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

/** The resource, by OpenTelemetry's conventions; Google's endpoint requires project and location. */
function describeProcess(
  service: string,
  config: Config,
  region: Promise<string | undefined> | undefined,
): Resource {
  const { GOOGLE_CLOUD_PROJECT, GAE_SERVICE, GAE_VERSION, GAE_INSTANCE } = config;
  return resourceFromAttributes({
    "service.namespace": SCOPE,
    "service.name": `${SCOPE}-${service}`,
    "service.instance.id": GAE_INSTANCE || randomUUID(),
    "gcp.project_id": GOOGLE_CLOUD_PROJECT,
    ...(GAE_VERSION ? { "service.version": GAE_VERSION } : {}),
    ...(GAE_SERVICE ? { "cloud.platform": "gcp_app_engine" } : {}),
    ...(region ? { "cloud.region": region } : {}),
  });
}
