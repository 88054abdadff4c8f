import { status } from "@grpc/grpc-js";

/** The error of a call: one of gRPC's codes, and a sentence. */
export class StatusError extends Error {
  readonly code: status;
  /** Where grpc-js looks for the sentence. */
  readonly details: string;

  constructor(code: status, details: string) {
    super(details);
    this.code = code;
    this.details = details;
  }
}

export function invalidArgument(details: string): StatusError {
  return new StatusError(status.INVALID_ARGUMENT, details);
}

export function notFound(name: string): StatusError {
  return new StatusError(status.NOT_FOUND, `Resource not found (resource=${getLastPart(name)}).`);
}

export function alreadyExists(name: string): StatusError {
  const what = `Resource already exists in the project (resource=${getLastPart(name)}).`;
  return new StatusError(status.ALREADY_EXISTS, what);
}

export function failedPrecondition(details: string): StatusError {
  return new StatusError(status.FAILED_PRECONDITION, details);
}

export function outOfRange(details: string): StatusError {
  return new StatusError(status.OUT_OF_RANGE, details);
}

export function unimplemented(what: string): StatusError {
  return new StatusError(status.UNIMPLEMENTED, `The local Pub/Sub has no ${what}.`);
}

export function unavailable(details: string): StatusError {
  return new StatusError(status.UNAVAILABLE, details);
}

function getLastPart(name: string): string {
  return name.slice(name.lastIndexOf("/") + 1);
}
