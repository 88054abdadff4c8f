import { type Attributes, type HrTime, ValueType } from "@opentelemetry/api";
import type { Resource } from "@opentelemetry/resources";
import {
  AggregationTemporality,
  type CollectionResult,
  DataPointType,
  type Histogram,
  type MetricData,
} from "@opentelemetry/sdk-metrics";
import type { Registry } from "prom-client";
import { parseJson } from "../json.ts";

type PromMetric = Awaited<ReturnType<Registry["getMetricsAsJSON"]>>[number];
type Sample = { value: number; labels: Record<string, string | number>; metricName?: string };

const STARTED_AT = toTime(performance.timeOrigin);

/**
 * Converts a Prometheus registry to OpenTelemetry metrics of the same names (OpenTelemetry
 * specification, "Prometheus and OpenMetrics Compatibility"), so that `/metrics` and OTLP export the
 * same counters. They are cumulative since the process's start.
 */
export async function readRegistry(
  registry: Registry,
  resource: Resource,
  scope: string,
): Promise<CollectionResult> {
  const now = toTime(Date.now());
  const metrics = (await registry.getMetricsAsJSON())
    .map((metric) => toMetric(metric, now))
    .filter((metric) => metric !== undefined);
  return {
    resourceMetrics: { resource, scopeMetrics: [{ scope: { name: scope }, metrics }] },
    errors: [],
  };
}

function toMetric(metric: PromMetric, now: HrTime): MetricData | undefined {
  const { name, help, type } = metric as unknown as { name: string; help: string; type: string };
  const samples = (metric as unknown as { values: Sample[] }).values;
  const common = {
    descriptor: { name, description: help, unit: "", valueType: ValueType.DOUBLE },
    aggregationTemporality: AggregationTemporality.CUMULATIVE,
  };
  const points = () =>
    samples.map(({ value, labels }) => ({
      startTime: STARTED_AT,
      endTime: now,
      attributes: toAttributes(labels),
      value,
    }));
  if (samples.length === 0) return undefined;
  switch (type) {
    case "counter":
      return {
        ...common,
        dataPointType: DataPointType.SUM,
        isMonotonic: true,
        dataPoints: points(),
      };
    case "gauge":
      return { ...common, dataPointType: DataPointType.GAUGE, dataPoints: points() };
    case "histogram":
      return {
        ...common,
        dataPointType: DataPointType.HISTOGRAM,
        dataPoints: toHistograms(samples, now),
      };
    default:
      return undefined;
  }
}

/** Groups a histogram's samples by labels. Prometheus' buckets are cumulative; OpenTelemetry's are not. */
function toHistograms(samples: readonly Sample[], now: HrTime) {
  const byLabels = Map.groupBy(samples, ({ labels: { le: _, ...labels } }) =>
    JSON.stringify(toAttributes(labels)),
  );
  return [...byLabels].map(([labels, own]) => {
    const buckets = own.filter(({ labels: { le } }) => le !== undefined);
    const findValue = (suffix: string) =>
      own.find(({ metricName }) => metricName?.endsWith(suffix))?.value ?? 0;
    const counts = buckets.map(({ value }, index) => value - (buckets[index - 1]?.value ?? 0));
    const boundaries = buckets.map(({ labels: { le } }) => Number(le)).filter(Number.isFinite);
    const value: Histogram = {
      buckets: { boundaries, counts },
      sum: findValue("_sum"),
      count: findValue("_count"),
    };
    return {
      startTime: STARTED_AT,
      endTime: now,
      attributes: parseJson(labels) as Attributes,
      value,
    };
  });
}

/** As text: Prometheus has text labels only, and both exports must agree. */
function toAttributes(labels: Sample["labels"]): Record<string, string> {
  return Object.fromEntries(Object.entries(labels).map(([name, value]) => [name, String(value)]));
}

function toTime(ms: number): HrTime {
  return [Math.floor(ms / 1_000), Math.floor((ms % 1_000) * 1_000_000)];
}
