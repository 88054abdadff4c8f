import type { Request, RequestHandler } from "express";
import type { ApiKey } from "../common/config.ts";
import { randomHex } from "../common/random.ts";
import {
  mintTraceparent,
  parseTraceparent,
  type Span,
  type Tracing,
} from "../common/telemetry/tracing.ts";
import { getMethodLabel, getRoute } from "./routes.ts";

type WithContext = Request & { [CONTEXT]?: RequestContext };

/** What every request carries through the house. */
export type RequestContext = {
  /** The client's `X-Request-Id` where it is of a safe form, else a new one. */
  requestId: string;
  /** W3C Trace Context, level 1: the caller's, or the start of a new trace. */
  traceparent: string;
  /** The API key that was shown, if any. */
  key: ApiKey | undefined;
};

/** On the request itself: a WeakMap of requests would cost the garbage collector dearly. */
const CONTEXT = Symbol("context");

const REQUEST_ID = /^[\w.:-]{1,128}$/;
/** Nobody was there to be answered: the name that nginx gave it, unknown to HTTP. */
const CLIENT_CLOSED_REQUEST = 499;

/** Told of each request once it is answered, or given up by its client with 499. */
export type OnAnswered = (answered: {
  method: string;
  route: string;
  status: number;
  seconds: number;
}) => void;

/** Gives each request its context, and ends its span. `route` is its pattern, where that is known. */
export function addContext(
  tracing: Tracing | undefined,
  onAnswered: OnAnswered,
  route?: string,
): RequestHandler {
  return (request, response, next) => {
    const startedAt = performance.now();
    const requestId = (request.headers["x-request-id"] as string | undefined) ?? "";
    const traceparent = request.headers.traceparent as string | undefined;
    const span = tracing?.enter(traceparent);
    const context: RequestContext = {
      requestId: REQUEST_ID.test(requestId) ? requestId : randomHex(16),
      traceparent: span?.traceparent ?? keepOrMint(traceparent),
      key: undefined,
    };
    (request as WithContext)[CONTEXT] = context;
    // Not `once`, which costs more and means the same: it closes once.
    response.on("close", () => {
      const answered = {
        method: getMethodLabel(request.method),
        route: route ?? getRoute(request.originalUrl),
        status: response.writableFinished ? response.statusCode : CLIENT_CLOSED_REQUEST,
        seconds: (performance.now() - startedAt) / 1_000,
      };
      onAnswered(answered);
      if (tracing && span && (span.isSampled || answered.status >= 500))
        endSpan(tracing, span, request, answered);
    });
    next();
  };
}

/** The context that {@link addContext} gave the request. */
export function getContext(request: Request): RequestContext {
  return (request as WithContext)[CONTEXT] as RequestContext;
}

/** Without tracing the caller's span stands for ours. */
function keepOrMint(traceparent: string | undefined): string {
  return traceparent && parseTraceparent(traceparent) ? traceparent : mintTraceparent();
}

/** The server span, in OpenTelemetry's semantic conventions for HTTP. */
function endSpan(
  tracing: Tracing,
  span: Span,
  request: Request,
  { method, route, status }: Parameters<OnAnswered>[0],
): void {
  tracing.end(span, {
    name: `${method} ${route}`,
    kind: "server",
    attributes: {
      "http.request.method": method,
      "http.route": route,
      "http.response.status_code": status,
      "url.scheme": request.protocol,
      "constancia.request": getContext(request).requestId,
    },
    ...(status >= 500 ? { error: String(status) } : {}),
  });
}
