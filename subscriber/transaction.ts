import type { Collection } from "../common/collection.ts";
import { type Connection, RaceError } from "../common/database.ts";
import {
  type DeadLetter,
  insertDeadLetters,
  isAnySettled,
  type Outcome,
  selectDeadBetween,
  selectSettled,
} from "../common/receipts.ts";
import { isAnyRow, selectRowsForUpdate } from "../common/tables.ts";
import type { Span, SpanPlace } from "../common/telemetry/tracing.ts";
import { InvalidWriteError, type MessageContent, parseWrite, type Write } from "../common/write.ts";
import { isWriteId } from "../common/write-id.ts";
import { type Applied, applyWrites } from "./apply.ts";
import type { Decision } from "./decide.ts";

/** A message to settle. `deliveryExhausted`: Pub/Sub delivered it in vain; it is dead unless settled. */
export type Message = MessageContent & {
  messageId: string;
  deliveryExhausted?: string;
  /** When it came, as `nowMs` tells it. */
  receivedMs?: number;
  /** Where the message is traced: its own span, and that of the batch that settled it. */
  span?: Span;
  batchSpan?: SpanPlace;
};

/** A message on its way through a batch: the write in it, or what is wrong with it. */
export type Entry = { message: Message; write: Write | undefined; fault: string | undefined };

/** What became of an entry; `settled` for one whose write had its outcome before. */
export type FinalDecision = Decision | { outcome: Extract<Outcome, "dead">; reason: string };

/** Reads the write in a message; one that is no write, or of no known collection, has a fault. */
export function readMessage(message: Message, collections: readonly Collection[]): Entry {
  try {
    return { message, write: parseWrite(message, collections), fault: message.deliveryExhausted };
  } catch (error) {
    if (!(error instanceof InvalidWriteError)) throw error;
    return { message, write: undefined, fault: error.message };
  }
}

/**
 * Settles a batch inside the transaction of `connection`: section 7 of the design, steps 1 to 3,
 * for every collection in it. Returns a decision for each entry, true once the caller commits.
 * Throws {@link RaceError}, or ER_DUP_ENTRY, if another subscriber settled one of the writes meanwhile:
 * roll back and run it again.
 */
export async function settleInTransaction(
  connection: Connection,
  entries: readonly Entry[],
  nowMs: number,
): Promise<FinalDecision[]> {
  const decisions = new Map<Entry, FinalDecision>();
  const faults = new Map<Entry, string>();
  for (const entry of entries) if (entry.fault !== undefined) faults.set(entry, entry.fault);
  const dead = await selectDeadAmong(connection, entries, { lock: false });
  // Collections and ids in one order everywhere, so that two batches never deadlock by order.
  const byName = Map.groupBy(entries, ({ write }) => write?.collection.name);
  const names = [...byName.keys()].filter((name) => name !== undefined).sort();
  const unguarded: Unguarded[] = [];
  for (const name of names) {
    const batch = { entries: byName.get(name) as Entry[], faults, dead, decisions, nowMs };
    unguarded.push(await settleCollection(connection, batch));
  }
  const letters: DeadLetter[] = [];
  for (const [entry, reason] of faults) {
    if (decisions.has(entry)) continue;
    decisions.set(entry, { outcome: "dead", reason });
    letters.push(toDeadLetter(entry, reason));
  }
  await insertDeadLetters(connection, letters, nowMs);
  for (const { writeId } of letters) if (writeId) dead.add(writeId);
  await checkNobodyElse(connection, entries, { dead, unguarded });
  return entries.map((entry) => decisions.get(entry) as FinalDecision);
}

/** Decisions about a row that is not there: no lock and no key keeps another from deciding too. */
type Unguarded = { collection: Collection; items: string[]; writes: string[] };

/** Decides the entries of one collection; those with a fault only where they are settled. */
async function settleCollection(
  connection: Connection,
  batch: {
    entries: readonly Entry[];
    /** Those that MySQL refuses come to these. */
    faults: Map<Entry, string>;
    dead: ReadonlySet<string>;
    decisions: Map<Entry, FinalDecision>;
    nowMs: number;
  },
): Promise<Unguarded> {
  const { entries, faults, decisions, nowMs } = batch;
  const all = entries.map(({ write }) => write as Write);
  const collection = (all[0] as Write).collection;
  const ids = [...new Set(all.map(({ itemId }) => itemId))].sort();
  const locked = await selectRowsForUpdate(connection, collection, ids);
  const rows = new Map(locked.map((row) => [row.id, row] as const));
  const settled = new Set(batch.dead);
  const asked = entries.flatMap(({ write, fault }) => idsToLookUp(write as Write, fault, rows));
  for (const { write } of await selectSettled(connection, asked)) settled.add(write);

  const isSettled = ({ id, itemId }: Write) => settled.has(id) || rows.get(itemId)?.version === id;
  for (const entry of entries)
    if (faults.has(entry) && isSettled(entry.write as Write)) decisions.set(entry, "settled");
  const sound = entries.filter((entry) => !faults.has(entry));
  const writes = sound.map(({ write }) => write as Write);
  const applied = await applyWrites(connection, collection, { writes, rows, settled, nowMs });
  for (const entry of sound) {
    const decision = applied.decisions.get(entry.write as Write);
    if (decision) decisions.set(entry, decision);
    else faults.set(entry, applied.refused.get(entry.write as Write) as string);
  }
  // No row before, and an outcome now: here or, for one with a fault, with the dead letters.
  const isNew = (entry: Entry) => {
    const decision = decisions.get(entry);
    return (
      !rows.has((entry.write as Write).itemId) && decision !== "settled" && !isNotYet(decision)
    );
  };
  return findUnguarded(collection, entries.filter(isNew), faults, applied);
}

/**
 * Two subscribers that hold the same write and find no row share no lock. A plain write makes the
 * row, and its key tells them apart. One that is refused leaves none, and one that asks for
 * something, or is dead here, may have met another fate elsewhere.
 */
function findUnguarded(
  collection: Collection,
  entries: readonly Entry[],
  faults: ReadonlyMap<Entry, string>,
  { made, recorded }: Applied,
): Unguarded {
  const unsure = entries.filter(
    (entry) => faults.has(entry) || isConditional(entry.write as Write),
  );
  return {
    collection,
    items: [...new Set(entries.map(({ write }) => (write as Write).itemId))]
      .filter((id) => !made.has(id))
      .sort(),
    writes: unsure
      .map(({ write }) => (write as Write).id)
      .filter((id) => !recorded.has(id))
      .sort(),
  };
}

/**
 * After its own inserts each subscriber asks again, under lock: whichever comes second sees what
 * the first one did, or waits for its commit. Dead letters are a small table, and its range of
 * these ids is nearly always empty, so that this costs a batch next to nothing.
 */
async function checkNobodyElse(
  connection: Connection,
  entries: readonly Entry[],
  { dead, unguarded }: { dead: ReadonlySet<string>; unguarded: readonly Unguarded[] },
): Promise<void> {
  for (const { collection, items, writes } of unguarded) {
    if (await isAnyRow(connection, collection, items)) throw new RaceError();
    if (await isAnySettled(connection, writes)) throw new RaceError();
  }
  const nowDead = await selectDeadAmong(connection, entries, { lock: true });
  const isNews = ({ id }: Write) => nowDead.has(id) && !dead.has(id);
  if (entries.some(({ write }) => write && isNews(write))) throw new RaceError();
}

/**
 * Ids that may stand in `writes`. A plain create, put or delete of an item without a row cannot:
 * it would have made the row. So the common case, a create, asks for nothing.
 */
function idsToLookUp(
  write: Write,
  fault: string | undefined,
  rows: ReadonlyMap<string, { version: string }>,
): string[] {
  const row = rows.get(write.itemId);
  if (row?.version === write.id) return [];
  if (!row && !isConditional(write) && fault === undefined) return [];
  return getIds(write);
}

/** A write's own id, and that of the version it names. */
function getIds({ id, ifMatch }: Write): string[] {
  return ifMatch && ifMatch !== "*" ? [id, ifMatch] : [id];
}

function isNotYet(decision: FinalDecision | undefined): boolean {
  return decision !== undefined && decision !== "settled" && "notYet" in decision;
}

function isConditional({ ifMatch, ifNoneMatch }: Write): boolean {
  return ifMatch !== undefined || ifNoneMatch === true;
}

/** Ids of dead writes among these, and among the versions that they name. */
async function selectDeadAmong(
  connection: Connection,
  entries: readonly Entry[],
  options: { lock: boolean },
): Promise<Set<string>> {
  const ids = entries.flatMap(({ write }) => (write ? getIds(write) : []));
  if (ids.length === 0) return new Set();
  ids.sort();
  return selectDeadBetween(connection, ids[0] as string, ids.at(-1) as string, options);
}

function toDeadLetter({ message, write }: Entry, reason: string): DeadLetter {
  const writeId = write?.id ?? message.attributes["ce-id"];
  return {
    messageId: message.messageId,
    writeId: writeId !== undefined && isWriteId(writeId) ? writeId : null,
    attributes: message.attributes,
    data: message.data,
    reason,
  };
}
