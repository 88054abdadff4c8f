import { data } from "../../collections/data.ts";
import type { Collection } from "../../common/collection.ts";
import { type Pool, query } from "../../common/database.ts";
import type { Write } from "../../common/write.ts";
import { checkNumbered, checkSettled } from "../../test/support/settled-invariants.ts";
import { selectStored } from "../../test/support/snapshot.ts";
import type { ClaimLog } from "../answers/claims.ts";
import { judgeStored, judgeUnwritten } from "../answers/judge-stored.ts";
import { berths } from "../support/holds.ts";
import { DATA_WITH_OWNER } from "../support/owned.ts";
import type { ChaosCluster } from "./chaos-cluster.ts";
import { checkHolds } from "./hold-check.ts";
import type { Ledger } from "./ledger.ts";

/** The most memory that a process may take, its heap (cluster-process.ts) included. */
export const MEMORY_LIMIT_MB = 400;
/** Long enough for a comparison of two rows. */
const MESSAGE_CHARACTERS = 800;
/** Writes that are selected and compared at once. */
const CHUNK_WRITES = 500;

/** What was found, with every violation in a sentence. */
type Checked = { outcomes: Map<string, string>; violations: string[] };

/** Checks every promise, and every answer, once everything that was published is settled. */
export async function checkCluster(cluster: ChaosCluster, ledger: Ledger): Promise<Checked> {
  const { writes, garbage } = cluster.witness;
  const pool = cluster.database.pool;
  const violations = [...ledger.violations];
  for (const write of ledger.confirmed.keys())
    if (!writes.has(write)) violations.push(`the write ${write} was confirmed and never published`);
  const outcomes = new Map<string, string>();
  const collection = { ...(cluster.isOwned ? DATA_WITH_OWNER : data), feed: cluster.hasFeed };
  const found = { pool, claims: ledger.claims, outcomes, violations };
  const isHold = (write: Write) => write.collection.name === berths.name;
  const plain = [...writes.values()].filter((write) => !isHold(write));
  await checkWrites(plain, collection, found);
  if (cluster.isOwned) violations.push(...(await checkHolds(cluster)));
  violations.push(...judgeUnwritten(ledger.claims));
  await checkDead(garbage, pool, violations);
  for (const { name, unexpectedExit, peakMb } of Object.values(cluster.processes)) {
    if (unexpectedExit) violations.push(unexpectedExit);
    if (peakMb > MEMORY_LIMIT_MB) violations.push(`${name} took ${Math.round(peakMb)} MB`);
  }
  return { outcomes, violations };
}

/** Whether MySQL refuses the write's item (database-server.ts). */
const mayDie = ({ item }: Write) => String(item?.nombre).startsWith("poison");

/** Collects the outcome of every write whose item keeps the invariants. */
async function checkWrites(
  writes: readonly Write[],
  collection: Collection,
  found: {
    pool: Pool;
    claims: ClaimLog;
    outcomes: Map<string, string>;
    violations: string[];
  },
): Promise<void> {
  const { pool, claims, outcomes, violations } = found;
  let [rows, receipts] = [0, 0];
  for (const chunk of splitByItem(writes)) {
    const stored = await selectStored(pool, collection, chunk);
    rows += stored.rows.length;
    receipts += stored.receipts.length;
    try {
      const checked = checkSettled(chunk, stored, { isUnconditional: false, mayDie });
      for (const [write, outcome] of checked) outcomes.set(write, outcome);
      if (collection.feed) checkNumbered(stored);
    } catch (error) {
      const message = (error as Error).message.replace(/\s+/g, " ");
      violations.push(message.slice(0, MESSAGE_CHARACTERS));
    }
    violations.push(...judgeStored(claims, collection, chunk, stored));
  }
  const [counts] = await query(
    pool,
    "SELECT (SELECT COUNT(*) FROM data) AS items," +
      " (SELECT COUNT(*) FROM writes WHERE collection = 'data') AS receipts",
  );
  if (Number(counts?.items) !== rows || Number(counts?.receipts) !== receipts)
    violations.push("there are rows or receipts of writes that nobody published");
}

/** Chunks of writes in the order of their ids; all writes of an item are in one chunk. */
export function* splitByItem(writes: readonly Write[]): Generator<Write[]> {
  const sorted = writes.toSorted((one, other) => (one.id < other.id ? -1 : 1));
  let chunk: Write[] = [];
  for (const own of Map.groupBy(sorted, ({ itemId }) => itemId).values()) {
    chunk.push(...own);
    if (chunk.length < CHUNK_WRITES) continue;
    yield chunk;
    chunk = [];
  }
  if (chunk.length > 0) yield chunk;
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
