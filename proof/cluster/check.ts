import { data } from "../../collections/data.ts";
import { type Pool, query } from "../../common/database.ts";
import { selectDead, selectSettled } from "../../common/receipts.ts";
import { selectRows } from "../../common/tables.ts";
import type { Write } from "../../common/write.ts";
import { checkSettled, type Stored } from "../../test/support/settled-invariants.ts";
import type { ChaosCluster } from "./chaos-cluster.ts";
import type { Ledger } from "./ledger.ts";

/** The most memory that a process may take, its heap (cluster-process.ts) included. */
export const MEMORY_LIMIT_MB = 400;
/** Long enough for a comparison of two rows. */
const MESSAGE_CHARACTERS = 800;

/** Checks every promise once all is settled; returns the violations, in sentences. */
export async function checkCluster(cluster: ChaosCluster, ledger: Ledger): Promise<string[]> {
  const { writes, garbage } = cluster.witness;
  const pool = cluster.database.pool;
  const violations: string[] = [];
  const outcomes = await checkOutcomes([...writes.values()], pool, violations);
  violations.push(...checkTold(ledger, writes, outcomes));
  for (const [write, { shown }] of ledger.told)
    if (shown === undefined) violations.push(`the write ${write} has no receipt at the API`);
  await checkDead(garbage, pool, violations);
  for (const { name, unexpectedExit, peakMb } of Object.values(cluster.processes)) {
    if (unexpectedExit) violations.push(unexpectedExit);
    if (peakMb > MEMORY_LIMIT_MB) violations.push(`${name} took ${Math.round(peakMb)} MB`);
  }
  return violations;
}

/** Every write that a client was told of was published and has the outcome that was told. */
export function checkTold(
  { told, violations: noted }: Ledger,
  published: ReadonlyMap<string, Write>,
  outcomes: ReadonlyMap<string, string> | undefined,
): string[] {
  const violations = [...noted];
  for (const [write, { shown, promised }] of told) {
    if (!published.has(write)) violations.push(`the write ${write} was told and never published`);
    const outcome = outcomes?.get(write);
    if (outcome && shown !== undefined && !shown.startsWith(`${outcome} `))
      violations.push(`the write ${write} is ${outcome}, and was ${shown}`);
    if (outcome && promised && outcome !== promised)
      violations.push(`the write ${write} is ${outcome}, and was promised to be ${promised}`);
  }
  return violations;
}

/** Whether MySQL refuses the write's item (database-server.ts). */
const mayDie = ({ item }: Write) => String(item?.nombre).startsWith("poison");

/** Selects the rows and receipts of these writes. */
export async function selectStored(pool: Pool, writes: readonly Write[]): Promise<Stored> {
  const ids = writes.map(({ id }) => id);
  const items = [...new Set(writes.map(({ itemId }) => itemId))];
  return {
    rows: await selectRows(pool, data, items),
    receipts: await selectSettled(pool, ids),
    dead: await selectDead(pool, ids),
  };
}

/** The outcome of each write, or the invariant that is violated, in a sentence. */
export function judgeSettled(
  writes: readonly Write[],
  stored: Stored,
): Map<string, string> | { violation: string } {
  try {
    return checkSettled(writes, stored, { isUnconditional: false, mayDie });
  } catch (error) {
    const message = (error as Error).message.replace(/\s+/g, " ").slice(0, MESSAGE_CHARACTERS);
    return { violation: message };
  }
}

async function checkOutcomes(all: Write[], pool: Pool, violations: string[]) {
  const writes = all.sort((one, other) => (one.id < other.id ? -1 : 1));
  const stored = await selectStored(pool, writes);
  const [counts] = await query(
    pool,
    "SELECT (SELECT COUNT(*) FROM data) AS items, (SELECT COUNT(*) FROM writes) AS receipts",
  );
  const isMore =
    Number(counts?.items) !== stored.rows.length ||
    Number(counts?.receipts) !== stored.receipts.length;
  if (isMore) violations.push("there are rows or receipts of writes that nobody published");
  const judged = judgeSettled(writes, stored);
  if (judged instanceof Map) return judged;
  violations.push(judged.violation);
  return undefined;
}

/** Every message that is not a write is dead, and every dead letter has a reason. */
async function checkDead(garbage: ReadonlySet<string>, pool: Pool, violations: string[]) {
  const letters = await query(pool, "SELECT message_id, write_id, reason FROM dead_letters");
  const kept = new Set(letters.map(({ message_id }) => message_id));
  for (const message of garbage)
    if (!kept.has(message)) violations.push(`the message ${message} is no write, and not dead`);
  for (const { message_id, reason } of letters)
    if (!reason) violations.push(`the message ${message_id} is dead without a reason`);
}
