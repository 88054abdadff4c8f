import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { SpanStatusCode, trace } from "@opentelemetry/api";
import { emptyResource } from "@opentelemetry/resources";
import { InMemorySpanExporter } from "@opentelemetry/sdk-trace";
import { createSampler, createTracerProvider } from "./tracer-provider.ts";
import {
  getTraceId,
  getTraceparent,
  isParentSampled,
  isSampled,
  parseTraceparent,
  setError,
  toContext,
  tracer,
} from "./tracing.ts";

const TRACE = "0af7651916cd43dd8448eb211c80319c";
const CALLER = "b7ad6b7169203331";

describe("a traceparent", () => {
  it("is read where it is of version 00 and its ids are not zero", () => {
    const read = (flags: string) => parseTraceparent(`00-${TRACE}-${CALLER}-${flags}`);
    const context = { traceId: TRACE, spanId: CALLER, isRemote: true };
    assert.deepEqual(read("01"), { ...context, traceFlags: 1 });
    assert.deepEqual(read("00"), { ...context, traceFlags: 0 });
    for (const [flags, sampled] of Object.entries({
      "00": false,
      "01": true,
      "02": false,
      "03": true,
      fe: false,
      ff: true,
    })) {
      assert.equal(isParentSampled(`00-${TRACE}-${CALLER}-${flags}`), sampled, flags);
      assert.equal(isSampled(read(flags) ?? assert.fail()), sampled, flags);
    }
    assert.equal(isParentSampled(undefined), false);
    assert.equal(getTraceId(`00-${TRACE}-${CALLER}-01`), TRACE);
    for (const other of [
      undefined,
      "",
      "nonsense",
      `ff-${TRACE}-${CALLER}-01`,
      `00-${TRACE}-${CALLER}-0g`,
      `00-${"0".repeat(32)}-${CALLER}-01`,
      `00-${TRACE}-${"0".repeat(16)}-01`,
    ]) {
      assert.equal(parseTraceparent(other), undefined);
      assert.equal(getTraceId(other), undefined);
    }
  });

  it("is the caller's, or a new one, where no spans are sent", () => {
    const caller = `00-${TRACE}-${CALLER}-01`;
    assert.equal(getTraceparent(tracer.startSpan("x", {}, toContext(caller))), caller);
    const minted = getTraceparent(tracer.startSpan("x", {}, toContext("nonsense")));
    assert.equal(parseTraceparent(minted)?.traceFlags, 0);
  });
});

describe("the spans that are exported", () => {
  function createTracer(service: "api" | "subscriber", ratio: number) {
    const exporter = new InMemorySpanExporter();
    const resource = emptyResource();
    const sampler = createSampler(service, ratio);
    const provider = createTracerProvider({ resource, sampler, exporter });
    const own = provider.getTracer("test");
    return {
      start: (traceparent: string | undefined) => own.startSpan("x", {}, toContext(traceparent)),
      async getExported() {
        await provider.forceFlush();
        return exporter.getFinishedSpans();
      },
    };
  }

  it("go on with a caller's trace, below its span, and begin one where there is none", async () => {
    const { start, getExported } = createTracer("api", 1);
    const server = start(`00-${TRACE}-${CALLER}-00`);
    start(getTraceparent(server)).end();
    server.end();
    start("nonsense").end();
    const spans = await getExported();
    assert.deepEqual(
      spans.map((span) => span.parentSpanContext?.spanId),
      [server.spanContext().spanId, CALLER, undefined],
    );
    const traces = spans.map((span) => span.spanContext().traceId);
    assert.deepEqual(traces.slice(0, 2), [TRACE, TRACE]);
    assert.notEqual(traces[2], TRACE);
  });

  it("are of a share of the traces, whole ones, whatever the caller's flag says", async () => {
    const { start, getExported } = createTracer("api", 0.25);
    const count = 4_000;
    for (let index = 0; index < count; index += 1) {
      const span = start(index % 2 === 0 ? undefined : mintCaller(index));
      start(getTraceparent(span)).end();
      span.end();
    }
    const traces = Map.groupBy(await getExported(), (span) => span.spanContext().traceId);
    // Five standard deviations to either side.
    assert.ok(Math.abs(traces.size - count / 4) < 140, `${traces.size}`);
    for (const spans of traces.values()) assert.equal(spans.length, 2);
  });

  it("are those with an error always, and no others at a share of 0", async () => {
    const { start, getExported } = createTracer("api", 0);
    const span = start(`00-${TRACE}-${CALLER}-01`);
    const child = start(getTraceparent(span));
    setError(child, "500");
    for (const each of [child, span]) each.end();
    const [exported, ...others] = await getExported();
    assert.equal(others.length, 0);
    assert.deepEqual(exported?.status, { code: SpanStatusCode.ERROR, message: "500" });
    assert.equal(exported.spanContext().spanId, child.spanContext().spanId);
    assert.equal(exported.parentSpanContext?.spanId, span.spanContext().spanId);
    assert.equal(isParentSampled(getTraceparent(span)), false);
  });

  it("are by the API's flag in the subscriber, whatever its own share", async () => {
    const { start, getExported } = createTracer("subscriber", 1);
    for (const flags of ["00", "01"]) start(`00-${TRACE}-${CALLER}-${flags}`).end();
    start(undefined).end();
    const spans = await getExported();
    assert.deepEqual(
      spans.map((span) => trace.isSpanContextValid(span.spanContext())),
      [true],
    );
    assert.equal(spans[0]?.parentSpanContext?.traceFlags, 1);
  });
});

function mintCaller(index: number): string {
  const digits = Math.imul(index, 0x9e3779b1) >>> 0;
  return `00-${"1".repeat(24)}${digits.toString(16).padStart(8, "0")}-${CALLER}-01`;
}
