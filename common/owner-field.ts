import { z } from "zod";
import { declarationError, defineField, type Field } from "./fields.ts";

/** Who calls, and whose an item is: `key:NAME`, or an issuer's name and `sub`. */
export const PRINCIPAL = /^[!-~]{1,255}$/;
/** The column of an owner, whatever its field is called; a tombstone keeps it. */
export const OWNER_COLUMN = "owner";
/** The field of the owner. It is optional: the API fills it. */
export function defineOwner(collection: string, name: string, others: readonly Field[]): Field {
  const clash = others.find((field) => field.name === name || field.column === OWNER_COLUMN);
  if (clash)
    throw declarationError(
      collection,
      clash.name === name ? "is the owner, and is not declared" : "would have the owner's column",
      clash.name,
    );
  const error = "Must have 1 to 255 visible ASCII characters.";
  const description = "Whose the item is: of a new one, who writes it.";
  const schema = z.string().regex(PRINCIPAL, { error }).meta({ description }).optional();
  return { ...defineField(collection, name, schema), column: OWNER_COLUMN };
}
