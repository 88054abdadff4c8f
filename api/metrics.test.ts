import assert from "node:assert/strict";
import { test } from "node:test";
import { createMetrics } from "../common/telemetry/metrics.ts";
import { createApiMetrics } from "./metrics.ts";
import type { Reader } from "./reader.ts";

test("two concurrent reads of the metrics see the same number of requests", async () => {
  const metrics = createMetrics();
  const { countAnswered } = createApiMetrics(metrics, {} as Reader);
  const answered = { method: "GET", route: "/", status: 400, seconds: 0 };
  for (let count = 0; count < 3; count += 1) countAnswered(answered);
  const ask = () => metrics.registry.getSingleMetricAsString("all_requests");
  for (const text of await Promise.all([ask(), ask()])) assert.match(text, /status="400"\} 3$/m);
});
