import type { Collection } from "../../common/collection.ts";
import { type Pool, query } from "../../common/database.ts";
import { fromDateTime } from "../../common/date-times.ts";
import { getSql } from "../../common/tables.ts";
import { getLowestIdAt } from "../../common/write-id.ts";

const PAGE_ROWS = 1_000;
/** Items in one report, some 300 bytes each. */
const MAX_ITEMS = 1_000_000;

/** The writes that were settled again, by when they were accepted and settled. */
export type Window = { acceptedFromMs: number; acceptedUntilMs: number; settledAfterMs: number };

/** An item, and how many of its writes have which outcome. */
export type CompetingItem = {
  collection: string;
  itemId: string;
  outcomes: Record<string, number>;
};

/** What is known of the writes of one item that were settled after the restored time. */
type Tally = {
  outcomes: Record<string, number>;
  /** Writes that were accepted in the window, and when the last of them was settled. */
  again: number;
  lastAgainMs: number;
  /** When the first write that was accepted after the window was settled. */
  firstNewMs: number;
};

/**
 * Finds the items of which a write was settled again, and another one no later than that: also one that
 * was accepted since, and came before what was delivered again. All but one write of an item have a
 * receipt in `writes`, which is read by its key.
 *
 * Returns the items, and whether there are more than a report can hold.
 */
export async function findCompetingItems(
  pool: Pool,
  collections: readonly Collection[],
  window: Window,
): Promise<{ items: CompetingItem[]; isCut: boolean }> {
  const { tallies, isCut } = await tallyReceipts(pool, window);
  const items: CompetingItem[] = [];
  for (const collection of collections) {
    const own = [...(tallies.get(collection.name) ?? new Map<string, Tally>())];
    for (let start = 0; start < own.length; start += PAGE_ROWS) {
      const page = new Map(own.slice(start, start + PAGE_ROWS));
      await tallyCurrent(pool, collection, page, window);
      for (const [itemId, tally] of page)
        if (hasCompetition(tally))
          items.push({ collection: collection.name, itemId, outcomes: tally.outcomes });
    }
  }
  return { items, isCut };
}

function hasCompetition({ again, lastAgainMs, firstNewMs }: Tally): boolean {
  return again > 1 || (again === 1 && firstNewMs <= lastAgainMs);
}

/** The receipts in `writes`, by collection and item. */
async function tallyReceipts(pool: Pool, window: Window) {
  const tallies = new Map<string, Map<string, Tally>>();
  let items = 0;
  for (let from = getLowestIdAt(window.acceptedFromMs), rows = PAGE_ROWS; rows === PAGE_ROWS; ) {
    const page = await query(
      pool,
      "SELECT id, collection, item_id, outcome, settled_at FROM writes" +
        ` WHERE id > ? ORDER BY id LIMIT ${PAGE_ROWS}`,
      [from],
    );
    rows = page.length;
    for (const { id, collection, item_id, outcome, settled_at } of page) {
      from = String(id);
      const settledAtMs = fromDateTime(String(settled_at));
      if (settledAtMs <= window.settledAfterMs) continue;
      const own = tallies.get(String(collection)) ?? new Map<string, Tally>();
      tallies.set(String(collection), own);
      let tally = own.get(String(item_id));
      if (!tally) {
        if (items === MAX_ITEMS) return { tallies, isCut: true };
        items += 1;
        tally = { outcomes: {}, again: 0, lastAgainMs: 0, firstNewMs: Number.POSITIVE_INFINITY };
        own.set(String(item_id), tally);
      }
      addWrite(tally, { id: from, outcome: String(outcome), settledAtMs }, window);
    }
  }
  return { tallies, isCut: false };
}

/** Adds the items' current versions, whose receipts are their rows. */
async function tallyCurrent(
  pool: Pool,
  collection: Collection,
  tallies: ReadonlyMap<string, Tally>,
  window: Window,
): Promise<void> {
  const sql = `SELECT id, version, applied_at FROM ${getSql(collection).table} WHERE id IN (?)`;
  for (const { id, version, applied_at } of await query(pool, sql, [[...tallies.keys()]])) {
    const settledAtMs = fromDateTime(String(applied_at));
    const write = { id: String(version), outcome: "applied", settledAtMs };
    const isSince = settledAtMs > window.settledAfterMs;
    if (isSince) addWrite(tallies.get(String(id)) as Tally, write, window);
  }
}

function addWrite(
  tally: Tally,
  { id, outcome, settledAtMs }: { id: string; outcome: string; settledAtMs: number },
  { acceptedUntilMs }: Window,
): void {
  tally.outcomes[outcome] = (tally.outcomes[outcome] ?? 0) + 1;
  if (id < getLowestIdAt(acceptedUntilMs)) {
    tally.again += 1;
    tally.lastAgainMs = Math.max(tally.lastAgainMs, settledAtMs);
  } else tally.firstNewMs = Math.min(tally.firstNewMs, settledAtMs);
}
