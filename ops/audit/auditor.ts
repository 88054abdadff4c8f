import type { Collection } from "../../common/collection.ts";
import type { Pool } from "../../common/database.ts";
import type { Outcome } from "../../common/receipts.ts";
import { getWriteTime } from "../../common/write-id.ts";
import type { Told } from "./input.ts";
import { addMoved, scanVersions, selectOutcomes } from "./receipts.ts";
import type { MissingWrites } from "./report.ts";
import { WriteIdSet } from "./write-id-set.ts";

/** What became of the distinct writes. */
export type Tally = {
  writes: number;
  toldAgain: number;
  settled: Record<Outcome, number>;
  inFlight: number;
  beyondRetention: number;
};

/** Keys in one statement: beyond it nothing is gained, and below it round trips cost. */
const ASK_WRITES = 1_000;
/** Bare ids that wait for one reading of the tables; about 100 MB of them. */
const SCAN_IDS = 1_000_000;
/** Distinct writes in one audit: 800 MB of ids while their set grows. */
const MOST_WRITES = 20_000_000;

export function newTally(): Tally {
  return {
    ...{ writes: 0, toldAgain: 0, inFlight: 0, beyondRetention: 0 },
    settled: { applied: 0, superseded: 0, conflict: 0, duplicate: 0, dead: 0 },
  };
}

/**
 * Asks MySQL for the receipt of every write that `source` tells of, each once. A write without one
 * is missing, unless it is younger than `graceMs`, and so in flight, or older than `retentionMs`.
 * Holds 16 bytes a write and no more than a batch of anything else, save for bare ids.
 */
export async function auditWrites(options: {
  pool: Pool;
  collections: readonly Collection[];
  source: AsyncIterable<Told[]>;
  graceMs: number;
  retentionMs: number;
  tally: Tally;
  missing: MissingWrites;
  /** Called before the tables are read whole for so many bare ids. */
  onScan: (ids: number) => void;
}): Promise<void> {
  const { pool, collections, tally, missing } = options;
  const known = new WriteIdSet();
  const bare = new Set<string>();
  let batch: Told[] = [];
  // MySQL is asked before a long reading of logs may be in vain.
  await selectOutcomes(pool, collections, [{ id: "" }]);
  for await (const page of options.source)
    for (const told of page) {
      if (!known.add(told.id)) {
        tally.toldAgain += 1;
        continue;
      }
      if (known.size > MOST_WRITES)
        throw new Error(`One audit takes ${MOST_WRITES} writes: give it a shorter time.`);
      tally.writes += 1;
      if (batch.push(told) === ASK_WRITES) {
        await ask(batch);
        batch = [];
      }
    }
  await ask(batch);
  await scan();

  async function ask(batch: readonly Told[]): Promise<void> {
    // What is accepted so late may be settled behind our question.
    const askedMs = Date.now();
    const outcomes = await selectOutcomes(pool, collections, batch);
    for (const outcome of outcomes.values()) tally.settled[outcome] += 1;
    for (const told of batch) {
      if (outcomes.has(told.id)) continue;
      if (told.collection === undefined) bare.add(told.id);
      else await judge(told, askedMs);
    }
    if (bare.size >= SCAN_IDS) await scan();
  }

  async function scan(): Promise<void> {
    if (bare.size === 0) return;
    options.onScan(bare.size);
    const askedMs = Date.now();
    await scanVersions(pool, collections, bare, () => {
      tally.settled.applied += 1;
    });
    const left = [...bare].map((id) => ({ id }));
    bare.clear();
    for (let at = 0; at < left.length; at += ASK_WRITES) {
      const batch = left.slice(at, at + ASK_WRITES);
      // A version that was replaced before its row was read has moved meanwhile.
      const outcomes = new Map<string, Outcome>();
      await addMoved(pool, batch, outcomes);
      for (const outcome of outcomes.values()) tally.settled[outcome] += 1;
      for (const told of batch) if (!outcomes.has(told.id)) await judge(told, askedMs);
    }
  }

  /** A write without a receipt. */
  async function judge(told: Told, askedMs: number): Promise<void> {
    const ageMs = askedMs - getWriteTime(told.id);
    if (ageMs < options.graceMs) tally.inFlight += 1;
    else if (ageMs > options.retentionMs) tally.beyondRetention += 1;
    else await missing.add(told);
  }
}
