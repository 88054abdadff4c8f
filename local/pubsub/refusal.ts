import { status } from "@grpc/grpc-js";

/** What a call is refused with: one of gRPC's codes, and a sentence. */
export class Refusal extends Error {
  readonly code: status;
  /** Where grpc-js looks for the sentence. */
  readonly details: string;

  constructor(code: status, details: string) {
    super(details);
    this.code = code;
    this.details = details;
  }
}

export function invalid(details: string): Refusal {
  return new Refusal(status.INVALID_ARGUMENT, details);
}

export function notFound(name: string): Refusal {
  return new Refusal(status.NOT_FOUND, `Resource not found (resource=${getLastPart(name)}).`);
}

export function existsAlready(name: string): Refusal {
  const what = `Resource already exists in the project (resource=${getLastPart(name)}).`;
  return new Refusal(status.ALREADY_EXISTS, what);
}

export function failedPrecondition(details: string): Refusal {
  return new Refusal(status.FAILED_PRECONDITION, details);
}

export function outOfRange(details: string): Refusal {
  return new Refusal(status.OUT_OF_RANGE, details);
}

export function unimplemented(what: string): Refusal {
  return new Refusal(status.UNIMPLEMENTED, `The local Pub/Sub has no ${what}.`);
}

export function unavailable(details: string): Refusal {
  return new Refusal(status.UNAVAILABLE, details);
}

function getLastPart(name: string): string {
  return name.slice(name.lastIndexOf("/") + 1);
}
