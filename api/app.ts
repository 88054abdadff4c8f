import cors from "cors";
import express, { type Express, type Response } from "express";
import type { Collection } from "../common/collection.ts";
import type { Config } from "../common/config.ts";
import type { Logger } from "../common/logger.ts";
import type { Readiness } from "../common/readiness.ts";
import type { Metrics } from "../common/telemetry.ts";
import type { Tracing } from "../common/tracing.ts";
import { limitRate, requireKey } from "./auth.ts";
import { createNewest, showConsole } from "./home.ts";
import type { ApiMetrics } from "./metrics.ts";
import { describeApi } from "./openapi.ts";
import { Problem } from "./problem.ts";
import { answerNotFound, answerProblems, refuseMethod } from "./problem-handler.ts";
import type { Publisher } from "./publisher.ts";
import type { Reader } from "./reader.ts";
import { createReads } from "./reads.ts";
import { addContext } from "./request-context.ts";
import { createWrites } from "./writes.ts";

/** What the API is made of; `main.ts` and the tests put it together. */
export type AppOptions = {
  config: Config;
  collections: readonly Collection[];
  publisher: Publisher;
  reader: Reader;
  readiness: Readiness;
  metrics: Metrics;
  counts: ApiMetrics;
  /** Undefined where nothing is traced. */
  tracing: Tracing | undefined;
  logger: Logger;
  /** Aborts when the process ends: whoever waits is answered with what is known. */
  stop: AbortSignal;
};

/** How long a browser may remember what CORS allows. */
const CORS_MAX_AGE_SECONDS = 600;

/** The whole HTTP face of Constancia, listening nowhere yet. */
export function createApp(options: AppOptions): Express {
  const { config, readiness, metrics, logger } = options;
  const app = express();
  app.disable("x-powered-by").disable("etag").set("query parser", "simple");
  app.enable("case sensitive routing");
  app.use(options.counts.countRequests, addContext(options.tracing), setSecurityHeaders);
  app.get("/health/live", (_request, response) => void response.json({ live: true }));
  app.get(["/health/ready", "/_ah/warmup"], (_request, response) => {
    const { isReady, faults } = readiness;
    response.status(isReady ? 200 : 503).json({ ready: isReady, faults });
  });
  if (config.METRICS === "on")
    app.get(
      "/metrics",
      requireKey({ ...config, API_KEYS_FOR: "everything" }),
      async (_request, response) => {
        response.type(metrics.registry.contentType).send(await metrics.registry.metrics());
      },
    );
  const description = JSON.stringify(describeApi(options.collections));
  app.get("/openapi.json", allowOrigins(config), (_request, response) => {
    response.type("application/json").send(description);
  });
  app.get("/", showConsole(config), requireKey(config), limitRate(config), createNewest(options));
  app.use("/api", allowOrigins(config), requireKey(config), limitRate(config));
  app.use("/api", (_request, _response, next) => {
    if (!readiness.faults.some(isSchemaFault)) return next();
    throw new Problem("unavailable", "The tables do not fit yet; see /health/ready.");
  });
  const methods = Object.entries(methodsOf(config));
  for (const [path, allow] of methods) app.options(path, refuseMethod(allow));
  app.use("/api", createReads({ ...options, retentionDays: config.RECEIPT_RETENTION_DAYS }));
  app.use("/api", createWrites(options));
  for (const [path, allow] of methods) app.all(path, refuseMethod(allow));
  app.use(answerNotFound, answerProblems(logger));
  return app;
}

/** The methods that each path takes. */
function methodsOf({ METRICS }: Config): Record<string, string> {
  const toRead = "GET, HEAD";
  return {
    "/": toRead,
    "/openapi.json": toRead,
    "/health/live": toRead,
    "/health/ready": toRead,
    "/_ah/warmup": toRead,
    ...(METRICS === "on" ? { "/metrics": toRead } : {}),
    "/api/:collection": `${toRead}, POST, PUT`,
    "/api/:collection/:id": `${toRead}, PUT, DELETE`,
    "/api/:collection/:id/writes/:write": toRead,
  };
}

/** A table that misses a column can settle nothing; a database that is away comes back. */
function isSchemaFault(fault: string): boolean {
  return fault.startsWith("The ") && !fault.startsWith("The tables have not");
}

/** Answers are data: never rendered, sniffed, framed or kept by a cache. */
function setSecurityHeaders(_request: unknown, response: Response, next: () => void): void {
  response.setHeader("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'");
  response.setHeader("X-Content-Type-Options", "nosniff");
  response.setHeader("Referrer-Policy", "no-referrer");
  response.setHeader("Cache-Control", "no-cache");
  next();
}

/** No cross-origin access unless the configuration names origins. */
function allowOrigins({ CORS_ORIGINS }: Config): express.RequestHandler {
  if (CORS_ORIGINS.length === 0) return (_request, _response, next) => next();
  return cors({
    origin: CORS_ORIGINS.includes("*") ? "*" : CORS_ORIGINS,
    methods: ["GET", "POST", "PUT", "DELETE"],
    exposedHeaders: [
      ...["ETag", "Link", "Location", "Preference-Applied", "RateLimit", "RateLimit-Policy"],
      ...["Retry-After", "X-Request-Id"],
    ],
    maxAge: CORS_MAX_AGE_SECONDS,
  });
}
