import { UsageError } from "../../ops/command-line.ts";

/** An expected failure. Its message is a sentence for the user, printed without a stack. */
export class Failure extends Error {}

/** The version failed its checks, or there was too little evidence. */
export class Breach extends Failure {}

/** The program received a signal. */
export class Interrupted extends Failure {
  readonly signal: NodeJS.Signals;
  constructor(signal: NodeJS.Signals) {
    super(`Interrupted by ${signal}.`);
    this.signal = signal;
  }
}

/** Traffic could not be moved back after all attempts; a person has to do it. */
export class RollbackFailed extends Failure {}

/** The message for any error. */
export function describeError(error: unknown): string {
  if (error instanceof Failure || error instanceof UsageError) return error.message;
  const { name, message } = error instanceof Error ? error : new Error(String(error));
  return `Unexpected error in the rollout: ${name}: ${message}`;
}
