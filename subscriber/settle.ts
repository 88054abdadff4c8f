import { setTimeout as sleep } from "node:timers/promises";
import type { Collection } from "../common/collection.ts";
import {
  type Connection,
  classifyDatabaseError,
  inTransaction,
  messageOf,
  type Pool,
} from "../common/database.ts";
import type { Logger } from "../common/logger.ts";
import {
  type DeadLetter,
  insertDeadLetters,
  insertReceipts,
  type Outcome,
  selectDeadBetween,
  selectSettled,
} from "../common/receipts.ts";
import { insertRows, selectRowsForUpdate, updateRows } from "../common/tables.ts";
import {
  type MessageContent,
  parseWrite,
  traceIdOf,
  type Write,
  WriteFault,
} from "../common/write.ts";
import { isWriteId } from "../common/write-id.ts";
import { type Decision, foldWrites } from "./decide.ts";

/** A message to settle. `giveUp`: Pub/Sub delivered it in vain; it is dead unless settled. */
export type Message = MessageContent & { messageId: string; giveUp?: string };

/** What became of a message; `settled` for one that had its outcome before. All but `notYet` ack. */
export type Settlement = { outcome: Outcome | "settled" } | "notYet";

/** A message on its way through a batch: the write in it, or what is wrong with it. */
type Entry = { message: Message; write: Write | undefined; fault: string | undefined };

/** One row that exists where there was none a moment ago is a race; several in a row are not. */
const MAX_RACES = 10;
const BACKOFF_MS = { first: 50, max: 5_000 };

/**
 * Makes `settle(messages)`: one transaction for the whole batch, an answer for each message.
 *
 * While MySQL is away, locked or read-only, the batch is held and tried again, with jitter, for
 * `holdMs`: a message that is only waiting must not use up Pub/Sub's delivery attempts. After
 * that, or when `stop` aborts, its messages are answered with the error, to be nacked. A batch
 * that holds a value which MySQL refuses is halved until the offender stands alone; that one is
 * dead with its reason, and everybody else is settled.
 */
export function createSettle(options: {
  pool: Pool;
  collections: readonly Collection[];
  logger: Logger;
  holdMs: number;
  stop: AbortSignal;
  onSettled?: (writes: SettledWrite[]) => void;
}): (messages: Message[]) => Promise<(Settlement | Error)[]> {
  const { pool, collections, logger, holdMs, stop, onSettled } = options;

  return (messages) => settleEntries(messages.map((message) => readMessage(message, collections)));

  async function settleEntries(entries: Entry[]): Promise<(Settlement | Error)[]> {
    try {
      return await settleOnce(entries);
    } catch (error) {
      const fault = classifyDatabaseError(error);
      if (fault === "transient" || fault === "race") return entries.map(() => error as Error);
      if (entries.length > 1) {
        const half = Math.ceil(entries.length / 2);
        const settled = await settleEntries(entries.slice(0, half));
        return [...settled, ...(await settleEntries(entries.slice(half)))];
      }
      const entry = entries[0] as Entry;
      if (fault === "data" && !entry.fault)
        return settleEntries([{ ...entry, fault: messageOf(error) }]);
      logger.error("a message could not be settled", {
        messageId: entry.message.messageId,
        write: entry.write?.id,
        error: error instanceof Error ? error.name : typeof error,
        code: (error as { code?: string }).code,
      });
      return [error as Error];
    }
  }

  /** Tries the transaction until it commits, or fails for a reason that time does not mend. */
  async function settleOnce(entries: Entry[]): Promise<Settlement[]> {
    const startedAt = Date.now();
    for (let attempt = 0, races = 0; ; attempt += 1) {
      try {
        const decisions = await inTransaction(pool, (connection) =>
          settleInTransaction(connection, entries, Date.now()),
        );
        report(entries, decisions, startedAt);
        return decisions.map(toSettlement);
      } catch (error) {
        const fault = classifyDatabaseError(error);
        if (fault === "race" && races < MAX_RACES) {
          races += 1;
          continue;
        }
        if (fault !== "transient") throw error;
        logger.warn("settling waits for MySQL", {
          code: (error as { code?: string }).code,
          batch: entries.length,
          attempt,
        });
        const pauseMs = Math.min(BACKOFF_MS.max, BACKOFF_MS.first * 2 ** attempt);
        if (stop.aborted || Date.now() + pauseMs - startedAt > holdMs) throw error;
        await sleep(pauseMs * (0.5 + Math.random()), undefined, { signal: stop }).catch(() => {});
      }
    }
  }

  /** Stamps the lag after the commit, and tells the log and the metrics. */
  function report(entries: readonly Entry[], decisions: readonly FinalDecision[], since: number) {
    const nowMs = Date.now();
    const writes = entries.flatMap(({ write }, index): SettledWrite[] => {
      const decision = decisions[index] as FinalDecision;
      if (!write || decision === "settled" || "notYet" in decision) return [];
      return [
        {
          id: write.id,
          collection: write.collection.name,
          item: write.itemId,
          outcome: decision.outcome,
          lagMs: nowMs - write.acceptedAt,
          trace: traceIdOf(write.traceparent),
        },
      ];
    });
    if (writes.length > 0) {
      const trace = writes.length === 1 ? writes[0]?.trace : undefined;
      logger.info("writes settled", { writes, durationMs: nowMs - since, trace });
      onSettled?.(writes);
    }
    entries.forEach(({ message, write }, index) => {
      const decision = decisions[index] as FinalDecision;
      if (decision !== "settled" && "outcome" in decision && decision.outcome === "dead")
        logger.warn("message is dead", { messageId: message.messageId, write: write?.id });
    });
  }
}

/** What the log and the metrics are told of a settled write. */
export type SettledWrite = {
  id: string;
  collection: string;
  item: string;
  outcome: Outcome;
  /** Commit time minus acceptance time. */
  lagMs: number;
  trace: string | undefined;
};

type FinalDecision = Decision | { outcome: "dead"; reason: string | null };

function readMessage(message: Message, collections: readonly Collection[]): Entry {
  try {
    return { message, write: parseWrite(message, collections), fault: message.giveUp };
  } catch (error) {
    if (!(error instanceof WriteFault)) throw error;
    return { message, write: undefined, fault: error.message };
  }
}

/** Section 7 of the design, steps 1 to 3, for every collection in the batch. */
async function settleInTransaction(
  connection: Connection,
  entries: readonly Entry[],
  nowMs: number,
): Promise<FinalDecision[]> {
  const writes = entries.flatMap(({ write }) => write ?? []);
  const decisions = new Map<Entry, FinalDecision>();
  const dead = await selectDeadAmong(connection, writes);
  // Collections and ids in one order everywhere, so that two batches never deadlock by order.
  const byName = Map.groupBy(entries, ({ write }) => write?.collection.name);
  for (const name of [...byName.keys()].filter((key) => key !== undefined).sort())
    await settleCollection(connection, byName.get(name) as Entry[], dead, decisions, nowMs);
  const letters: DeadLetter[] = [];
  for (const entry of entries) {
    if (entry.fault === undefined || decisions.has(entry)) continue;
    decisions.set(entry, { outcome: "dead", reason: entry.fault });
    letters.push(toDeadLetter(entry, entry.fault));
  }
  await insertDeadLetters(connection, letters, nowMs);
  return entries.map((entry) => decisions.get(entry) as FinalDecision);
}

/** Decides the entries of one collection; those with a fault only where they are settled. */
async function settleCollection(
  connection: Connection,
  entries: readonly Entry[],
  dead: ReadonlySet<string>,
  decisions: Map<Entry, FinalDecision>,
  nowMs: number,
): Promise<void> {
  const all = entries.map(({ write }) => write as Write);
  const collection = (all[0] as Write).collection;
  const ids = [...new Set(all.map(({ itemId }) => itemId))].sort();
  const locked = await selectRowsForUpdate(connection, collection, ids);
  const rows = new Map(locked.map((row) => [row.id, row] as const));
  const settled = new Set(dead);
  const asked = entries.flatMap(({ write, fault }) => idsToLookUp(write as Write, fault, rows));
  for (const { write } of await selectSettled(connection, asked)) settled.add(write);

  const sound = entries.filter(({ fault }) => fault === undefined);
  const writes = sound.map(({ write }) => write as Write);
  const fold = foldWrites({ writes, rows, settled, nowMs });
  await insertRows(connection, collection, fold.inserts);
  await updateRows(connection, collection, fold.updates);
  await insertReceipts(connection, fold.receipts);
  sound.forEach((entry, index) => {
    decisions.set(entry, fold.decisions[index] as Decision);
  });
  for (const entry of entries) {
    const write = entry.write as Write;
    const isSettled = settled.has(write.id) || rows.get(write.itemId)?.version === write.id;
    if (entry.fault !== undefined && isSettled) decisions.set(entry, "settled");
  }
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
  const isConditional = write.ifMatch !== undefined || write.ifNoneMatch === true;
  if (row?.version === write.id) return [];
  if (!row && !isConditional && fault === undefined) return [];
  return write.ifMatch && write.ifMatch !== "*" ? [write.id, write.ifMatch] : [write.id];
}

async function selectDeadAmong(
  connection: Connection,
  writes: readonly Write[],
): Promise<Set<string>> {
  const ids = writes.flatMap(({ id, ifMatch }) =>
    ifMatch && ifMatch !== "*" ? [id, ifMatch] : [id],
  );
  if (ids.length === 0) return new Set();
  ids.sort();
  return selectDeadBetween(connection, ids[0] as string, ids.at(-1) as string);
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

function toSettlement(decision: FinalDecision): Settlement {
  if (decision === "settled") return { outcome: "settled" };
  return "notYet" in decision ? "notYet" : { outcome: decision.outcome };
}
