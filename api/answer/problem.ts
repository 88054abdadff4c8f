import { STATUS_CODES } from "node:http";
import type { FieldError } from "../../common/item-check.ts";
import { BODY_BYTES, ITEM_BYTES } from "../../common/limits.ts";

/** Every problem that the API answers with, by its stable name, with its status (RFC 9457). */
export const PROBLEMS = {
  "malformed-body": { status: 400, means: "The body does not match its media type." },
  "malformed-request": { status: 400, means: "A header, a parameter or the path is malformed." },
  "missing-key": { status: 401, means: "The request needs a valid API key or token." },
  "not-owner": { status: 403, means: "The item belongs to another." },
  "wrong-scope": {
    status: 403,
    means: "The API key or token lacks a scope that the request needs.",
  },
  "not-found": { status: 404, means: "The resource does not exist." },
  "wrong-method": { status: 405, means: "The resource does not support this method." },
  conflict: { status: 409, means: "The write was settled as a conflict." },
  deleted: { status: 410, means: "The item was deleted, or has expired." },
  "lost-place": {
    status: 410,
    means: "The feed cannot be continued from this place; it can be read from its beginning.",
  },
  "failed-precondition": { status: 412, means: "The item is not at the requested version." },
  "too-large": { status: 413, means: "The body, or a record in it, exceeds a size limit." },
  "wrong-media-type": {
    status: 415,
    means: "The body's media type or content encoding is not supported.",
  },
  "invalid-item": { status: 422, means: "A field is missing, unknown or invalid." },
  "reused-key": { status: 422, means: "The Idempotency-Key was used with another body." },
  "dead-write": { status: 422, means: "The write was accepted, but the database rejected it." },
  "too-many-requests": { status: 429, means: "The rate limit is exceeded." },
  internal: { status: 500, means: "An internal error occurred." },
  unavailable: {
    status: 503,
    means: "Pub/Sub or MySQL does not respond, or too many requests are waiting.",
  },
} as const;

export type ProblemName = keyof typeof PROBLEMS;

/** Every problem's `type` begins with this; it is a name and not an address. */
const TYPE_PREFIX = "urn:problem-type:constancia:";

/** Seconds after which a client may retry. */
export const RETRY_AFTER_SECONDS = 1;

/**
 * An error that is answered to the client, thrown by any handler. `detail` is a sentence for the
 * client; `errors` point into the body.
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

  /** Converts it to `application/problem+json`, or to a record's result in a bulk answer. */
  toJSON(): Record<string, unknown> {
    return {
      type: formatProblemType(this.problem),
      title: STATUS_CODES[this.status],
      status: this.status,
      detail: this.message,
      ...(this.errors ? { errors: this.errors } : {}),
      ...this.members,
    };
  }
}

/** The `type` of a problem (RFC 9457). */
export function formatProblemType(name: ProblemName): string {
  return TYPE_PREFIX + name;
}

/** The name of a problem, from its `type`. */
export function getProblemName(type: string): ProblemName {
  return type.slice(TYPE_PREFIX.length) as ProblemName;
}

/** 400: a header, a parameter or the path is not of its form. */
export function malformed(detail: string): Problem {
  return new Problem("malformed-request", detail);
}

/** 413: an item's JSON, as it was sent or as it would be stored, is too large. */
export function itemTooLarge(): Problem {
  return new Problem("too-large", `An item can have at most ${ITEM_BYTES} bytes of JSON.`);
}

/** 413; closes the connection, so that the rest of the body is not read as the next request. */
export function bodyTooLarge(): Problem {
  const detail = `The body exceeds ${BODY_BYTES} bytes, decompressed.`;
  return new Problem("too-large", detail, { headers: { Connection: "close" } });
}

/** 400: the request breaks off, or turns out malformed, before the body's end. */
export function incompleteBody(): Problem {
  return new Problem("malformed-body", "The body is incomplete.");
}

/** 400: the body cannot be decompressed. */
export function undecodableBody(): Problem {
  return new Problem("malformed-body", "The body does not match its Content-Encoding.");
}

/** 415, with the content codings that are supported (RFC 9110, 15.5.16). */
export function unsupportedCoding(): Problem {
  const detail = "The content encoding must be gzip, deflate, br or zstd.";
  return new Problem("wrong-media-type", detail, {
    headers: { "Accept-Encoding": "gzip, deflate, br, zstd" },
  });
}
