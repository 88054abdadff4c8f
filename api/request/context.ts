import type { Request, RequestHandler, Response } from "express";
import type { ApiKey } from "../../common/config.ts";
import { randomHex } from "../../common/random.ts";
import {
  mintTraceparent,
  parseTraceparent,
  type Span,
  type Tracing,
} from "../../common/telemetry/tracing.ts";

declare global {
  namespace Express {
    /** What `response.locals` holds of every request. */
    interface Locals {
      /** The client's `X-Request-Id` where it has a safe form, else a new one. */
      requestId: string;
      /** W3C Trace Context, level 1: the caller's, or the start of a new trace. */
      traceparent: string;
      /** The API key that authorized the request, if any. */
      key?: ApiKey;
      /** The pattern of the matched path, with the methods that it supports; see routes/route.ts. */
      route?: string;
      allow?: string;
    }
  }
}

const REQUEST_ID = /^[\w.:-]{1,128}$/;
/** nginx's status for a client that closed the connection before it was answered. */
const CLIENT_CLOSED_REQUEST = 499;
/** Methods with a label of their own; OpenTelemetry's semantic conventions call any other _OTHER. */
const METHODS = new Set(["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"]);

/** Called once for each request, when it is answered or its client has closed the connection. */
export type OnAnswered = (answered: {
  method: string;
  route: string;
  status: number;
  seconds: number;
}) => void;

/** Fills `response.locals`, and reports the request and its span when the response closes. */
export function addContext(tracing: Tracing | undefined, onAnswered: OnAnswered): RequestHandler {
  return (request, response, next) => {
    const startedAt = performance.now();
    const requestId = (request.headers["x-request-id"] as string | undefined) ?? "";
    const traceparent = request.headers.traceparent as string | undefined;
    const span = tracing?.enter(traceparent);
    const { locals } = response;
    locals.requestId = REQUEST_ID.test(requestId) ? requestId : randomHex(16);
    locals.traceparent = span?.traceparent ?? keepOrMint(traceparent);
    // A response closes once; `on` costs less than `once`.
    response.on("close", () => {
      const answered = {
        method: METHODS.has(request.method) ? request.method : "_OTHER",
        route: locals.route ?? getRoute(request),
        status: response.writableFinished ? response.statusCode : CLIENT_CLOSED_REQUEST,
        seconds: (performance.now() - startedAt) / 1_000,
      };
      onAnswered(answered);
      if (tracing && span && (span.isSampled || answered.status >= 500))
        endSpan(tracing, span, response, answered);
    });
    next();
  };
}

/** Without tracing, the caller's span is passed on. */
function keepOrMint(traceparent: string | undefined): string {
  return traceparent && parseTraceparent(traceparent) ? traceparent : mintTraceparent();
}

/** The pattern of a route that was added with Express's own methods; labels are a bounded set. */
function getRoute({ baseUrl, route }: Request): string {
  return route ? `${baseUrl}${route.path}` : "unmatched";
}

/** The server span, in OpenTelemetry's semantic conventions for HTTP. */
function endSpan(
  tracing: Tracing,
  span: Span,
  { locals, req }: Response,
  { method, route, status }: Parameters<OnAnswered>[0],
): void {
  tracing.end(span, {
    name: `${method} ${route}`,
    kind: "server",
    attributes: {
      "http.request.method": method,
      "http.route": route,
      "http.response.status_code": status,
      "url.scheme": req.protocol,
      "constancia.request": locals.requestId,
    },
    ...(status >= 500 ? { error: String(status) } : {}),
  });
}
