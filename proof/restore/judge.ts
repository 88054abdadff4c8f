import { data } from "../../collections/data.ts";
import type { Collection } from "../../common/collection.ts";
import type { Pool } from "../../common/database.ts";
import { getWriteTime } from "../../common/write-id.ts";
import type { Stored } from "../../test/support/settled-invariants.ts";
import { selectAllStored } from "../../test/support/snapshot.ts";

/** A settled write: of which item, with which outcome, and when. */
export type Settled = { itemId: string; outcome: string; settledAtMs: number };

const DATA_WITH_FEED: Collection = { ...data, feed: true };

/** All settled writes, by their ids. */
export async function readSettled(pool: Pool): Promise<Stored & { settled: Map<string, Settled> }> {
  const stored = await selectAllStored(pool, DATA_WITH_FEED);
  const settled = new Map<string, Settled>();
  for (const { write, itemId, outcome, settledAt } of stored.receipts)
    settled.set(write, { itemId, outcome, settledAtMs: settledAt });
  for (const { id, version, appliedAt } of stored.rows)
    settled.set(version, { itemId: id, outcome: "applied", settledAtMs: appliedAt });
  return { ...stored, settled };
}

/** The items that the report has listed. */
export function parseReport(text: string): Set<string> {
  return new Set([...text.matchAll(/^\/api\/data\/(\S+) {2}/gm)].map(([, id]) => id as string));
}

/**
 * What is wrong with a report: an item that it leaves out though several of its writes were settled
 * until the last that was settled again, one that it lists without, and an outcome that has changed of
 * an item that it does not list.
 */
export function judgeReport(
  reported: ReadonlySet<string>,
  found: {
    before: ReadonlyMap<string, Settled>;
    after: ReadonlyMap<string, Settled>;
    timeMs: number;
    untilMs: number;
  },
): { faults: string[]; changed: number } {
  const { before, after, timeMs, untilMs } = found;
  const since = [...after].filter(([, { settledAtMs }]) => settledAtMs > timeMs);
  const competed: string[] = [];
  for (const [id, writes] of Map.groupBy(since, ([, { itemId }]) => itemId)) {
    const again = writes.filter(([write]) => getWriteTime(write) < untilMs);
    const lastMs = Math.max(...again.map(([, { settledAtMs }]) => settledAtMs));
    const until = writes.filter(([, { settledAtMs }]) => settledAtMs <= lastMs);
    if (until.length > 1) competed.push(id);
  }
  const faults = competed
    .filter((id) => !reported.has(id))
    .map((id) => `the report leaves out ${id}, which has several writes`);
  for (const id of reported)
    if (!competed.includes(id)) faults.push(`the report lists ${id}, which has one write`);
  let changed = 0;
  for (const [write, { itemId, outcome }] of before) {
    const now = after.get(write)?.outcome;
    if (now === outcome) continue;
    changed += 1;
    if (!reported.has(itemId))
      faults.push(`${write} of ${itemId} was ${outcome} and is ${now}, and is not in the report`);
  }
  return { faults, changed };
}
