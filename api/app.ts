import type { RequestListener } from "node:http";
import cors from "cors";
import express, { type RequestHandler } from "express";
import type { Collection } from "../common/collection.ts";
import type { Config } from "../common/config.ts";
import type { Readiness } from "../common/readiness.ts";
import type { Logger } from "../common/telemetry/logger.ts";
import type { Metrics } from "../common/telemetry/metrics.ts";
import type { Tracing } from "../common/telemetry/tracing.ts";
import { completeHeads } from "./answer.ts";
import { limitRate, requireKey } from "./auth.ts";
import { dispatch, type Routes } from "./dispatch.ts";
import { createNewest, showConsole } from "./home.ts";
import type { ApiMetrics } from "./metrics.ts";
import { describeApi } from "./openapi.ts";
import { Problem } from "./problem.ts";
import { answerNotFound, answerProblems, refuseMethods } from "./problem-handler.ts";
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
export function createApp(options: AppOptions): RequestListener {
  const { config, readiness, metrics, logger } = options;
  const app = express();
  app.disable("x-powered-by").disable("etag").set("query parser", "simple");
  app.enable("case sensitive routing");
  completeHeads(app);
  const context = (route?: string) =>
    addContext(options.tracing, options.counts.countAnswered, route);
  const guards = [...requireKey(config), ...limitRate(config)];
  const apiGuards = [...allowOrigins(config), ...guards];
  app.use(context());
  if (apiGuards.length > 0) app.use("/api", apiGuards);
  app.get("/health/live", (_request, response) => void response.json({ live: true }));
  app.get(["/health/ready", "/_ah/warmup"], (_request, response) => {
    const { isReady, faults } = readiness;
    response.status(isReady ? 200 : 503).json({ ready: isReady, faults });
  });
  const showMetrics: RequestHandler = async (_request, response) => {
    response.type(metrics.registry.contentType).send(await metrics.registry.metrics());
  };
  if (config.METRICS === "on")
    app.get("/metrics", [...requireKey({ ...config, API_KEYS_FOR: "everything" }), showMetrics]);
  const description = JSON.stringify(describeApi(options.collections));
  const showDescription: RequestHandler = (_request, response) => {
    response.type("application/json").send(description);
  };
  app.get("/openapi.json", [...allowOrigins(config), showDescription]);
  app.get("/", [showConsole(config), ...guards, createNewest(options)]);
  app.use(refuseMethods({ hasMetrics: config.METRICS === "on" }));
  const answerProblem = answerProblems(logger);
  app.use(answerNotFound, answerProblem);
  const fit: RequestHandler = (_request, _response, next) => {
    if (readiness.isReady || !readiness.faults.some(isSchemaFault)) return next();
    throw new Problem("unavailable", "The tables do not fit yet; see /health/ready.");
  };
  const routes: Routes = new Map();
  const retentionDays = config.RECEIPT_RETENTION_DAYS;
  for (const [name, ...handlers] of [
    ...createWrites(options),
    ...createReads({ ...options, retentionDays }),
  ])
    routes.set(name, [context(name.split(" ")[1]), ...apiGuards, fit, ...handlers]);
  return dispatch(app, routes, answerProblem);
}

/** A table that misses a column can settle nothing; a database that is away comes back. */
function isSchemaFault(fault: string): boolean {
  return fault.startsWith("The ") && !fault.startsWith("The tables have not");
}

/** No cross-origin access unless the configuration names origins. */
function allowOrigins({ CORS_ORIGINS }: Config): RequestHandler[] {
  if (CORS_ORIGINS.length === 0) return [];
  const handler = cors({
    origin: CORS_ORIGINS.includes("*") ? "*" : CORS_ORIGINS,
    methods: ["GET", "POST", "PUT", "DELETE"],
    exposedHeaders: [
      ...["ETag", "Link", "Location", "Preference-Applied", "RateLimit", "RateLimit-Policy"],
      ...["Retry-After", "X-Request-Id"],
    ],
    maxAge: CORS_MAX_AGE_SECONDS,
  });
  return [handler];
}
