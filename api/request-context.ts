import { randomBytes, randomUUID } from "node:crypto";
import type { Request, RequestHandler } from "express";
import type { ApiKey } from "../common/config.ts";

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
const TRACEPARENT = /^00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$/;

/** Gives each request its context, and tells the client its request id. */
export const addContext: RequestHandler = (request, response, next) => {
  const requestId = request.get("x-request-id") ?? "";
  const traceparent = request.get("traceparent") ?? "";
  const context: RequestContext = {
    requestId: REQUEST_ID.test(requestId) ? requestId : randomUUID(),
    traceparent: TRACEPARENT.test(traceparent) ? traceparent : newTraceparent(),
    key: undefined,
  };
  contexts.set(request, context);
  response.setHeader("X-Request-Id", context.requestId);
  next();
};

/** The context that {@link addContext} gave the request. */
export function contextOf(request: Request): RequestContext {
  return contexts.get(request) as RequestContext;
}

function newTraceparent(): string {
  const random = randomBytes(24).toString("hex");
  return `00-${random.slice(0, 32)}-${random.slice(32)}-01`;
}
