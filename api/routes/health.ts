import type { RequestHandler } from "express";
import type { Readiness } from "../../common/readiness.ts";
import type { Metrics } from "../../common/telemetry/metrics.ts";
import { Problem, RETRY_AFTER_SECONDS } from "../answer/problem.ts";
import type { Sweep } from "../sweep.ts";

/** Whether the process runs. */
export const answerLive: RequestHandler = (_request, response) => {
  response.json({ live: true });
};

/** Whether the tables match the collections; 503 with the cause and the faults where they do not. */
export function answerReady(readiness: Readiness): RequestHandler {
  return (_request, response) => {
    const { isReady, cause, faults } = readiness;
    if (!isReady) response.set("Retry-After", String(RETRY_AFTER_SECONDS));
    response.status(isReady ? 200 : 503).json({ ready: isReady, cause, faults });
  };
}

/**
 * Sweeps expired items, for the cron of App Engine (cron.yaml), which strips this header from the
 * requests of others. 503 where that fails; the cron calls again.
 */
export function answerSweep(sweep: Sweep, { isStripped }: { isStripped: boolean }): RequestHandler {
  return async (request, response) => {
    if (!isStripped || request.get("x-appengine-cron") !== "true")
      throw new Problem("wrong-scope", "Only App Engine's cron may call this.");
    await sweep("cron").catch(() => {
      throw new Problem("unavailable", "The sweep failed.");
    });
    response.status(204).end();
  };
}

/** The process's metrics in Prometheus' text format. */
export function answerMetrics({ registry }: Metrics): RequestHandler {
  return async (_request, response) => {
    response.type(registry.contentType).send(await registry.metrics());
  };
}
