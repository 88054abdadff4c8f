import type { Collection } from "../common/collection.ts";
import type { Connection } from "../common/database.ts";
import { RaceError } from "../common/database-faults.ts";
import { type DeadLetter, insertDeadLetters, selectDeadIds } from "../common/dead-letters.ts";
import { mustFindItem } from "../common/owner.ts";
import { isAnySettled } from "../common/receipts.ts";
import { selectStatesForUpdate } from "../common/row-states.ts";
import { isAnyRow, type RowState } from "../common/tables.ts";
import { deleteWaiting, insertWaiting, selectSettledAndWaiting } from "../common/waiting-writes.ts";
import { isConditional, isVersionNamed, listWriteIds, type Write } from "../common/write.ts";
import { isWriteId } from "../common/write-id.ts";
import { type Applied, applyWrites } from "./apply.ts";
import { type Decision, dead, isDead, SETTLED_BEFORE } from "./decide.ts";
import { hasExpiry } from "./expiry.ts";
import type { Entry, Message } from "./message.ts";

/**
 * Settles a batch inside the transaction of `connection`: locks the rows, decides, and writes rows,
 * receipts and dead letters. Returns a decision for each entry, which holds once the caller commits.
 * Throws {@link RaceError}, or ER_DUP_ENTRY, if another subscriber settled one of the writes
 * meanwhile: the caller rolls back and runs it again.
 */
export async function settleInTransaction(
  connection: Connection,
  entries: readonly Entry[],
  nowMs: number,
): Promise<Decision[]> {
  const decisions = new Map<Entry, Decision>();
  for (const entry of entries) if (!hasWrite(entry)) decisions.set(entry, decideUnreadable(entry));
  const deadIds = await selectDeadAmong(connection, entries, { lock: false });
  // Collections and ids in one order everywhere, so that two batches never deadlock by order.
  const byName = Map.groupBy(entries.filter(hasWrite), ({ write }) => write.collection.name);
  const unlocked: Unlocked[] = [];
  const batches: Locked[] = [];
  for (const name of [...byName.keys()].sort())
    batches.push(await lockRows(connection, byName.get(name) as WriteEntry[], deadIds));
  // A feed's counter is locked by what is applied, so all rows are locked before.
  for (const batch of batches) {
    const settled = await settleCollection(connection, batch, nowMs);
    for (const [entry, decision] of settled.decisions) decisions.set(entry, decision);
    unlocked.push(settled.unlocked);
  }
  const letters = entries.flatMap((entry) => toDeadLetter(entry, decisions.get(entry)) ?? []);
  await insertDeadLetters(connection, letters, nowMs);
  for (const { writeId } of letters) if (writeId) deadIds.add(writeId);
  await recheckUnderLock(connection, entries, { deadIds, unlocked });
  return entries.map((entry) => decisions.get(entry) as Decision);
}

/**
 * Items and writes without a row: nothing is locked, so another subscriber may settle them at the same
 * time.
 */
type Unlocked = { collection: Collection; items: string[]; writes: string[] };

type WriteEntry = Entry & { write: Write };

function hasWrite(entry: Entry): entry is WriteEntry {
  return entry.write !== undefined;
}

function decideUnreadable({ fault, unknownSchema = "" }: Entry): Decision {
  return fault === undefined ? { kind: "unknown-schema", reason: unknownSchema } : dead(fault);
}

/** The entries of one collection, the rows of their items, locked, and ids of settled writes. */
type Locked = {
  collection: Collection;
  entries: readonly WriteEntry[];
  rows: Map<string, RowState>;
  settled: Set<string>;
  /** How long those writes have waited that an earlier transaction found to. */
  waitedMs: ReadonlyMap<string, number>;
};

async function lockRows(
  connection: Connection,
  entries: readonly WriteEntry[],
  deadIds: ReadonlySet<string>,
): Promise<Locked> {
  const { collection } = (entries[0] as WriteEntry).write;
  const itemIds = [...new Set(entries.map(({ write }) => write.itemId))].sort();
  const locked = await selectStatesForUpdate(connection, collection, itemIds);
  const rows = new Map(locked.map((row) => [row.id, row] as const));
  const settled = new Set(deadIds);
  const ids = entries.flatMap((entry) => listLookUps(entry, rows));
  const waitIds = entries.flatMap(({ write }) => (mayWait(write) ? write.id : []));
  const found = await selectSettledAndWaiting(connection, { ids, waitIds });
  for (const id of found.settled) settled.add(id);
  return { collection, entries, rows, settled, waitedMs: found.waitedMs };
}

/** Decides the entries of one collection; those with a fault are dead unless they are settled. */
async function settleCollection(
  connection: Connection,
  { collection, entries, rows, settled, waitedMs }: Locked,
  nowMs: number,
): Promise<{ decisions: Map<WriteEntry, Decision>; unlocked: Unlocked }> {
  const decisions = new Map<WriteEntry, Decision>();
  for (const entry of entries) {
    if (entry.fault === undefined) continue;
    const { id, itemId } = entry.write;
    const isSettled = settled.has(id) || rows.get(itemId)?.version === id;
    decisions.set(entry, isSettled ? SETTLED_BEFORE : dead(entry.fault));
  }
  const writes = entries.filter((entry) => !decisions.has(entry)).map(({ write }) => write);
  const batch = { writes, rows, settled, waitedMs, nowMs };
  const applied = await applyWrites(connection, collection, batch);
  for (const entry of entries) {
    const decision = applied.decisions.get(entry.write);
    if (decision) decisions.set(entry, decision);
  }
  await updateWaiting(connection, decisions, waitedMs);
  const withoutRow = [...decisions].filter(
    ([{ write }, { kind }]) => kind === "settled" && !rows.has(write.itemId),
  );
  return { decisions, unlocked: findUnlocked(collection, withoutRow, applied) };
}

/** Notes the writes that begin to wait, and forgets those that waited and are settled. */
async function updateWaiting(
  connection: Connection,
  decisions: ReadonlyMap<WriteEntry, Decision>,
  waitedMs: ReadonlyMap<string, number>,
): Promise<void> {
  const [begun, over] = [new Set<string>(), new Set<string>()];
  for (const [{ write }, { kind }] of decisions)
    if ((kind === "not-yet") !== waitedMs.has(write.id))
      (kind === "not-yet" ? begun : over).add(write.id);
  await insertWaiting(connection, [...begun].sort());
  await deleteWaiting(connection, [...over].sort());
}

/**
 * Two subscribers that hold the same write and find no row share no lock. A plain write makes the
 * row, and its key keeps them apart. A refused one makes none, and a conditional or a dead one may
 * have been decided differently by the other subscriber.
 */
function findUnlocked(
  collection: Collection,
  decided: readonly (readonly [WriteEntry, Decision])[],
  { inserted, recorded }: Applied,
): Unlocked {
  const items = new Set(decided.map(([{ write }]) => write.itemId));
  return {
    collection,
    items: [...items].filter((id) => !inserted.has(id)).sort(),
    writes: decided
      .filter(([{ write }, decision]) => isDead(decision) || mayLeaveNoRow(write))
      .map(([{ write }]) => write.id)
      .filter((id) => !recorded.has(id))
      .sort(),
  };
}

/**
 * READ COMMITTED cannot lock a missing row, so another subscriber may have decided the same write.
 * After its own inserts each subscriber looks again, under lock: the second one sees what the first
 * wrote, or waits for its commit.
 */
async function recheckUnderLock(
  connection: Connection,
  entries: readonly Entry[],
  { deadIds, unlocked }: { deadIds: ReadonlySet<string>; unlocked: readonly Unlocked[] },
): Promise<void> {
  for (const { collection, items, writes } of unlocked) {
    if (await isAnyRow(connection, collection, items)) throw new RaceError();
    if (await isAnySettled(connection, writes)) throw new RaceError();
  }
  const nowDead = await selectDeadAmong(connection, entries, { lock: true });
  const isDeadElsewhere = ({ id }: Write) => nowDead.has(id) && !deadIds.has(id);
  if (entries.some(({ write }) => write && isDeadElsewhere(write))) throw new RaceError();
}

/**
 * Ids that may be in `writes`. A plain create, put or delete of an item without a row cannot be
 * there: it would have made the row. So the common case, a create, looks nothing up.
 */
function listLookUps({ write, fault }: WriteEntry, rows: ReadonlyMap<string, RowState>): string[] {
  const row = rows.get(write.itemId);
  // It is settled; another subscriber may have noted meanwhile that it waits.
  if (row?.version === write.id) return mayWait(write) ? [write.id] : [];
  if (!row && !mayLeaveNoRow(write) && fault === undefined) return [];
  return listWriteIds(write);
}

/**
 * Whether a write without a fault may be refused where there is no row. One that expires is refused
 * where its message was published too late, and another message of the same write was not.
 */
function mayLeaveNoRow(write: Write): boolean {
  return isConditional(write) || mustFindItem(write) || hasExpiry(write);
}

function mayWait(write: Write): boolean {
  return isVersionNamed(write) || mustFindItem(write);
}

/** Ids of dead writes among these, and among the versions that they name. */
async function selectDeadAmong(
  connection: Connection,
  entries: readonly Entry[],
  options: { lock: boolean },
): Promise<Set<string>> {
  const ids = new Set(entries.flatMap(({ write }) => (write ? listWriteIds(write) : [])));
  return selectDeadIds(connection, [...ids].sort(), options);
}

/** The dead letter of an entry whose decision is dead. */
function toDeadLetter(
  { message, write }: Entry,
  decision: Decision | undefined,
): DeadLetter | undefined {
  if (!isDead(decision)) return undefined;
  const writeId = write?.id ?? message.attributes["ce-id"];
  return {
    messageId: message.messageId,
    writeId: writeId !== undefined && isWriteId(writeId) ? writeId : null,
    attributes: message.attributes,
    data: message.data,
    reason: decision.reason as string,
    publishedAt: getFirstPublished(message),
  };
}

/** What Pub/Sub gave up was published again, to the dead-letter topic, with its first time. */
function getFirstPublished({ attributes, publishedAt }: Message): number | undefined {
  const first = Date.parse(attributes.CloudPubSubDeadLetterSourceTopicPublishTime ?? "");
  return publishedAt !== undefined && first > 0 && first < publishedAt ? first : publishedAt;
}
