import { data } from "../collections/data.ts";
import { type Pool, query } from "../common/database.ts";
import { selectDead, selectSettled } from "../common/receipts.ts";
import { selectRows } from "../common/tables.ts";
import type { Write } from "../common/write.ts";
import { checkSettled } from "../test/support/settled-invariants.ts";
import type { Ledger } from "./ledger.ts";
import type { Stage } from "./stage.ts";

/** What a process may have at most, its heap (child.ts) with it; about 230 were seen. */
const MEMORY_LIMIT_MB = 400;
/** A comparison of two rows fits. */
const MESSAGE_CHARACTERS = 800;

/** Everything that must hold once all is settled, in sentences about what does not. */
export async function check(stage: Stage, ledger: Ledger): Promise<string[]> {
  const { writes, garbage } = stage.witness;
  const pool = stage.database.pool;
  const violations = [...ledger.violations];
  for (const write of ledger.told.keys())
    if (!writes.has(write)) violations.push(`the write ${write} was told and never published`);
  const outcomes = await checkOutcomes([...writes.values()], pool, violations);
  for (const [write, { shown, promised }] of ledger.told) {
    const outcome = outcomes?.get(write);
    if (shown === undefined) violations.push(`the write ${write} has no receipt at the API`);
    else if (outcome && !shown.startsWith(`${outcome} `))
      violations.push(`the write ${write} is ${outcome}, and was ${shown}`);
    if (outcome && promised && outcome !== promised)
      violations.push(`the write ${write} is ${outcome}, and was promised to be ${promised}`);
  }
  await checkDead(garbage, pool, violations);
  for (const child of Object.values(stage.children)) {
    if (child.surprise) violations.push(child.surprise);
    if (child.peakMb > MEMORY_LIMIT_MB)
      violations.push(`${child.name} took ${Math.round(child.peakMb)} MB`);
  }
  return violations;
}

async function checkOutcomes(all: Write[], pool: Pool, violations: string[]) {
  const writes = all.sort((one, other) => (one.id < other.id ? -1 : 1));
  const ids = writes.map(({ id }) => id);
  const items = [...new Set(writes.map(({ itemId }) => itemId))];
  const [rows, receipts, dead] = [
    await selectRows(pool, data, items),
    await selectSettled(pool, ids),
    await selectDead(pool, ids),
  ];
  const [counts] = await query(
    pool,
    "SELECT (SELECT COUNT(*) FROM data) AS items, (SELECT COUNT(*) FROM writes) AS receipts",
  );
  if (Number(counts?.items) !== rows.length || Number(counts?.receipts) !== receipts.length)
    violations.push("there are rows or receipts of writes that nobody published");
  try {
    const mayDie = ({ item }: Write) => String(item?.nombre).startsWith("poison");
    return checkSettled(writes, { rows, receipts, dead }, { isUnconditional: false, mayDie });
  } catch (error) {
    violations.push((error as Error).message.replace(/\s+/g, " ").slice(0, MESSAGE_CHARACTERS));
    return undefined;
  }
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
