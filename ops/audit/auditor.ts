import type { Collection } from "../../common/collection.ts";
import type { Pool } from "../../common/database.ts";
import type { Outcome } from "../../common/receipts.ts";
import { getWriteTime } from "../../common/write-id.ts";
import type { AcceptedWrite } from "./accepted-writes.ts";
import { addMoved, scanVersions, selectOutcomes } from "./receipts.ts";

/** What became of the distinct writes, so far. */
export type Findings = {
  writes: number;
  /** Ids that were read before. */
  repeated: number;
  settled: Record<Outcome, number>;
  inFlight: number;
  beyondRetention: number;
  missing: number;
  /** The first {@link MAX_NAMED} missing writes, in the order in which they were found. */
  named: AcceptedWrite[];
};

/** Keys in one statement: more gains nothing, and fewer cost round trips. */
const BATCH_WRITES = 1_000;
/** Distinct writes in one audit: their ids take about 100 bytes each. */
const MAX_WRITES = 5_000_000;
/** Missing writes that are named; more of them are only counted. */
const MAX_NAMED = 100_000;

export function createFindings(): Findings {
  return {
    writes: 0,
    repeated: 0,
    settled: { applied: 0, superseded: 0, conflict: 0, duplicate: 0, dead: 0 },
    inFlight: 0,
    beyondRetention: 0,
    missing: 0,
    named: [],
  };
}

type AuditOptions = {
  pool: Pool;
  collections: readonly Collection[];
  source: AsyncIterable<AcceptedWrite[]>;
  graceMs: number;
  retentionMs: number;
  findings: Findings;
  /** Called before every row is read to find so many bare ids. */
  onScan: (ids: number) => void;
};

/**
 * Asks MySQL for the receipt of every write of `source`, each once, and adds up `findings`. A write
 * without one is missing, unless it is younger than `graceMs`, and so in flight, or older than
 * `retentionMs`.
 */
export async function auditWrites(options: AuditOptions): Promise<void> {
  const { pool, collections, source, findings } = options;
  const bareIds = new Set<string>();
  // If MySQL does not answer, that is known before the logs are read, which may take long.
  await selectOutcomes(pool, collections, [{ id: "" }]);
  for await (const batch of takeBatches(source, findings)) {
    // Taken before MySQL is asked: a write that is accepted later may be settled after its answer.
    const askedMs = Date.now();
    const outcomes = await selectOutcomes(pool, collections, batch);
    countSettled(findings, outcomes);
    for (const write of batch) {
      if (outcomes.has(write.id)) continue;
      if (write.collection === undefined) bareIds.add(write.id);
      else countUnsettled(options, write, askedMs);
    }
  }
  if (bareIds.size > 0) await auditBareIds(options, bareIds);
}

/** The writes, each once, in batches of {@link BATCH_WRITES}. Throws beyond {@link MAX_WRITES}. */
async function* takeBatches(
  source: AsyncIterable<AcceptedWrite[]>,
  findings: Findings,
): AsyncGenerator<AcceptedWrite[]> {
  const ids = new Set<string>();
  let batch: AcceptedWrite[] = [];
  for await (const page of source)
    for (const write of page) {
      if (ids.has(write.id)) {
        findings.repeated += 1;
        continue;
      }
      if (ids.size === MAX_WRITES)
        throw new Error(`One audit takes ${MAX_WRITES} writes at most: choose a shorter time.`);
      ids.add(write.id);
      findings.writes += 1;
      if (batch.push(write) < BATCH_WRITES) continue;
      yield batch;
      batch = [];
    }
  if (batch.length > 0) yield batch;
}

/** Bare ids without a receipt outside the rows: every row is read to find them. */
async function auditBareIds(options: AuditOptions, bareIds: Set<string>): Promise<void> {
  const { pool, collections, findings } = options;
  options.onScan(bareIds.size);
  const askedMs = Date.now();
  await scanVersions(pool, collections, bareIds, () => {
    findings.settled.applied += 1;
  });
  const left = [...bareIds].map((id) => ({ id }));
  for (let first = 0; first < left.length; first += BATCH_WRITES) {
    const batch = left.slice(first, first + BATCH_WRITES);
    // The receipt of a version that was replaced before its row was read has moved meanwhile.
    const outcomes = new Map<string, Outcome>();
    await addMoved(pool, batch, outcomes);
    countSettled(findings, outcomes);
    for (const write of batch) if (!outcomes.has(write.id)) countUnsettled(options, write, askedMs);
  }
}

function countSettled({ settled }: Findings, outcomes: ReadonlyMap<string, Outcome>): void {
  for (const outcome of outcomes.values()) settled[outcome] += 1;
}

function countUnsettled(
  { findings, graceMs, retentionMs }: AuditOptions,
  write: AcceptedWrite,
  askedMs: number,
): void {
  const ageMs = askedMs - getWriteTime(write.id);
  if (ageMs < graceMs) findings.inFlight += 1;
  else if (ageMs > retentionMs) findings.beyondRetention += 1;
  else {
    findings.missing += 1;
    if (findings.missing <= MAX_NAMED) findings.named.push(write);
  }
}
