import { query } from "../../common/database.ts";
import { fromDateTime } from "../../common/tables.ts";
import { getWriteTime } from "../../common/write-id.ts";
import type { ChaosCluster } from "../cluster/chaos-cluster.ts";

/** A write that a client was told of, and what it wrote. */
export type Accepted = { id: string; write: string; nombre: string };

/**
 * Counts what became of the accepted writes. Missing: without a receipt, or without its item.
 * Doubled: with two receipts, or told to two clients. Stale: the item is older than an accepted
 * write that is applied, or is not what its version wrote.
 */
export async function countWrites(
  { database, witness }: ChaosCluster,
  accepted: readonly Accepted[],
) {
  const { pool } = database;
  const rows = await query(pool, "SELECT id, version, nombre, applied_at FROM data");
  const others = await query(pool, "SELECT id, outcome, settled_at FROM writes");
  const dead = await query(pool, "SELECT write_id, first_seen FROM dead_letters");
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
  // A write whose answer was lost is published all the same, and must have its receipt.
  for (const write of witness.writes.keys()) if (!receipts.has(write)) missing += 1;
  return { outcomes, missing, doubled, stale, lags };
}
