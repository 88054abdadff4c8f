import type { ErrorRequestHandler, Request, RequestHandler } from "express";
import type { Logger } from "../common/telemetry/logger.ts";
import { getTraceId } from "../common/telemetry/tracing.ts";
import { bodyTooLarge } from "./body.ts";
import { Problem, type ProblemName } from "./problem.ts";
import { getContext } from "./request-context.ts";
import { ALLOWED, getRoute } from "./routes.ts";

/** The last route: whatever nobody answered. */
export const answerNotFound: RequestHandler = () => {
  throw new Problem("not-found", "There is nothing at this address.");
};

/** Tells OPTIONS, and whoever uses another method, which ones apply (RFC 9110, 15.5.6). */
export function refuseMethods(options: { hasMetrics: boolean }): RequestHandler {
  return (request, response, next) => {
    const route = getRoute(request.originalUrl);
    const allow = ALLOWED[route];
    if (!allow || (route === "/metrics" && !options.hasMetrics)) return next();
    if (request.method === "OPTIONS") return void response.set("Allow", allow).status(204).end();
    throw new Problem("wrong-method", `${request.method} does not apply here; ${allow} do.`, {
      headers: { Allow: allow },
    });
  };
}

/** The one error handler: 4xx keep their text; what is our fault is logged and hidden. */
export function answerProblems(logger: Logger): ErrorRequestHandler {
  return (error, request, response, next) => {
    if (response.headersSent) return next(error);
    const problem =
      error instanceof Problem
        ? error
        : (fromExpress(error) ?? internalProblem(logger, error, request));
    response.status(problem.status).set(problem.headers);
    response.type("application/problem+json").send(JSON.stringify(problem));
  };
}

/** What is refused before there is a request, by Node's code for it. */
const HTTP_PROBLEMS: Record<string, [ProblemName, string]> = {
  HPE_HEADER_OVERFLOW: ["headers-too-large", "The headers are too large."],
  ERR_HTTP_REQUEST_TIMEOUT: ["request-timeout", "The request did not come in time."],
};

/** The answer to bytes that are no HTTP request (RFC 9112), or not in time. */
export function createHttpProblem(code: string): Problem {
  const [name, detail] = HTTP_PROBLEMS[code] ?? [];
  if (name && detail) return new Problem(name, detail);
  return new Problem("malformed-request", "What came is not an HTTP/1.1 request.");
}

/** Logs an error that nobody expected, and hides it from the client behind the request id. */
export function internalProblem(logger: Logger, error: unknown, request: Request): Problem {
  const { requestId, traceparent } = getContext(request);
  logger.error("a request failed", {
    requestId,
    trace: getTraceId(traceparent),
    error: error instanceof Error ? error.name : typeof error,
    code: (error as { code?: string }).code,
    // The frames tell where, without the message, which may hold a client's data.
    frames: error instanceof Error ? error.stack?.split("\n    at ").slice(1, 6) : undefined,
  });
  return new Problem("internal", `Something went wrong here. The request was ${requestId}.`);
}

/** What Express and its body reader refuse, in our words; by the library's stable types. */
const EXPRESS_PROBLEMS: Record<string, [ProblemName, string]> = {
  "encoding.unsupported": [
    "wrong-media-type",
    "The content encoding must be gzip, deflate, br or zstd.",
  ],
  "request.size.invalid": ["malformed-body", "The body is not as long as Content-Length says."],
  "request.aborted": ["malformed-body", "The body ended too early."],
};

function fromExpress(error: {
  type?: string;
  status?: number;
  code?: string;
}): Problem | undefined {
  if (error.type === "entity.too.large") return bodyTooLarge();
  const known = EXPRESS_PROBLEMS[error.type ?? ""];
  if (known) return new Problem(...known);
  if (error instanceof URIError)
    return new Problem("malformed-request", "The address is not percent-encoded UTF-8.");
  // What is left is the decompressors' refusals, whose codes differ from one to the other.
  if (error.status === 400)
    return new Problem("malformed-body", "The body is not compressed as Content-Encoding says.");
  return undefined;
}
