import type { Collection } from "../../common/collection.ts";
import { toReceipt } from "../../common/receipts.ts";
import type { Write } from "../../common/write.ts";
import type { Stored } from "../../test/support/settled-invariants.ts";
import type { ClaimLog } from "./claims.ts";
import { judgeItem } from "./judge.ts";

/** One wrong answer about an item is usually followed by many like it. */
const ITEM_FAULTS = 20;

/**
 * Judges what answers said of the items of these writes, which must be all that was published for
 * them, by what is stored once everything is settled. Removes their claims from the log.
 */
export function judgeStored(
  log: ClaimLog,
  collection: Collection,
  writes: readonly Write[],
  { rows, receipts, dead }: Stored,
): string[] {
  const current = rows.map((row) => toReceipt(collection, row));
  const byWrite = new Map([...current, ...receipts, ...dead].map((one) => [one.write, one]));
  return [...Map.groupBy(writes, ({ itemId }) => itemId)].flatMap(([itemId, own]) => {
    const history = { writes: new Map(own.map((write) => [write.id, write])), receipts: byWrite };
    const claims = log.take(`${collection.name}/${itemId}`);
    return judgeItem(history, claims).slice(0, ITEM_FAULTS);
  });
}

/** Judges what is left in the log: items that nobody has written. */
export function judgeUnwritten(log: ClaimLog): string[] {
  const history = { writes: new Map(), receipts: new Map() };
  return log.keys().flatMap((key) => judgeItem(history, log.take(key)).slice(0, ITEM_FAULTS));
}
