/** Something that went wrong, as a sentence for the one who ran the program; never a stack. */
export class Failure extends Error {}

/** The command was given wrongly. */
export class UsageError extends Failure {}

/** A version was judged and did not pass, or could not be judged. */
export class Breach extends Failure {}

/** A signal asked for the end. */
export class Interrupted extends Failure {
  readonly signal: NodeJS.Signals;
  constructor(signal: NodeJS.Signals) {
    super(`Interrupted by ${signal}.`);
    this.signal = signal;
  }
}

/** Traffic could not be put back by all the attempts there are: a person has to. */
export class RollbackFailed extends Failure {}

/** What to say of anything that was thrown. */
export function describeError(error: unknown): string {
  if (error instanceof Failure) return error.message;
  const { name, message } = error instanceof Error ? error : new Error(String(error));
  return `The rollout has a fault of its own: ${name}: ${message}`;
}
