import { once } from "node:events";
import { createServer } from "node:http";
import { gunzipSync } from "node:zlib";
import protobuf from "protobufjs";

/** A span as it came over the wire. */
export type ReceivedSpan = {
  service: string;
  resource: Record<string, string>;
  traceId: string;
  spanId: string;
  parentSpanId: string;
  name: string;
  kind: string;
  startMs: number;
  endMs: number;
  attributes: Record<string, string | number>;
  links: { traceId: string; spanId: string }[];
  error: string | undefined;
};
export type ReceivedMetric = { service: string; name: string; kind: string; points: unknown[] };

/** Listens as an OpenTelemetry collector does, and keeps what it receives by OTLP over HTTP. */
export async function startOtlpReceiver() {
  const spans: ReceivedSpan[] = [];
  const metrics: ReceivedMetric[] = [];
  const headers: Record<string, unknown>[] = [];
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    const sent = Buffer.concat(chunks);
    const body = request.headers["content-encoding"] === "gzip" ? gunzipSync(sent) : sent;
    headers.push(request.headers);
    if (request.url === "/v1/traces") spans.push(...readSpans(body));
    else if (request.url === "/v1/metrics") metrics.push(...readMetrics(body));
    else response.statusCode = 404;
    response.setHeader("Content-Type", "application/x-protobuf").end();
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  return {
    spans,
    metrics,
    headers,
    endpoint: `http://127.0.0.1:${port}`,
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}

/** The fields of opentelemetry-proto 1.9 (trace/v1, metrics/v1, common/v1) that are looked at. */
const { root } = protobuf.parse(`
  syntax = "proto3";
  message AnyValue { oneof value { string string_value = 1; bool bool_value = 2;
    int64 int_value = 3; double double_value = 4; } }
  message KeyValue { string key = 1; AnyValue value = 2; }
  message Resource { repeated KeyValue attributes = 1; }
  message Status { string message = 2; int32 code = 3; }
  message Link { bytes trace_id = 1; bytes span_id = 2; }
  message Span { bytes trace_id = 1; bytes span_id = 2; bytes parent_span_id = 4; string name = 5;
    int32 kind = 6; fixed64 start_time_unix_nano = 7; fixed64 end_time_unix_nano = 8;
    repeated KeyValue attributes = 9; repeated Link links = 13; Status status = 15; }
  message ScopeSpans { repeated Span spans = 2; }
  message ResourceSpans { Resource resource = 1; repeated ScopeSpans scope_spans = 2; }
  message Traces { repeated ResourceSpans resource_spans = 1; }
  message NumberDataPoint { fixed64 start_time_unix_nano = 2; fixed64 time_unix_nano = 3;
    double as_double = 4; sfixed64 as_int = 6; repeated KeyValue attributes = 7; }
  message HistogramDataPoint { repeated KeyValue attributes = 9; fixed64 start_time_unix_nano = 2;
    fixed64 time_unix_nano = 3; fixed64 count = 4; optional double sum = 5;
    repeated fixed64 bucket_counts = 6; repeated double explicit_bounds = 7; }
  message Gauge { repeated NumberDataPoint data_points = 1; }
  message Sum { repeated NumberDataPoint data_points = 1; int32 aggregation_temporality = 2;
    bool is_monotonic = 3; }
  message Histogram { repeated HistogramDataPoint data_points = 1;
    int32 aggregation_temporality = 2; }
  message Metric { string name = 1; string description = 2; string unit = 3;
    oneof data { Gauge gauge = 5; Sum sum = 7; Histogram histogram = 9; } }
  message ScopeMetrics { repeated Metric metrics = 2; }
  message ResourceMetrics { Resource resource = 1; repeated ScopeMetrics scope_metrics = 2; }
  message Metrics { repeated ResourceMetrics resource_metrics = 1; }
`);
const KINDS = ["", "internal", "server", "client", "producer", "consumer"];
const STATUS_ERROR = 2;

type Decoded = { [field: string]: Decoded } & Decoded[] & string;

function decode(type: string, body: Buffer): Decoded {
  const message = root.lookupType(type);
  const plain = { longs: Number, defaults: true, arrays: true, oneofs: true };
  return message.toObject(message.decode(body), plain) as Decoded;
}

const hex = (bytes: unknown) => Buffer.from(bytes as Uint8Array).toString("hex");

function readAttributes(list: Decoded | undefined): Record<string, string> {
  return Object.fromEntries(
    (list ?? []).map(({ key, value }: { [field: string]: Decoded }) => [
      key,
      value?.[value.value as unknown as string],
    ]),
  ) as Record<string, string>;
}

function readSpans(body: Buffer): ReceivedSpan[] {
  return (decode("Traces", body).resourceSpans as Decoded).flatMap((group: Decoded) => {
    const resource = readAttributes(group.resource?.attributes);
    return (group.scopeSpans as Decoded).flatMap((scope: Decoded) =>
      (scope.spans as Decoded).map((span: Decoded) => ({
        service: resource["service.name"] as string,
        resource,
        traceId: hex(span.traceId),
        spanId: hex(span.spanId),
        parentSpanId: hex(span.parentSpanId),
        name: span.name as string,
        kind: KINDS[Number(span.kind)] as string,
        startMs: Number(span.startTimeUnixNano) / 1e6,
        endMs: Number(span.endTimeUnixNano) / 1e6,
        attributes: readAttributes(span.attributes),
        links: (span.links as Decoded).map((link: Decoded) => ({
          traceId: hex(link.traceId),
          spanId: hex(link.spanId),
        })),
        error: Number(span.status?.code) === STATUS_ERROR ? span.status?.message : undefined,
      })),
    );
  }) as ReceivedSpan[];
}

function readMetrics(body: Buffer): ReceivedMetric[] {
  return (decode("Metrics", body).resourceMetrics as Decoded).flatMap((group: Decoded) => {
    const service = readAttributes(group.resource?.attributes)["service.name"] as string;
    return (group.scopeMetrics as Decoded).flatMap((scope: Decoded) =>
      (scope.metrics as Decoded).map((metric: Decoded) => {
        const kind = metric.data as string;
        const data = metric[kind] as Decoded;
        const points = (data.dataPoints as Decoded).map((point: Decoded) => ({
          ...(point as object),
          attributes: readAttributes(point.attributes),
        }));
        return { service, name: metric.name as string, kind, points };
      }),
    );
  }) as ReceivedMetric[];
}
