import { truncate } from "./characters.ts";

const QUOTED_CHARACTERS = 100;

/** A message that can never be settled as a write: its `message` is the dead letter's reason. */
export class InvalidWriteError extends Error {
  override name = "InvalidWriteError";
}

/** A message that this version does not know, but a newer one may: it is given back to Pub/Sub. */
export class UnknownSchemaError extends InvalidWriteError {
  override name = "UnknownSchemaError";
}

/** Quotes a value from outside in a reason, cut to {@link QUOTED_CHARACTERS}. */
export function quote(value: string | undefined): string {
  if (value === undefined) return "missing";
  return JSON.stringify(truncate(value.toWellFormed(), QUOTED_CHARACTERS));
}
