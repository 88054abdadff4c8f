import type { RowState } from "./tables.ts";
import type { Write } from "./write.ts";

/** It tells nothing of the item, not even whether it was deleted. */
export const NOT_OWNER_REASON = "The item belongs to another.";

/**
 * Whether a row, or a tombstone, is one that the write may not change, whatever its condition. So the
 * first write that is settled decides whose an item is. What was stored before its collection had
 * owners belongs to nobody.
 */
export function isAnothers(
  row: RowState,
  { collection, subject, anyOwner }: Pick<Write, "collection" | "subject" | "anyOwner">,
): boolean {
  return collection.owner !== undefined && !anyOwner && row.owner !== subject;
}

/**
 * Whether a write is refused where it finds no item: a delete where items have owners. Its tombstone
 * would be its own, and whoever was about to create the item could not write it any more.
 */
export function mustFindItem({ kind, collection }: Pick<Write, "kind" | "collection">): boolean {
  return kind === "delete" && collection.owner !== undefined;
}
