import { type Span, SpanKind } from "@opentelemetry/api";
import type { IRouter, Request, RequestHandler, Response } from "express";
import { randomHex } from "../../common/random.ts";
import {
  getTraceparent,
  isSampled,
  setError,
  toContext,
  tracer,
} from "../../common/telemetry/tracing.ts";
import type { Problem } from "../answer/problem.ts";
import type { Caller } from "./caller.ts";
import { type Budgets, MemoryReservation } from "./memory-reservation.ts";

declare global {
  namespace Express {
    /** What `response.locals` holds of every request. */
    interface Locals {
      /** The client's `X-Request-Id` where it has a safe form, else a new one. */
      requestId: string;
      /** W3C Trace Context, level 1: the caller's, or the start of a new trace. */
      traceparent: string;
      /** Who calls, where the request shows a valid key or token. */
      caller?: Caller;
      /** Why the credential that the request shows is none. */
      refusal?: Problem;
      /** What the request has reserved of the memory that all of them share. */
      memory: MemoryReservation;
      /** The API's routes, and the path at which another application has mounted it, if any. */
      api?: { router: IRouter; baseUrl: string };
      /** The pattern of the matched path; see routes/route.ts. */
      route?: string;
    }
  }
}

const REQUEST_ID = /^[\w.:-]{1,128}$/;
/** nginx's status for a client that closed the connection before it was answered. */
const CLIENT_CLOSED_REQUEST = 499;
/** Methods with a label of their own; OpenTelemetry's semantic conventions call any other _OTHER. */
const METHODS = new Set(["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"]);

/** Routes with a label of their own; a user's mount with a parameter may have any number of them. */
const MAX_ROUTES = 200;

/** Called once for each request, when it is answered or its client has closed the connection. */
export type OnAnswered = (answered: {
  method: string;
  route: string;
  status: number;
  seconds: number;
}) => void;

/** Fills `response.locals`, and reports the request and its span when the response closes. */
export function addContext(onAnswered: OnAnswered, budgets: Budgets): RequestHandler {
  const routes = new Set<string>();
  return (request, response, next) => {
    const startedAt = performance.now();
    const requestId = (request.headers["x-request-id"] as string | undefined) ?? "";
    const traceparent = request.headers.traceparent as string | undefined;
    const span = tracer.startSpan("HTTP", { kind: SpanKind.SERVER }, toContext(traceparent));
    const { locals } = response;
    locals.requestId = REQUEST_ID.test(requestId) ? requestId : randomHex(16);
    locals.traceparent = getTraceparent(span);
    locals.api = { router: request.app.router, baseUrl: request.baseUrl };
    const isRead = request.method === "GET" || request.method === "HEAD";
    locals.memory = new MemoryReservation(isRead ? budgets.reads : budgets.writes);
    // A response closes once; `on` costs less than `once`.
    response.on("close", () => {
      locals.memory.close();
      const answered = {
        method: METHODS.has(request.method) ? request.method : "_OTHER",
        route: limitRoutes(routes, locals.route ?? getRoute(request)),
        status: response.writableFinished ? response.statusCode : CLIENT_CLOSED_REQUEST,
        seconds: (performance.now() - startedAt) / 1_000,
      };
      onAnswered(answered);
      // Other spans are not sent.
      if (isSampled(span.spanContext()) || answered.status >= 500)
        addAnswer(span, response, answered);
      span.end();
    });
    next();
  };
}

/** The route, or `other` beyond the first {@link MAX_ROUTES}: labels are a bounded set. */
function limitRoutes(routes: Set<string>, route: string): string {
  if (routes.has(route)) return route;
  if (routes.size >= MAX_ROUTES) return "other";
  routes.add(route);
  return route;
}

/** The pattern of a route that was added with Express's own methods. */
function getRoute({ baseUrl, route }: Request): string {
  return route ? `${baseUrl}${route.path}` : "unmatched";
}

/** Completes the server span, by OpenTelemetry's semantic conventions for HTTP. */
function addAnswer(
  span: Span,
  { locals, req }: Response,
  { method, route, status }: Parameters<OnAnswered>[0],
): void {
  span.updateName(`${method} ${route}`).setAttributes({
    "http.request.method": method,
    "http.route": route,
    "http.response.status_code": status,
    "url.scheme": req.protocol,
    "constancia.request": locals.requestId,
  });
  if (status >= 500) setError(span, String(status));
}
