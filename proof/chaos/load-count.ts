import { query } from "../../common/database.ts";
import { fromDateTime } from "../../common/tables.ts";
import { getWriteTime } from "../../common/write-id.ts";
import { readSnapshot } from "../../test/support/snapshot.ts";
import type { Stage } from "./stage.ts";

/** A write that a client was told of, and what it wrote. */
export type Accepted = { id: string; write: string; nombre: string };

/**
 * What became of the accepted writes. Missing: without a receipt, or without its item. Doubled:
 * with two receipts, or one item of two creates. Stale: an item older than an accepted write that
 * is applied, or not what its version wrote.
 */
export async function countWrites({ database, witness }: Stage, accepted: readonly Accepted[]) {
  const { rows, others, dead } = await readSnapshot(database.pool, async (connection) => ({
    rows: await query(connection, "SELECT id, version, nombre, applied_at FROM data"),
    others: await query(connection, "SELECT id, outcome, settled_at FROM writes"),
    dead: await query(connection, "SELECT write_id, first_seen FROM dead_letters"),
  }));
  const receipts = new Map<string, string[]>();
  const lags: number[] = [];
  const add = (write: unknown, outcome: unknown, at: unknown) => {
    receipts.set(String(write), [...(receipts.get(String(write)) ?? []), String(outcome)]);
    lags.push(fromDateTime(String(at)) - getWriteTime(String(write)));
  };
  for (const row of rows) add(row.version, "applied", row.applied_at);
  for (const row of others) add(row.id, row.outcome, row.settled_at);
  for (const row of dead) add(row.write_id, "dead", row.first_seen);

  const outcomes: Record<string, number> = {};
  const items = new Map(rows.map((row) => [String(row.id), row] as const));
  let [missing, doubled, stale] = [0, 0, 0];
  for (const { id, write, nombre } of accepted) {
    const own = receipts.get(write) ?? [];
    const item = items.get(id);
    for (const outcome of own) outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
    if (own.length === 0 || !item) missing += 1;
    if (own.length > 1) doubled += 1;
    if (!item || own[0] !== "applied") continue;
    const isOlder = String(item.version) < write;
    const isAnother = item.version === write && item.nombre !== nombre;
    if (isOlder || isAnother) stale += 1;
  }
  doubled += accepted.length - new Set(accepted.map(({ write }) => write)).size;
  // What clients were not told of is published all the same, and has its receipt.
  for (const write of witness.writes.keys()) if (!receipts.has(write)) missing += 1;
  return { outcomes, missing, doubled, stale, lags };
}

/** Rounded to a tenth. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = Float64Array.from(values).sort();
  const value = sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0;
  return Math.round(value * 10) / 10;
}
