import { data } from "../../collections/data.ts";
import { type Pool, query } from "../../common/database.ts";
import type { Write } from "../../common/write.ts";
import { checkSettled, type Stored } from "../../test/support/settled-invariants.ts";
import { selectStored } from "../../test/support/snapshot.ts";
import type { Ledger } from "./ledger.ts";
import type { Stage } from "./stage.ts";

/** What a process may have at most, its heap (child.ts) with it; about 230 were seen. */
export const MEMORY_LIMIT_MB = 400;
/** A comparison of two rows fits. */
const MESSAGE_CHARACTERS = 800;

/** Everything that must hold once all is settled, in sentences about what does not. */
export async function check(stage: Stage, ledger: Ledger): Promise<string[]> {
  const { writes, garbage } = stage.witness;
  const pool = stage.database.pool;
  const violations: string[] = [];
  const outcomes = await checkOutcomes([...writes.values()], pool, violations);
  violations.push(...checkTold(ledger, writes, outcomes));
  for (const [write, { shown }] of ledger.told)
    if (shown === undefined) violations.push(`the write ${write} has no receipt at the API`);
  await checkDead(garbage, pool, violations);
  for (const child of Object.values(stage.children)) {
    if (child.surprise) violations.push(child.surprise);
    if (child.peakMb > MEMORY_LIMIT_MB)
      violations.push(`${child.name} took ${Math.round(child.peakMb)} MB`);
  }
  return violations;
}

/** All that clients were told was published, and became what they were told. */
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

/** Whether MySQL refuses its item (database-server.ts). */
export const mayDie = ({ item }: Write) => String(item?.nombre).startsWith("poison");

/** What is wrong with these writes of whole items, in a sentence; else the outcome of each. */
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
  const stored = await selectStored(pool, data, writes);
  const [counts] = await query(
    pool,
    "SELECT (SELECT COUNT(*) FROM data) AS items, (SELECT COUNT(*) FROM writes) AS receipts",
  );
  const isAll =
    Number(counts?.items) === stored.rows.length &&
    Number(counts?.receipts) === stored.receipts.length;
  if (!isAll) violations.push("there are rows or receipts of writes that nobody published");
  const judged = judgeSettled(writes, stored);
  if (judged instanceof Map) return judged;
  violations.push(judged.violation);
  return undefined;
}

/** What is no write is dead, and nothing is dead without a reason. */
async function checkDead(garbage: ReadonlySet<string>, pool: Pool, violations: string[]) {
  const letters = await query(pool, "SELECT message_id, write_id, reason FROM dead_letters");
  const kept = new Set(letters.map(({ message_id }) => message_id));
  for (const message of garbage)
    if (!kept.has(message)) violations.push(`the message ${message} is no write, and not dead`);
  for (const { message_id, reason } of letters)
    if (!reason) violations.push(`the message ${message_id} is dead without a reason`);
}
