import type { ErrorRequestHandler, Response } from "express";
import type { Logger } from "../../common/telemetry/logger.ts";
import { getTraceId } from "../../common/telemetry/tracing.ts";
import { bodyTooLarge, Problem, type ProblemName } from "./problem.ts";

/** The one error handler: answers a Problem as it is; any other error is logged and hidden. */
export function answerProblems(logger: Logger): ErrorRequestHandler {
  return (error, _request, response, next) => {
    if (response.headersSent) return next(error);
    const problem =
      error instanceof Problem
        ? error
        : (fromExpress(error) ?? internalProblem(logger, error, response));
    response.status(problem.status).set(problem.headers);
    response.type("application/problem+json").json(problem);
  };
}

/** Logs an unexpected error, and hides it from the client behind the request id. */
export function internalProblem(logger: Logger, error: unknown, { locals }: Response): Problem {
  logger.error("a request failed", {
    requestId: locals.requestId,
    trace: getTraceId(locals.traceparent),
    error: error instanceof Error ? error.name : typeof error,
    code: (error as { code?: string } | undefined)?.code,
    // The frames show where, without the message, which may contain a client's data.
    frames: error instanceof Error ? error.stack?.split("\n    at ").slice(1, 6) : undefined,
  });
  return new Problem(
    "internal",
    `An internal error occurred. The request id is ${locals.requestId}.`,
  );
}

/** Errors of Express and its body reader, by the library's stable types. */
const EXPRESS_PROBLEMS: Record<string, [ProblemName, string]> = {
  "encoding.unsupported": [
    "wrong-media-type",
    "The content encoding must be gzip, deflate, br or zstd.",
  ],
  "request.size.invalid": ["malformed-body", "The body is shorter than its Content-Length."],
  "request.aborted": ["malformed-body", "The body is incomplete."],
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
    return new Problem("malformed-request", "The path is not percent-encoded UTF-8.");
  // Any other 400 comes from a decompressor; their codes differ from one to the other.
  if (error.status === 400)
    return new Problem("malformed-body", "The body does not match its Content-Encoding.");
  return undefined;
}
