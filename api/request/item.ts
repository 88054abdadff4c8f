import type { Collection } from "../../common/collection.ts";
import { checkItem, formatErrors, type Item } from "../../common/item-check.ts";
import { ITEM_ID } from "../../common/item-id.ts";
import { isObject, RepeatedKey } from "../../common/json.ts";
import { Problem } from "../answer/problem.ts";

/** A put's item id, from the path or from the body's `id`; where both are given, they must agree. */
export function takeItemId({ value, pathId }: { value: unknown; pathId: string | undefined }): {
  itemId: string;
  value: unknown;
} {
  // What is no object, or repeats its id, is refused by the check of the item.
  if (!isObject(value) || value.id instanceof RepeatedKey) return { itemId: pathId ?? "", value };
  const { id, ...fields } = value;
  const fault = (detail: string) =>
    new Problem("invalid-item", `The id ${detail}`, {
      errors: [{ pointer: "/id", detail: detail.charAt(0).toUpperCase() + detail.slice(1) }],
    });
  if (id === undefined && pathId !== undefined) return { itemId: pathId, value: fields };
  if (id === undefined) throw fault("is required.");
  if (typeof id !== "string" || !ITEM_ID.test(id))
    throw fault("must have 1 to 64 of the characters A-Z a-z 0-9 . _ ~ -");
  if (pathId !== undefined && pathId !== id) throw fault("must be the one in the path.");
  return { itemId: id, value: fields };
}

/** The item, checked and normalised. Throws 422 with what is wrong with it. */
export function validateItem(collection: Collection, value: unknown): Item {
  const checked = checkItem(collection, value);
  if (checked.ok) return checked.item;
  const { count } = checked;
  throw new Problem(
    "invalid-item",
    count === 1
      ? `The item is not valid: ${formatErrors(checked.errors)}`
      : `The item is not valid: ${count} fields have errors.`,
    { errors: checked.errors },
  );
}
