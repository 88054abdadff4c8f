import { randomUUID } from "node:crypto";
import type { Request, RequestHandler, Response } from "express";
import type { ApiKey } from "../common/config.ts";
import { mintTraceparent, parseTraceparent, type Span, type Tracing } from "../common/tracing.ts";
import { methodOf, routeOf } from "./routes.ts";

/** What every request carries through the house. */
export type RequestContext = {
  /** The client's `X-Request-Id` where it is of a safe form, else a new one. */
  requestId: string;
  /** W3C Trace Context, level 1: the caller's, or the start of a new trace. */
  traceparent: string;
  /** The API key that was shown, if any. */
  key: ApiKey | undefined;
};

const contexts = new WeakMap<Request, RequestContext>();

const REQUEST_ID = /^[\w.:-]{1,128}$/;
/** Nobody was there to be answered: the name that nginx gave it, unknown to HTTP. */
const CLIENT_CLOSED_REQUEST = 499;

/** Gives each request its context, and tells the client its request id. */
export function addContext(tracing: Tracing | undefined): RequestHandler {
  return (request, response, next) => {
    const requestId = request.get("x-request-id") ?? "";
    const traceparent = request.get("traceparent");
    const span = tracing?.enter(traceparent);
    const context: RequestContext = {
      requestId: REQUEST_ID.test(requestId) ? requestId : randomUUID(),
      traceparent: span?.traceparent ?? keepOrMint(traceparent),
      key: undefined,
    };
    contexts.set(request, context);
    response.setHeader("X-Request-Id", context.requestId);
    if (tracing && span)
      response.once("close", () => {
        if (span.isSampled || statusOf(response) >= 500) endSpan(tracing, span, request, response);
      });
    next();
  };
}

/** The status that a request was answered with, or 499 where its client did not wait. */
export function statusOf(response: Response): number {
  return response.writableFinished ? response.statusCode : CLIENT_CLOSED_REQUEST;
}

/** The context that {@link addContext} gave the request. */
export function contextOf(request: Request): RequestContext {
  return contexts.get(request) as RequestContext;
}

/** Without tracing the caller's span stands for ours. */
function keepOrMint(traceparent: string | undefined): string {
  return traceparent && parseTraceparent(traceparent) ? traceparent : mintTraceparent();
}

/** The server span, in OpenTelemetry's semantic conventions for HTTP. */
function endSpan(tracing: Tracing, span: Span, request: Request, response: Response): void {
  const status = statusOf(response);
  const method = methodOf(request.method);
  const route = routeOf(request.originalUrl);
  tracing.end(span, {
    name: `${method} ${route}`,
    kind: "server",
    attributes: {
      "http.request.method": method,
      "http.route": route,
      "http.response.status_code": status,
      "url.scheme": request.protocol,
      "constancia.request": contextOf(request).requestId,
    },
    ...(status >= 500 ? { error: String(status) } : {}),
  });
}
