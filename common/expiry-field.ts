import { parseDuration } from "./duration.ts";
import { declarationError, type Field } from "./fields.ts";
import { EXPIRY_MS } from "./limits.ts";

/** The field that says until when an item is there, and how far ahead it may be set. */
export type Expiry = { field: Field; most: string; mostMs: number };

/** Makes one of the fields that of the expiry. Throws an error that names it where it cannot be. */
export function defineExpiry(
  collection: string,
  { field: name, most }: { field: string; most: string },
  fields: readonly Field[],
): Expiry {
  const fail = (fault: string) => declarationError(collection, fault, name);
  const field = fields.find((candidate) => candidate.name === name);
  if (field?.kind !== "dateTime" || field.required || field.schema.safeParse(undefined).data)
    throw fail("an item can expire only by a dateTime() that is optional() and has no default");
  const mostMs = parseDuration(most);
  if (mostMs === undefined || mostMs < EXPIRY_MS.least || mostMs > EXPIRY_MS.most)
    throw fail(
      "the most that an expiry may be ahead must be a duration such as PT5M, of a second to 366" +
        ` days, not ${JSON.stringify(most)}`,
    );
  return { field, most, mostMs };
}
