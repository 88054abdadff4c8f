import type { ErrorRequestHandler, Request, RequestHandler } from "express";
import { BODY_BYTES } from "../common/limits.ts";
import type { Logger } from "../common/logger.ts";
import { traceIdOf } from "../common/write.ts";
import { Problem, type ProblemName } from "./problem.ts";
import { contextOf } from "./request-context.ts";

/** The last route: whatever nobody answered. */
export const answerNotFound: RequestHandler = () => {
  throw new Problem("not-found", "There is nothing at this address.");
};

/** The method is not among those that the path takes (RFC 9110, section 15.5.6). */
export function refuseMethod(allow: string): RequestHandler {
  return (request) => {
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

/** Logs an error that nobody expected, and hides it from the client behind the request id. */
export function internalProblem(logger: Logger, error: unknown, request: Request): Problem {
  const { requestId, traceparent } = contextOf(request);
  logger.error("a request failed", {
    requestId,
    trace: traceIdOf(traceparent),
    error: error instanceof Error ? error.name : typeof error,
    code: (error as { code?: string }).code,
    // The frames tell where, without the message, which may hold a client's data.
    stack: error instanceof Error ? error.stack?.split("\n    at ").slice(1, 6) : undefined,
  });
  return new Problem("internal", `Something went wrong here. The request was ${requestId}.`);
}

/** What Express and its body reader refuse, in our words; by the library's stable types. */
const EXPRESS_PROBLEMS: Record<string, [ProblemName, string]> = {
  "entity.too.large": ["too-large", `A body may have ${BODY_BYTES} bytes at most, decompressed.`],
  "encoding.unsupported": ["wrong-media-type", "The content encoding must be gzip, deflate or br."],
  "request.size.invalid": ["malformed-body", "The body is not as long as Content-Length says."],
  "request.aborted": ["malformed-body", "The body ended too early."],
};

function fromExpress(error: {
  type?: string;
  status?: number;
  code?: string;
}): Problem | undefined {
  const known = EXPRESS_PROBLEMS[error.type ?? ""];
  if (known) return new Problem(...known);
  // zlib's refusals, and paths that are not percent-encoded UTF-8, come as plain 400s.
  if (error.status === 400)
    return error.code?.startsWith("Z_")
      ? new Problem("malformed-body", "The body is not compressed as Content-Encoding says.")
      : new Problem("malformed-request", "The address is not percent-encoded UTF-8.");
  return undefined;
}
