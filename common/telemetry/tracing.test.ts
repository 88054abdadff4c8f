import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  createTracing,
  type EndedSpan,
  getTraceId,
  isSampled,
  parseTraceparent,
} from "./tracing.ts";

const TRACE = "0af7651916cd43dd8448eb211c80319c";
const CALLER = "b7ad6b7169203331";

function trace(ratio: number) {
  const ended: EndedSpan[] = [];
  const exporter = { add: (span: EndedSpan) => void ended.push(span), flush: async () => {} };
  return { tracing: createTracing({ ratio, exporter }), ended };
}
const END = { name: "x", kind: "internal", attributes: {} } as const;

describe("a traceparent", () => {
  it("is read where it is of version 00 and its ids are not zero", () => {
    const read = (flags: string) => parseTraceparent(`00-${TRACE}-${CALLER}-${flags}`);
    assert.deepEqual(read("01"), { traceId: TRACE, spanId: CALLER, isSampled: true });
    assert.deepEqual(read("00"), { traceId: TRACE, spanId: CALLER, isSampled: false });
    assert.equal(read("03")?.isSampled, true);
    for (const flags of ["00", "01", "02", "03", "fe", "ff"])
      assert.equal(isSampled(`00-${TRACE}-${CALLER}-${flags}`), read(flags)?.isSampled, flags);
    assert.equal(isSampled(undefined), false);
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
});

describe("tracing", () => {
  it("continues a caller's trace, below its span, and starts one where there is none", () => {
    const { tracing, ended } = trace(1);
    const span = tracing.enter(`00-${TRACE}-${CALLER}-00`);
    tracing.end(tracing.below(span.traceparent), END);
    tracing.end(span, END);
    tracing.end(tracing.enter("nonsense"), END);
    assert.equal(ended.length, 3);
    const [child, server, fresh] = ended as [EndedSpan, EndedSpan, EndedSpan];
    assert.deepEqual([server.traceId, server.parentSpanId], [TRACE, CALLER]);
    assert.deepEqual([child.traceId, child.parentSpanId], [TRACE, server.spanId]);
    assert.notEqual(fresh.traceId, TRACE);
    assert.equal(fresh.parentSpanId, undefined);
    assert.equal(new Set(ended.map(({ spanId }) => spanId)).size, 3);
    assert.ok(child.startMs >= server.startMs && child.endMs <= server.endMs);
    assert.ok(Math.abs(server.startMs - Date.now()) < 60_000);
  });

  it("sends a share of the traces, whole ones, whatever the caller's flag says", () => {
    const { tracing, ended } = trace(0.25);
    const count = 4_000;
    for (let index = 0; index < count; index += 1) {
      const span = tracing.enter(index % 2 === 0 ? undefined : mintCaller(index));
      tracing.end(tracing.below(span.traceparent), END);
      tracing.end(span, END);
    }
    const traces = Map.groupBy(ended, ({ traceId }) => traceId);
    // Five standard deviations to either side.
    assert.ok(Math.abs(traces.size - count / 4) < 140, `${traces.size}`);
    for (const spans of traces.values()) assert.equal(spans.length, 2);
  });

  it("sends spans with an error always, and no others at a share of 0", () => {
    const { tracing, ended } = trace(0);
    const span = tracing.enter(`00-${TRACE}-${CALLER}-01`);
    tracing.end(tracing.below(span.traceparent), { ...END, error: "500" });
    tracing.end(span, END);
    assert.deepEqual(
      ended.map(({ traceId, error, parentSpanId }) => [traceId, error, parentSpanId]),
      [[TRACE, "500", span.spanId]],
    );
    assert.equal(parseTraceparent(span.traceparent)?.isSampled, false);
  });
});

function mintCaller(index: number): string {
  const digits = Math.imul(index, 0x9e3779b1) >>> 0;
  return `00-${"1".repeat(24)}${digits.toString(16).padStart(8, "0")}-${CALLER}-01`;
}
