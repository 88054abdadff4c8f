import { setTimeout as sleep } from "node:timers/promises";
import type { Collection } from "../common/collection.ts";
import {
  classifyDatabaseError,
  describeDataError,
  inTransaction,
  type Pool,
} from "../common/database.ts";
import type { Outcome } from "../common/receipts.ts";
import type { Logger } from "../common/telemetry/logger.ts";
import { getTraceId, type Tracing } from "../common/telemetry/tracing.ts";
import { beginBatch, beginMessages, endMessages, type SpanNames } from "./spans.ts";
import {
  type Entry,
  type FinalDecision,
  type Message,
  readMessage,
  settleInTransaction,
} from "./transaction.ts";

export type { Message } from "./transaction.ts";

/** What became of a message; `settled` for one that had its outcome before. All but `notYet` ack. */
export type Settlement = { outcome: Outcome | "settled" } | "notYet";

/** One row that exists where there was none a moment ago is a race; several in a row are not. */
const MAX_RACES = 10;
const BACKOFF_MS = { first: 50, max: 5_000 };

/**
 * Makes `settle(messages)`: one transaction for the whole batch, an answer for each message.
 *
 * While MySQL is away, locked or read-only, the batch is held and tried again, with jitter, for
 * `holdMs`: a message that is only waiting must not use up Pub/Sub's delivery attempts. After
 * that, or when `stop` aborts, its messages are answered with the error, to be nacked. A write
 * whose item MySQL refuses is dead with its reason, in the transaction of its batch; what is refused
 * otherwise, or as a whole, is halved until the offender stands alone.
 */
export function createSettle(options: {
  pool: Pool;
  collections: readonly Collection[];
  logger: Logger;
  holdMs: number;
  stop: AbortSignal;
  trace?: { tracing: Tracing; names: SpanNames } | undefined;
  onSettled?: (writes: SettledWrite[]) => void;
}): (messages: Message[]) => Promise<(Settlement | Error)[]> {
  const { pool, collections, logger, holdMs, stop, trace, onSettled } = options;

  return async (messages) => {
    const entries = messages.map((message) => readMessage(message, collections));
    if (!trace) return settleEntries(entries);
    beginMessages(trace.tracing, messages);
    const settlements = await settleEntries(entries);
    endMessages(trace.tracing, messages, settlements, trace.names);
    return settlements;
  };

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
      if ((fault === "data" || fault === "oversize") && !entry.fault)
        return settleEntries([{ ...entry, fault: describeDataError(error) }]);
      logger.error("a message could not be settled", {
        messageId: entry.message.messageId,
        write: entry.write?.id,
        trace: getTraceId(entry.message.attributes.traceparent),
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
      const span = trace && beginBatch(trace.tracing, entries, attempt + races);
      try {
        const decisions = await inTransaction(
          pool,
          (connection) => settleInTransaction(connection, entries, Date.now()),
          span?.onStatement,
        );
        span?.end();
        report(entries, decisions, startedAt);
        return decisions.map(toSettlement);
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
          trace: getTraceId(write.traceparent),
        },
      ];
    });
    if (writes.length > 0) {
      const trace = writes.length === 1 ? writes[0]?.trace : undefined;
      const outcomes = countOutcomes(writes);
      logger.info("writes settled", { outcomes, writes, durationMs: nowMs - since, trace });
      onSettled?.(writes);
    }
    entries.forEach(({ message, write }, index) => {
      const decision = decisions[index] as FinalDecision;
      if (decision !== "settled" && "outcome" in decision && decision.outcome === "dead")
        logger.warn("message is dead", {
          messageId: message.messageId,
          write: write?.id,
          trace: getTraceId(message.attributes.traceparent),
        });
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

/** So that Cloud Logging can count writes, which it cannot in a list. */
function countOutcomes(writes: readonly SettledWrite[]): Partial<Record<Outcome, number>> {
  const counts: Partial<Record<Outcome, number>> = {};
  for (const { outcome } of writes) counts[outcome] = (counts[outcome] ?? 0) + 1;
  return counts;
}

function toSettlement(decision: FinalDecision): Settlement {
  if (decision === "settled") return { outcome: "settled" };
  return "notYet" in decision ? "notYet" : { outcome: decision.outcome };
}
