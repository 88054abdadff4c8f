import { CLOCK_SKEW_MS, CONDITION_WAIT_MS } from "../common/limits.ts";
import { type Outcome, type Receipt, toReceipt } from "../common/receipts.ts";
import type { Row } from "../common/tables.ts";
import { getTraceId } from "../common/telemetry/tracing.ts";
import type { Write } from "../common/write.ts";

/** What becomes of a write: its outcome, or that it has one already, or that it must wait. */
export type Decision =
  | { outcome: Exclude<Outcome, "dead">; reason: string | null }
  | "settled"
  /** It names a version newer than the row: that write is perhaps still in flight. */
  | { notYet: string };

/**
 * The rule of section 7 of the design: what becomes of `write` where its item's row is `row`.
 * Pure: the same write on the same row always meets the same fate, in whichever order, batch or
 * repetition it was delivered. Versions are write ids, so "newer" is a comparison of strings.
 */
export function decide(write: Write, row: Row | undefined): Decision {
  if (row?.version === write.id) return "settled";
  if (write.kind === "create") return decideCreate(write, row);
  if (write.ifNoneMatch) return decideIfNoneMatch(write, row);
  if (write.ifMatch) return decideIfMatch(write, row, write.ifMatch);
  return row && row.version > write.id ? superseded(row) : APPLIED;
}

/** A batch's effect on one collection: what to insert, what to replace, what to record. */
export type Fold = {
  /** One per write, in the order given. */
  decisions: Decision[];
  inserts: Row[];
  updates: Row[];
  receipts: Receipt[];
};

/**
 * Folds writes, in write-id order, through {@link decide} over the rows that they meet.
 * `rows` are the items' rows by id; `settled` the ids known to have a receipt outside the rows:
 * these are done, and a version among them is not in flight. Pure.
 */
export function foldWrites(batch: {
  writes: readonly Write[];
  rows: ReadonlyMap<string, Row>;
  settled: ReadonlySet<string>;
  nowMs: number;
}): Fold {
  const { writes, nowMs } = batch;
  const rows = new Map(batch.rows);
  const settled = new Set(batch.settled);
  const decisions = new Map<Write, Decision>();
  const receipts: Receipt[] = [];
  const touched = new Set<string>();
  for (const write of [...writes].sort(byId)) {
    const row = rows.get(write.itemId);
    const decision = settled.has(write.id) ? "settled" : judge(write, row, settled, nowMs);
    decisions.set(write, decision);
    if (decision === "settled" || "notYet" in decision) continue;
    if (decision.outcome === "applied") {
      if (row) receipts.push(toReceipt(write.collection, row));
      if (row) settled.add(row.version);
      rows.set(write.itemId, applyWrite(write, row, nowMs));
      touched.add(write.itemId);
      continue;
    }
    receipts.push(toRefusedReceipt(write, decision, nowMs));
    settled.add(write.id);
    const marked = row && decision.outcome === "superseded" ? markOlder(write, row) : row;
    if (!marked || marked === row) continue;
    rows.set(write.itemId, marked);
    touched.add(write.itemId);
  }
  const changed = [...touched].sort().map((id) => rows.get(id) as Row);
  return {
    decisions: writes.map((write) => decisions.get(write) as Decision),
    inserts: changed.filter(({ id }) => !batch.rows.has(id)),
    updates: changed.filter(({ id }) => batch.rows.has(id)),
    receipts,
  };
}

/**
 * A write further ahead than this waits for nothing, or it would wait until its own time has come.
 * The version that it follows and the clock that minted it may each be ahead, and this clock behind.
 */
export const AHEAD_LIMIT_MS = 3 * CLOCK_SKEW_MS;

/** {@link decide}, with "not yet" resolved where the version named is settled or overdue. */
function judge(
  write: Write,
  row: Row | undefined,
  settled: ReadonlySet<string>,
  nowMs: number,
): Decision {
  const decision = decide(write, row);
  if (decision === "settled" || !("notYet" in decision)) return decision;
  const ageMs = nowMs - write.acceptedAt;
  const isOver = ageMs >= CONDITION_WAIT_MS || ageMs < -AHEAD_LIMIT_MS;
  const isHopeless = settled.has(decision.notYet) || isOver;
  return isHopeless ? conflict(`The version ${decision.notYet} is not the current one.`) : decision;
}

const APPLIED: Decision = { outcome: "applied", reason: null };

function decideCreate(write: Write, row: Row | undefined): Decision {
  if (!row) return APPLIED;
  if (write.fingerprint && row.fingerprint === write.fingerprint)
    return { outcome: "duplicate", reason: "The same create was applied before." };
  // Its own id was told to the client, whose next put or delete overtook it.
  if (!row.fingerprint && row.version > write.id) return superseded(row);
  return conflict("An item with this id was created from another body.");
}

function decideIfNoneMatch(write: Write, row: Row | undefined): Decision {
  if (row && row.deletedAt === null) return conflict("The item exists.");
  return row && row.version > write.id ? superseded(row) : APPLIED;
}

function decideIfMatch(write: Write, row: Row | undefined, version: string): Decision {
  if (version === "*") {
    if (!row || row.deletedAt !== null) return conflict("The item does not exist.");
    return row.version > write.id ? superseded(row) : APPLIED;
  }
  const isStale = `The version ${version} is not the current one.`;
  if (row && row.version > write.id) return conflict(isStale);
  if (row && row.deletedAt === null && row.version === version) return APPLIED;
  const isPerhapsInFlight = version < write.id && (!row || version > row.version);
  return isPerhapsInFlight ? { notYet: version } : conflict(isStale);
}

function superseded(row: Row): Decision {
  return { outcome: "superseded", reason: `A newer write was applied first: ${row.version}.` };
}

function conflict(reason: string): Decision {
  return { outcome: "conflict", reason };
}

/** The row after an applied write. A tombstone keeps no content. */
function applyWrite(write: Write, row: Row | undefined, nowMs: number): Row {
  return {
    id: write.itemId,
    version: write.id,
    item: write.item ?? null,
    createdAt: Math.min(row?.createdAt ?? write.acceptedAt, write.acceptedAt),
    updatedAt: write.acceptedAt,
    appliedAt: nowMs,
    deletedAt: write.kind === "delete" ? write.acceptedAt : null,
    fingerprint: row?.fingerprint ?? write.fingerprint ?? null,
    trace: getTraceId(write.traceparent) ?? null,
  };
}

/**
 * What an overtaken write still tells of its item: that it began earlier, and the fingerprint of
 * its create. With this, rows are the same in whichever order unconditional writes arrive.
 */
function markOlder(write: Write, row: Row): Row {
  const createdAt = Math.min(row.createdAt, write.acceptedAt);
  const fingerprint = row.fingerprint ?? write.fingerprint ?? null;
  if (createdAt === row.createdAt && fingerprint === row.fingerprint) return row;
  return { ...row, createdAt, fingerprint };
}

function toRefusedReceipt(
  write: Write,
  { outcome, reason }: { outcome: Outcome; reason: string | null },
  nowMs: number,
): Receipt {
  return {
    write: write.id,
    collection: write.collection.name,
    itemId: write.itemId,
    outcome,
    reason,
    acceptedAt: write.acceptedAt,
    settledAt: nowMs,
    trace: getTraceId(write.traceparent) ?? null,
  };
}

function byId(a: Write, b: Write): number {
  return a.id < b.id ? -1 : a.id > b.id ? 1 : 0;
}
