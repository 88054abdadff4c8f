import { STATUS_CODES } from "node:http";
import type { FieldError } from "../common/collection.ts";

/** Every problem that the API answers with, by its stable name, with its status (RFC 9457). */
export const PROBLEMS = {
  "malformed-body": { status: 400, means: "The body is not what its media type says." },
  "malformed-request": { status: 400, means: "A header, parameter or path is not of its form." },
  "missing-key": { status: 401, means: "An API key is needed." },
  "wrong-scope": { status: 403, means: "The API key may not do this." },
  "not-found": { status: 404, means: "There is nothing at this address." },
  "wrong-method": { status: 405, means: "The resource does not take this method." },
  "request-timeout": { status: 408, means: "The request did not come in time." },
  conflict: { status: 409, means: "The write was settled as a conflict." },
  deleted: { status: 410, means: "The item was deleted." },
  "failed-precondition": { status: 412, means: "The item is not at the version named." },
  "too-large": { status: 413, means: "The body, or a record of it, is too large." },
  "wrong-media-type": { status: 415, means: "The body's media type or encoding is not taken." },
  "invalid-item": { status: 422, means: "A field is missing, unknown or wrong." },
  "reused-key": { status: 422, means: "The idempotency key was used with another body." },
  "dead-write": { status: 422, means: "The write was accepted, but the table refused it." },
  "too-many-requests": { status: 429, means: "The rate limit is reached." },
  "headers-too-large": { status: 431, means: "The request's headers are too large." },
  internal: { status: 500, means: "Something went wrong here." },
  unavailable: { status: 503, means: "Pub/Sub or MySQL does not answer, or the queue is full." },
} as const;

export type ProblemName = keyof typeof PROBLEMS;

/** What `type` is made of: a name, not an address. */
const TYPE_PREFIX = "urn:problem-type:constancia:";

/** Seconds after which a refused client may try again. */
const RETRY_AFTER_SECONDS = 1;

/**
 * A refusal, thrown anywhere below the one error handler. `detail` is a sentence for the client;
 * `errors` point into the body.
 */
export class Problem extends Error {
  readonly problem: ProblemName;
  readonly status: number;
  readonly errors: readonly FieldError[] | undefined;
  readonly headers: Record<string, string>;
  readonly members: Record<string, unknown>;

  constructor(
    name: ProblemName,
    detail: string,
    more: {
      errors?: readonly FieldError[];
      headers?: Record<string, string>;
      members?: Record<string, unknown>;
    } = {},
  ) {
    super(detail);
    this.name = "Problem";
    this.problem = name;
    this.status = PROBLEMS[name].status;
    this.errors = more.errors;
    this.members = more.members ?? {};
    this.headers = { ...more.headers };
    if (this.status === 503) this.headers["Retry-After"] ??= String(RETRY_AFTER_SECONDS);
  }

  /** As `application/problem+json`, or as a record's result in a bulk answer. */
  toJSON(): Record<string, unknown> {
    return {
      type: TYPE_PREFIX + this.problem,
      title: STATUS_CODES[this.status],
      status: this.status,
      detail: this.message,
      ...(this.errors ? { errors: this.errors } : {}),
      ...this.members,
    };
  }
}
