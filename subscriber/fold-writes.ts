import { CONDITION_WAIT_MS } from "../common/limits.ts";
import { type Outcome, type Receipt, toReceipt } from "../common/receipts.ts";
import type { Row, RowState } from "../common/tables.ts";
import { getTraceId } from "../common/telemetry/tracing.ts";
import type { Write } from "../common/write.ts";
import { conflict, type Decision, decide, SETTLED_BEFORE } from "./decide.ts";
import { describeExpiry, isFree, seeRow } from "./expiry.ts";

/** Writes of one collection, and what the tables hold of them. */
export type Batch = {
  writes: readonly Write[];
  /** The rows of the writes' items, by item id. */
  rows: ReadonlyMap<string, RowState>;
  /** Ids known to have a receipt outside the rows. */
  settled: ReadonlySet<string>;
  /** How long writes have been waiting for another one, by their ids; none where they have not. */
  waitedMs: ReadonlyMap<string, number>;
  nowMs: number;
};

/** What a batch changes in its collection. */
export type Fold = {
  /** One per write, in the order given. */
  decisions: Decision[];
  inserts: Row[];
  updates: Row[];
  /** Rows whose item stays: an overtaken create has left its fingerprint. */
  marks: RowState[];
  receipts: Receipt[];
  /** Where there is a feed: ids of the writes that are applied, in their order. */
  applied: string[];
  /** The same: by item id, the write that began the life of a row that is new, or was a tombstone. */
  beginnings: Map<string, string>;
};

/**
 * Folds writes, in the order of their ids, through {@link decide} over the rows of their items.
 * A write that is settled already changes nothing, and a settled version is not in flight. Pure.
 */
export function foldWrites(batch: Batch): Fold {
  const { writes, waitedMs, nowMs } = batch;
  const rows = new Map(batch.rows);
  const applied = new Map<string, Row>();
  const marked = new Map<string, RowState>();
  const settled = new Set(batch.settled);
  const decisions = new Map<Write, Decision>();
  const receipts: Receipt[] = [];
  const appliedIds: string[] = [];
  const beginnings = new Map<string, string>();
  for (const write of [...writes].sort(compareIds)) {
    const row = rows.get(write.itemId);
    const decision = settled.has(write.id)
      ? SETTLED_BEFORE
      : resolveNotYet(decide(write, row), settled, waitedMs.get(write.id));
    decisions.set(write, decision);
    if (decision.kind !== "settled") continue;
    if (decision.outcome === "applied") {
      if (row) {
        receipts.push(toReceipt(write.collection, row));
        settled.add(row.version);
      }
      const next = buildAppliedRow(write, row, nowMs);
      if (write.collection.feed) {
        appliedIds.push(write.id);
        if (!row || next.created) beginnings.set(write.itemId, write.id);
      }
      rows.set(write.itemId, next);
      applied.set(write.itemId, next);
      continue;
    }
    receipts.push(toRefusedReceipt(write, decision, nowMs));
    settled.add(write.id);
    const next = row && markRefused(write, decision.outcome, row);
    if (!next || next === row) continue;
    rows.set(write.itemId, next);
    const own = applied.get(write.itemId);
    if (own) applied.set(write.itemId, { ...own, ...next });
    else marked.set(write.itemId, next);
  }
  const changed = sortById(applied);
  return {
    decisions: writes.map((write) => decisions.get(write) as Decision),
    inserts: changed.filter(({ id }) => !batch.rows.has(id)),
    updates: changed.filter(({ id }) => batch.rows.has(id)),
    marks: sortById(marked).filter(({ id }) => !applied.has(id)),
    receipts,
    applied: appliedIds,
    beginnings,
  };
}

/** Numbers the applied writes of a fold, in a collection with a feed: from the position after `last` on. */
export function numberFold(fold: Fold, last: number): void {
  const positions = new Map(fold.applied.map((id, index) => [id, last + 1 + index] as const));
  for (const row of [...fold.inserts, ...fold.updates]) {
    row.position = positions.get(row.version);
    const beginning = fold.beginnings.get(row.id);
    if (beginning !== undefined) row.createdPosition = positions.get(beginning);
  }
  for (const receipt of fold.receipts) {
    const position = positions.get(receipt.write);
    if (position !== undefined) receipt.position = position;
  }
}

/** Turns `not-yet` into a conflict where the version named is settled, or the wait is over. */
function resolveNotYet(
  decision: Decision,
  settled: ReadonlySet<string>,
  waitedMs: number | undefined,
): Decision {
  if (decision.kind !== "not-yet") return decision;
  const { version, reason } = decision;
  const isSettled = version !== undefined && settled.has(version);
  const isOver = waitedMs !== undefined && waitedMs >= CONDITION_WAIT_MS;
  return isSettled || isOver ? conflict(reason) : decision;
}

/**
 * The row after an applied write. A tombstone keeps no content. The time of creation is that of the
 * write that began the item's life, and stays.
 */
function buildAppliedRow(write: Write, stored: RowState | undefined, nowMs: number): Row {
  const row = stored && seeRow(stored, write);
  const isNewLife = row === undefined || row.deletedAt !== null;
  const hasItem = write.kind === "create" || write.kind === "put";
  const created = hasItem && isNewLife;
  const next: Row = {
    id: write.itemId,
    version: write.id,
    item: write.item ?? null,
    ...buildOwner(write, stored),
    createdAt: created ? write.acceptedAt : (row?.createdAt ?? write.acceptedAt),
    updatedAt: write.acceptedAt,
    appliedAt: nowMs,
    deletedAt: hasItem ? null : write.acceptedAt,
    fingerprint: row?.fingerprint ?? write.fingerprint ?? null,
    trace: getTraceId(write.traceparent) ?? null,
    created,
    ...describeExpiry(write, stored),
  };
  if (stored?.createdPosition !== undefined) next.createdPosition = stored.createdPosition;
  return next;
}

/** Whoever writes it, an item that is there keeps its owner; so does a tombstone, until it is free. */
function buildOwner(write: Write, row: RowState | undefined) {
  const { collection, item } = write;
  const { owner: field } = collection;
  if (field === undefined) return {};
  const kept = row && item && isFree(row, write) ? undefined : row?.owner;
  const owner = kept ?? (item?.[field] as string | undefined) ?? null;
  return { owner, ...(item && { item: { ...item, [field]: owner } }) };
}

/**
 * A refused create leaves its fingerprint where there is none, and nothing else changes: a superseded
 * one, so that its retries find it in whichever order the writes arrive, and a duplicate, since the
 * first body that is settled is the key's. A conflict leaves nothing: the item may be another's.
 */
function markRefused(write: Write, outcome: Outcome, row: RowState): RowState {
  if (outcome === "conflict") return row;
  const fingerprint = row.fingerprint ?? write.fingerprint ?? null;
  return fingerprint === row.fingerprint ? row : { ...row, fingerprint };
}

function toRefusedReceipt(
  write: Write,
  { outcome, code, reason }: Extract<Decision, { kind: "settled" }>,
  nowMs: number,
): Receipt {
  return {
    write: write.id,
    collection: write.collection.name,
    itemId: write.itemId,
    outcome,
    code: code ?? null,
    reason,
    created: false,
    acceptedAt: write.acceptedAt,
    settledAt: nowMs,
    trace: getTraceId(write.traceparent) ?? null,
    subject: write.subject ?? null,
  };
}

function sortById<State extends RowState>(rows: ReadonlyMap<string, State>): State[] {
  return [...rows.values()].sort((a, b) => (a.id < b.id ? -1 : 1));
}

function compareIds(a: Write, b: Write): number {
  return a.id < b.id ? -1 : a.id > b.id ? 1 : 0;
}
