import assert from "node:assert/strict";
import type { TestContext } from "node:test";
import type { Express } from "express";
import { answerProblems } from "../../api/answer/errors.ts";
import { createApp } from "../../api/app.ts";
import { createApiMetrics } from "../../api/metrics.ts";
import type { Publisher } from "../../api/publisher.ts";
import type { Reader } from "../../api/reader.ts";
import { answerUnhandled } from "../../api/routes/route.ts";
import { collections } from "../../collections/collections.ts";
import { readConfig } from "../../common/config.ts";
import { listen } from "../../common/http-server.ts";
import type { Row } from "../../common/tables.ts";
import { createMetrics } from "../../common/telemetry/metrics.ts";
import { mintWriteId } from "../../common/write-id.ts";
import { type Client, createClient } from "./http.ts";
import { createTestLogger } from "./logger.ts";

/** The item that the store of {@link createApi} has. */
export const ITEM = { nombre: "x" };

const LEAST_ENV = {
  GOOGLE_CLOUD_PROJECT: "p",
  MYSQL_URL: "mysql://u@h/d",
  ACCESS: "public",
};

export const logger = await createTestLogger();

/** The API on a store with one item, `a`; what is written is accepted, and goes nowhere. */
export function createApi(
  publish: Publisher["publish"] = async () => {},
  env: Record<string, string> = {},
): {
  api: Express;
  readMetrics(): Promise<string>;
} {
  const createdAt = Date.now();
  const version = mintWriteId();
  const row = { id: "a", version, createdAt, updatedAt: createdAt, deletedAt: null, item: ITEM };
  const reader: Reader = {
    row: async (_collection, id) => (id === "a" ? (row as unknown as Row) : undefined),
    state: async (_collection, id) => (id === "a" ? (row as unknown as Row) : undefined),
    receipt: async () => ({ receipt: undefined, row: undefined }),
    page: async (_collection, _page, take) => void take(row as unknown as Row),
    changes: async () => assert.fail("no feed is read"),
    itemOf: async () => undefined,
    isReplacedWithinSecond: async () => false,
  };
  const metrics = createMetrics();
  const api = createApp({
    config: readConfig({ ...LEAST_ENV, ...env }, "api"),
    collections,
    publisher: { publish, warmUp() {}, stop: async () => {} },
    reader,
    readiness: { isReady: true, cause: undefined, faults: [] },
    metrics,
    counts: createApiMetrics(metrics, reader),
    sweep: async () => 0,
    logger,
    stop: new AbortController().signal,
  });
  return { api, readMetrics: () => metrics.registry.metrics() };
}

/** Serves an application with the two handlers that end it. */
export async function serve(context: TestContext, app: Express): Promise<Client> {
  app.use(answerUnhandled, answerProblems(logger));
  const server = await listen(app, { port: 0, host: "127.0.0.1" });
  context.after(() => server.close());
  return createClient(`http://127.0.0.1:${server.port}`);
}
