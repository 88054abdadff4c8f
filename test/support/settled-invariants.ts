import assert from "node:assert/strict";
import { mustFindItem } from "../../common/owner.ts";
import type { Receipt } from "../../common/receipts.ts";
import type { Row } from "../../common/tables.ts";
import type { Write } from "../../common/write.ts";
import { NaiveModel, withoutCreation } from "./naive-model.ts";

/** The rows, receipts and dead letters of some items and their writes. */
export type Stored = { rows: Row[]; receipts: Receipt[]; dead: Receipt[] };

export type CheckOptions = {
  /** No write has a condition, so that the rows must be those of the naive model too. */
  isUnconditional: boolean;
  /** Whether MySQL refuses the write's item. */
  mayDie?: (write: Write) => boolean;
};

/** The constraints of the tables in test/migrations. */
const isPoison = ({ item }: Write) => item?.price === 0 || item?.name === "Nobody";

/**
 * Asserts what must hold once every write is settled, in whichever order the transactions
 * committed. Returns the outcome of each write.
 */
export function checkSettled(
  writes: readonly Write[],
  stored: Stored,
  { isUnconditional, mayDie = isPoison }: CheckOptions,
): Map<string, string> {
  const outcomes = collectOutcomes(writes, stored);
  const byItem = Map.groupBy(writes, ({ itemId }) => itemId);
  for (const [itemId, own] of byItem) {
    const row = stored.rows.find(({ id }) => id === itemId);
    const applied = own.filter(({ id }) => outcomes.get(id) === "applied");
    const conflicts = stored.receipts.filter(({ code }) => code === "not-owner");
    const others = new Set(conflicts.map(({ write }) => write));
    checkRow(row, own, outcomes);
    checkOwner(row, own, { outcomes, others });
    applied.forEach((write, index) => {
      checkApplied(write, applied[index - 1]);
    });
    for (const write of own) {
      const outcome = outcomes.get(write.id) as string;
      const before = applied.findLast(({ id }) => id < write.id);
      const isNew = outcome === "applied" && write.kind !== "delete" && isAbsent(before);
      assert.equal(getCreated(write, stored), isNew, `${write.id} tells wrongly if it created`);
      if (!others.has(write.id)) checkRefused(write, applied, row, outcome);
      // No delivery is exhausted here, so that only what MySQL refuses may be dead.
      if (outcome === "dead") assert.ok(mayDie(write), `${write.id} is dead without a fault`);
    }
  }
  if (isUnconditional) {
    const model = new NaiveModel();
    for (const write of writes)
      if (outcomes.get(write.id) !== "dead") model.settle(write, write.acceptedAt);
    const rows = new Map(stored.rows.map((row) => [row.id, toModelRow(row)]));
    assert.deepEqual(withoutCreation(rows), withoutCreation(model.rows()));
  }
  return outcomes;
}

/**
 * Asserts the positions of a collection with a feed: every applied write has one of its own, those of an
 * item are in the order of its versions, and a row's creation has that of the write that began its life.
 */
export function checkNumbered({ rows, receipts }: Stored): void {
  const current = rows.map((row) => ({ ...row, write: row.version, itemId: row.id }));
  const applied = [...current, ...receipts.filter(({ outcome }) => outcome === "applied")].sort(
    (one, other) => (one.position ?? 0) - (other.position ?? 0),
  );
  for (const { write, position = 0 } of applied)
    assert.ok(position > 0, `${write} has no position`);
  assert.equal(new Set(applied.map(({ position }) => position)).size, applied.length);
  for (const [itemId, own] of Map.groupBy(applied, ({ itemId }) => itemId)) {
    const writes = own.map(({ write }) => write);
    assert.deepEqual(writes, writes.toSorted(), `${itemId}'s positions are not in order`);
    const beginning = own.findLast(({ created }) => created) ?? own[0];
    const row = rows.find(({ id }) => id === itemId);
    assert.equal(row?.createdPosition, beginning?.position, `${itemId}'s life began elsewhere`);
  }
  for (const { write, outcome, position } of receipts)
    assert.ok(outcome === "applied" || position === undefined, `${write} has a position`);
}

/** Each write has exactly one receipt: its row, or one in `writes`, or one in `dead_letters`. */
export function collectOutcomes(writes: readonly Write[], { rows, receipts, dead }: Stored) {
  const outcomes = new Map<string, string>();
  for (const { id } of writes) {
    const current = rows.filter(({ version }) => version === id).map(() => "applied");
    const others = [...receipts, ...dead].filter(({ write }) => write === id);
    const all = [...current, ...others.map(({ outcome }) => outcome)];
    assert.equal(all.length, 1, `${id} has ${all.length} receipts: ${all.join(", ")}`);
    outcomes.set(id, all[0] as string);
  }
  return outcomes;
}

/** Whether a write created its item, as its receipt tells. */
function getCreated({ id }: Write, { rows, receipts, dead }: Stored): boolean | null | undefined {
  const row = rows.find(({ version }) => version === id);
  return (row ?? [...receipts, ...dead].find(({ write }) => write === id))?.created;
}

/** Whether there is no item where this write was the last to be applied. */
function isAbsent(last: Write | undefined): boolean {
  return last === undefined || last.kind === "delete";
}

/** The row is what its applied writes and the fingerprints of the others make it. */
function checkRow(
  row: Row | undefined,
  own: readonly Write[],
  outcomes: ReadonlyMap<string, string>,
): void {
  const having = (...of: string[]) => own.filter(({ id }) => of.includes(outcomes.get(id) ?? ""));
  const applied = having("applied");
  const newest = applied.at(-1);
  if (!newest) {
    assert.equal(row, undefined);
    return;
  }
  const creation = applied.findLast(
    ({ kind }, place) => kind !== "delete" && isAbsent(applied[place - 1]),
  );
  const keyed = having("applied", "superseded", "duplicate");
  const fingerprints = keyed.flatMap(({ fingerprint }) => fingerprint ?? []);
  assert.ok(new Set(fingerprints).size <= 1, `${newest.itemId} was created from two bodies`);
  assert.ok(row, `${newest.itemId} has no row`);
  assert.deepEqual(toModelRow(row), {
    id: newest.itemId,
    version: newest.id,
    item: buildItem(newest, row.owner),
    createdAt: (creation ?? applied[0])?.acceptedAt,
    deletedAt: newest.kind === "delete" ? newest.acceptedAt : null,
    fingerprint: fingerprints[0] ?? null,
  });
}

/** Whoever has written it, an item keeps its owner. */
function buildItem({ item, collection: { owner } }: Write, whose: string | null | undefined) {
  if (!item) return null;
  return owner === undefined ? item : { ...item, [owner]: whose };
}

/**
 * The first write that was settled has decided whose the item is: whatever has changed it is the
 * owner's, or any-owner, and all that was refused for another's item is not.
 */
function checkOwner(
  row: Row | undefined,
  own: readonly Write[],
  { outcomes, others }: { outcomes: ReadonlyMap<string, string>; others: ReadonlySet<string> },
): void {
  for (const write of own) {
    const { id, kind, subject, anyOwner, collection } = write;
    const isRefused = others.has(id);
    if (collection.owner === undefined) {
      assert.ok(!isRefused, `${id} is another's, though items have no owners`);
      continue;
    }
    const isAllowed = anyOwner || (row !== undefined && subject === row.owner);
    const outcome = outcomes.get(id) as string;
    if (isRefused) assert.ok(row && !isAllowed, `${id} was refused to the owner`);
    else if (["applied", "superseded", "duplicate"].includes(outcome))
      assert.ok(isAllowed, `${id} is ${outcome}, though the item is another's`);
    // Before there was a row, a condition may have failed, and a delete have waited in vain.
    else if (outcome === "conflict" && !isAllowed)
      assert.ok(
        kind === "delete" || write.ifMatch !== undefined,
        `${id} is a conflict of another kind, though the item is another's`,
      );
  }
}

/** `before` is the version that the write replaced: each applied version is newer than the last. */
function checkApplied(write: Write, before: Write | undefined): void {
  const exists = !isAbsent(before);
  if (write.kind === "create") assert.equal(before, undefined, `${write.id} created twice`);
  if (write.ifNoneMatch) assert.ok(!exists, `${write.id} replaced what must not exist`);
  if (write.ifMatch) assert.ok(exists, `${write.id} replaced what does not exist`);
  if (write.ifMatch && write.ifMatch !== "*") assert.equal(before?.id, write.ifMatch);
}

function checkRefused(
  write: Write,
  applied: readonly Write[],
  row: Row | undefined,
  outcome: string,
): void {
  if (outcome === "superseded")
    assert.ok(
      applied.some(({ id }) => id > write.id),
      `nothing superseded ${write.id}`,
    );
  if (outcome === "duplicate") assert.equal(row?.fingerprint, write.fingerprint);
  if (outcome === "conflict")
    assert.ok(
      write.kind === "create" || write.ifMatch || write.ifNoneMatch || mustFindItem(write),
      `${write.id} has no condition`,
    );
}

function toModelRow({ id, version, item, createdAt, deletedAt, fingerprint }: Row) {
  return { id, version, item, createdAt, deletedAt, fingerprint };
}
