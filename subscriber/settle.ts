import { setTimeout as sleep } from "node:timers/promises";
import type { Collection } from "../common/collection.ts";
import { inTransaction, type Pool } from "../common/database.ts";
import {
  classifyDatabaseError,
  describeDataError,
  describeTableFault,
} from "../common/database-faults.ts";
import type { Outcome } from "../common/receipts.ts";
import { type Logger, splitIntoLines } from "../common/telemetry/logger.ts";
import { getTraceId } from "../common/telemetry/tracing.ts";
import { type Decision, isDead } from "./decide.ts";
import { type Entry, type Message, readMessage } from "./message.ts";
import { separate } from "./separate.ts";
import { endMessages, type SpanNames, startBatch, startMessages } from "./spans.ts";
import { assertTablesMatch } from "./table-check.ts";
import { settleInTransaction } from "./transaction.ts";

/** Another subscriber may win the race for a row a few times, but not every time. */
const MAX_RACES = 10;
const BACKOFF_MS = { first: 50, max: 5_000 };
/**
 * How long the writes of a collection are given back untried once its table was found at fault or
 * locked: each look at a locked table takes seconds, in which the batch's other messages wait.
 */
const COOLDOWN_MS = 15_000;

/**
 * Makes `settle(messages)`: one transaction for the whole batch, and a decision for each message.
 *
 * While MySQL is away or read-only, the batch is held and tried again, with jitter, for `holdMs`: a
 * message that is only waiting must not use up Pub/Sub's delivery attempts. After that, or when
 * `stop` aborts, its messages get the error, and are nacked. Where one table is at fault, or one row
 * is locked, only the messages that it concerns get the error; the others are settled without them.
 * A write whose item MySQL refuses is dead with its reason, in the transaction of its batch. A batch
 * that is refused in another way is halved until the offender is alone.
 */
export function createSettle(
  options: SettleOptions,
): (messages: Message[]) => Promise<(Decision | Error)[]> {
  const { collections, traced } = options;
  const coolingDown = new Map<Collection, number>();
  const settling = { ...options, coolingDown, checkedCollections: new Set<Collection>() };
  const settle = (entries: Entry[]) => {
    for (const [collection, untilMs] of coolingDown)
      if (performance.now() >= untilMs) coolingDown.delete(collection);
    if (coolingDown.size === 0) return settleEntries(entries, settling);
    const parts = [entries.filter(({ write }) => !write || !coolingDown.has(write.collection))];
    const errorForRest = new Error("The collection's table was found at fault, or locked.");
    return settleParts(entries, { parts, errorForRest }, settling);
  };
  return async (messages) => {
    const entries = messages.map((message) => readMessage(message, collections));
    if (!traced) return settle(entries);
    startMessages(messages, traced);
    const decisions = await settle(entries);
    endMessages(messages, decisions, traced);
    return decisions;
  };
}

export type SettleOptions = {
  pool: Pool;
  collections: readonly Collection[];
  logger: Logger;
  holdMs: number;
  /** For how long the writes of a collection at fault are given back untried: {@link COOLDOWN_MS}. */
  cooldownMs?: number;
  stop: AbortSignal;
  /** What names the spans; undefined if none are sent. */
  traced?: SpanNames | undefined;
  onSettled?: (writes: SettledWrite[]) => void;
};

type Settling = SettleOptions & {
  /** Until when, of `performance.now()`, the writes of a collection are given back untried. */
  coolingDown: Map<Collection, number>;
  /** Collections whose tables were found to match. */
  checkedCollections: Set<Collection>;
};

/** What the log and the metrics say of a settled write. */
export type SettledWrite = {
  id: string;
  collection: string;
  item: string;
  outcome: Outcome;
  /** Commit time minus acceptance time. */
  lagMs: number;
  trace: string | undefined;
};

async function settleEntries(entries: Entry[], options: Settling): Promise<(Decision | Error)[]> {
  try {
    return await settleOnce(entries, options);
  } catch (error) {
    const fault = classifyDatabaseError(error);
    if (fault === "transient" || fault === "race") return entries.map(() => error as Error);
    if (fault === "table" || fault === "locked") {
      const { parts, unusable } = await separate(entries, { fault, error }, options.pool);
      const untilMs = performance.now() + (options.cooldownMs ?? COOLDOWN_MS);
      for (const collection of unusable) options.coolingDown.set(collection, untilMs);
      return settleParts(entries, { parts, errorForRest: error as Error }, options);
    }
    if (entries.length > 1) {
      const half = Math.ceil(entries.length / 2);
      const parts = [entries.slice(0, half), entries.slice(half)];
      return settleParts(entries, { parts, errorForRest: error as Error }, options);
    }
    const entry = entries[0] as Entry;
    if ((fault === "data" || fault === "oversize") && !entry.fault)
      return settleEntries([{ ...entry, fault: describeDataError(error) }], options);
    options.logger.error("a message could not be settled", {
      messageId: entry.message.messageId,
      write: entry.write?.id,
      trace: getTraceId(entry.message.attributes.traceparent),
      error: error instanceof Error ? error.name : typeof error,
      code: (error as { code?: string }).code,
    });
    return [error as Error];
  }
}

/** Settles parts of a batch; the entries that are in none get the error. */
async function settleParts(
  entries: Entry[],
  { parts, errorForRest }: { parts: Entry[][]; errorForRest: Error },
  options: Settling,
): Promise<(Decision | Error)[]> {
  const decisions = new Map<Entry, Decision | Error>();
  for (const part of parts) {
    const own = part.length > 0 ? await settleEntries(part, options) : [];
    part.forEach((entry, index) => {
      decisions.set(entry, own[index] as Decision | Error);
    });
  }
  const left = entries.filter((entry) => !decisions.has(entry));
  if (left.length > 0)
    options.logger.warn("messages are given back", {
      count: left.length,
      collection: left[0]?.write?.collection.name,
      code: (errorForRest as { code?: string }).code,
      table:
        classifyDatabaseError(errorForRest) === "table"
          ? describeTableFault(errorForRest)
          : undefined,
    });
  return entries.map((entry) => decisions.get(entry) ?? errorForRest);
}

/** Runs the transaction until it commits, or fails for a reason that a retry does not remove. */
async function settleOnce(entries: Entry[], options: Settling): Promise<Decision[]> {
  const { pool, logger, holdMs, stop, traced } = options;
  const startedAt = performance.now();
  for (let attempt = 0, races = 0; ; attempt += 1) {
    const span = traced && startBatch(entries, attempt);
    try {
      await assertTablesMatch(pool, entries, options.checkedCollections);
      const decisions = await inTransaction(
        pool,
        (connection) => settleInTransaction(connection, entries, Date.now()),
        span?.onStatement,
      );
      span?.end();
      report(entries, decisions, startedAt, options);
      return decisions;
    } catch (error) {
      span?.end(error);
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
      if (stop.aborted || performance.now() + pauseMs - startedAt > holdMs) throw error;
      await sleep(pauseMs * (0.5 + Math.random()), undefined, { signal: stop }).catch(() => {});
    }
  }
}

/** Measures the lag after the commit, then logs and counts what was settled. */
function report(
  entries: readonly Entry[],
  decisions: readonly Decision[],
  startedAt: number,
  { logger, onSettled }: SettleOptions,
): void {
  const nowMs = Date.now();
  const writes = entries.flatMap(({ write }, index): SettledWrite[] => {
    const decision = decisions[index] as Decision;
    if (!write || decision.kind !== "settled") return [];
    return [
      {
        id: write.id,
        collection: write.collection.name,
        item: write.itemId,
        outcome: decision.outcome,
        lagMs: nowMs - write.acceptedAt,
        trace: getTraceId(write.traceparent),
      },
    ];
  });
  const durationMs = Math.round(performance.now() - startedAt);
  for (const part of splitIntoLines(writes)) {
    const trace = part.length === 1 ? part[0]?.trace : undefined;
    const outcomes = countOutcomes(part);
    logger.info("writes settled", { outcomes, writes: part, durationMs, trace });
  }
  if (writes.length > 0) onSettled?.(writes);
  const unknown = entries.filter(({ unknownSchema }) => unknownSchema !== undefined);
  if (unknown[0])
    logger.warn("messages of a newer version are given back", {
      count: unknown.length,
      messageId: unknown[0].message.messageId,
    });
  entries.forEach(({ message, write }, index) => {
    if (isDead(decisions[index]))
      logger.warn("message is dead", {
        messageId: message.messageId,
        write: write?.id,
        trace: getTraceId(message.attributes.traceparent),
      });
  });
}

/** Log-based metrics cannot count the elements of a list, so the counts are logged too. */
function countOutcomes(writes: readonly SettledWrite[]): Partial<Record<Outcome, number>> {
  const counts: Partial<Record<Outcome, number>> = {};
  for (const { outcome } of writes) counts[outcome] = (counts[outcome] ?? 0) + 1;
  return counts;
}
