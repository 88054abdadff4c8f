/** There was no answer in time; what was under way may yet succeed. */
export class DeadlineExceededError extends Error {
  override name = "DeadlineExceededError";
  /** As the system calls it, so that it is classified and logged like a connection's own timeout. */
  readonly code = "ETIMEDOUT";

  constructor() {
    super("There was no answer in time.");
  }
}

/**
 * Settles as `work` does, or rejects with a {@link DeadlineExceededError} after `ms` milliseconds.
 * `work` is not ended by that.
 */
export async function withDeadline<Result>(work: Promise<Result>, ms: number): Promise<Result> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new DeadlineExceededError()), Math.max(0, ms));
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
