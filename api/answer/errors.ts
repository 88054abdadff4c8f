import { STATUS_CODES } from "node:http";
import type { ErrorRequestHandler, Response } from "express";
import { truncate } from "../../common/characters.ts";
import type { Logger } from "../../common/telemetry/logger.ts";
import { getTraceId } from "../../common/telemetry/tracing.ts";
import {
  bodyTooLarge,
  incompleteBody,
  Problem,
  undecodableBody,
  unsupportedCoding,
} from "./problem.ts";

/**
 * The one error handler. Answers a Problem as it is, and an error with a `status` (or `statusCode`) of
 * 400 to 599 by that status and its `headers`, as Express's own handler does; any other error is
 * logged and hidden.
 */
export function answerProblems(logger: Logger): ErrorRequestHandler {
  return (error, _request, response, next) => {
    if (response.headersSent) return next(error);
    response.type("application/problem+json");
    answerProblem(logger, error, response);
    // Unset where middleware before the application's own has failed.
    response.locals.memory?.disconnectIfUnread(response);
  };
}

function answerProblem(logger: Logger, error: unknown, response: Response): void {
  const problem = error instanceof Problem ? error : fromExpress(error);
  if (problem) return void response.status(problem.status).set(problem.headers).json(problem);
  const status = getStatus(error);
  if (status !== undefined && status < 500) {
    const shown = error as Error & { headers?: Record<string, string> };
    response.set(shown.headers ?? {});
    return void response.status(status).json(describeStatus(status, shown));
  }
  const internal = logInternalError(logger, error, response);
  response.status(status ?? internal.status);
  response.json(status === undefined ? internal : describeStatus(status, {}));
}

/** The status that an error asks for, such as one of `http-errors`. */
function getStatus(error: unknown): number | undefined {
  const { status, statusCode } = (error ?? {}) as { status?: unknown; statusCode?: unknown };
  return [status, statusCode].find(
    (value): value is number =>
      Number.isInteger(value) && Number(value) >= 400 && Number(value) < 600,
  );
}

/** A problem without a type of its own (RFC 9457, section 4.2.1); `expose` lets its message out. */
function describeStatus(
  status: number,
  { expose, message }: { expose?: boolean; message?: string },
) {
  const title = STATUS_CODES[status] ?? "Error";
  return { type: "about:blank", title, status, detail: (expose && message) || `${title}.` };
}

/** Logs an unexpected error; returns the 500 to answer, which shows the request id and nothing of it. */
export function logInternalError(logger: Logger, error: unknown, { locals }: Response): Problem {
  logger.error("a request failed", {
    requestId: locals.requestId,
    trace: getTraceId(locals.traceparent),
    error: error instanceof Error ? error.name : typeof error,
    code: (error as { code?: string } | undefined)?.code,
    frames: error instanceof Error ? readFrames(error) : undefined,
  });
  // Unset where middleware before the application's own has failed.
  const request = locals.requestId ? ` The request id is ${locals.requestId}.` : "";
  return new Problem("internal", `An internal error occurred.${request}`);
}

const FRAMES = 5;
const FRAME_CHARACTERS = 200;

/** The topmost frames of the stack without the message, which may contain a client's data. */
function readFrames({ stack = "", message }: Error): string[] {
  const [first, ...frames] = stack.replace(message, "").split("\n    at ");
  // The stack still has the message that the error had when it was created.
  if (first?.includes("\n")) return [];
  return frames.slice(0, FRAMES).map((frame) => truncate(frame, FRAME_CHARACTERS));
}

/** The problem of an error of Express or its body reader, by the library's stable types. */
function fromExpress(error: unknown): Problem | undefined {
  const { type, status, code } = (error ?? {}) as { type?: string; status?: number; code?: string };
  if (type === "entity.too.large") return bodyTooLarge();
  if (type === "encoding.unsupported") return unsupportedCoding();
  if (type === "request.aborted") return incompleteBody();
  if (type === "request.size.invalid")
    return new Problem("malformed-body", "The body is shorter than its Content-Length.");
  if (error instanceof URIError)
    return new Problem("malformed-request", "The path is not percent-encoded UTF-8.");
  // A 400 with a code comes from a decompressor; the codes differ from one to the other.
  if (status === 400 && type === undefined && code !== undefined) return undecodableBody();
  return undefined;
}
