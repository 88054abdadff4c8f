import express, { type Express, type RequestHandler } from "express";
import { ByteBudget } from "../common/byte-budget.ts";
import type { Collection } from "../common/collection.ts";
import { type Config, stripsCronHeader } from "../common/config.ts";
import { READS_BYTES, WRITES_BYTES } from "../common/limits.ts";
import type { Readiness } from "../common/readiness.ts";
import type { Logger } from "../common/telemetry/logger.ts";
import type { Metrics } from "../common/telemetry/metrics.ts";
import type { ApiMetrics } from "./metrics.ts";
import type { Publisher } from "./publisher.ts";
import type { Reader } from "./reader.ts";
import { createReceiptWaits } from "./receipt-waits.ts";
import { allowOrigins, createGuards, createMetricsGuards, requireRight } from "./request/access.ts";
import { addContext } from "./request/context.ts";
import { createVerify } from "./request/credentials.ts";
import { createKeyring } from "./request/keyring.ts";
import { createCollections } from "./routes/collections.ts";
import { answerLive, answerMetrics, answerReady, answerSweep } from "./routes/health.ts";
import { answerConsole, answerNewest } from "./routes/home.ts";
import { answerDescription } from "./routes/openapi.ts";
import { addRoute } from "./routes/route.ts";
import type { Sweep } from "./sweep.ts";

/** What the API is made of; `main.ts` and the tests put it together. */
type AppOptions = {
  config: Config;
  collections: readonly Collection[];
  publisher: Publisher;
  reader: Reader;
  readiness: Readiness;
  metrics: Metrics;
  counts: ApiMetrics;
  sweep: Sweep;
  logger: Logger;
  /** Aborts when the process ends: a request that waits is answered with what is known. */
  stop: AbortSignal;
};

/** Answers are data: never rendered, sniffed, framed or served from a cache unasked. */
const DEFAULT_HEADERS = new Map([
  ["Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"],
  ["X-Content-Type-Options", "nosniff"],
  ["Referrer-Policy", "no-referrer"],
  ["Cache-Control", "no-cache"],
]);

/** Files of the console page; beside this file in the source, and beside the bundle. */
const CONSOLE = new URL("console/", import.meta.url);

/**
 * The API as an ordinary Express application: its middleware and its routes, in the order in which
 * they run. It passes on what it does not answer, so that your own routes, middleware and error
 * handlers can be added to it, or it can be mounted in an application of yours. In both cases the
 * last line must be `app.use(answerUnhandled, answerProblems(logger))`, as in main.ts.
 */
export function createApp(options: AppOptions): Express {
  const { config, collections, readiness, metrics, counts } = options;
  const waits = createReceiptWaits(options);
  const app = express();
  app.disable("x-powered-by").disable("etag").enable("case sensitive routing");
  // Express's own last handler would answer with an error's stack in any other environment.
  app.set("env", "production");

  const budgets = { writes: new ByteBudget(WRITES_BYTES), reads: new ByteBudget(READS_BYTES) };
  app.use(addContext(counts.countAnswered, budgets), setDefaultHeaders);
  const origins = allowOrigins(config);
  const verify = createVerify(config.OIDC_ISSUERS, options);
  const keyring = createKeyring(config, options);
  const guards = createGuards(config, keyring, verify);
  app.use("/api", createCollections({ ...options, waits }, [...origins, ...guards]));
  const mayRead = requireRight(config, ["read"], () => collections[0] as Collection);
  addRoute(app, "/", {
    get: [answerConsole(config, CONSOLE), ...guards, ...mayRead, answerNewest(options)],
  });
  for (const allowOrigin of origins) app.use("/openapi.json", allowOrigin);
  addRoute(app, "/openapi.json", { get: [answerDescription(collections, config)] });
  addRoute(app, "/health/live", { get: [answerLive] });
  addRoute(app, "/health/ready", { get: [answerReady(readiness)] });
  addRoute(app, "/_ah/warmup", { get: [answerReady(readiness)] });
  addRoute(app, "/_ah/sweep", {
    get: [answerSweep(options.sweep, { isStripped: stripsCronHeader(config) })],
  });
  if (config.METRICS === "on")
    addRoute(app, "/metrics", {
      get: [...createMetricsGuards(config, keyring, verify), answerMetrics(metrics)],
    });
  return app;
}

/** A handler may override any of these headers. */
const setDefaultHeaders: RequestHandler = (_request, response, next) => {
  response.setHeaders(DEFAULT_HEADERS).setHeader("X-Request-Id", response.locals.requestId);
  next();
};
