import { createHistogram } from "node:perf_hooks";
import { setImmediate, setTimeout as sleep } from "node:timers/promises";
import { query } from "../../common/database.ts";
import { fromDateTime } from "../../common/tables.ts";
import type { Write } from "../../common/write.ts";
import { getWriteTime } from "../../common/write-id.ts";
import type { Stored } from "../../test/support/settled-invariants.ts";
import type { ChaosCluster } from "../cluster/chaos-cluster.ts";
import { checkTold, judgeSettled, selectStored } from "../cluster/check.ts";
import type { Clients } from "../cluster/clients.ts";
import type { Ledger } from "../cluster/ledger.ts";
import { MinuteDigests } from "./minute-digests.ts";

/** The load between two faults. Nobody writes its items before or after. */
export type Period = { number: number; ledger: Ledger; clients: Clients };

/** Writes that are checked together; the clients must not wait for it. */
const CHUNK_WRITES = 500;
/** Receipts of each period that are asked of the API, too. */
const LOOKS = 200;
const LOOK_TRIES = 40;
const LOOK_AGAIN_MS = 500;
const PAGE_ROWS = 5_000;

/** The columns of the three tables that are read here. */
type TextColumns = {
  id: string;
  version: string;
  nombre: string | null;
  deleted_at: string | null;
  outcome: string;
  write_id: string | null;
  reason: string;
};
type Chunk = { writes: Write[]; stored: Stored };

/**
 * Checks each period by the invariants of chaos, once all of it is settled; keeps counts and
 * digests of the receipts and rows, and forgets the rest. At the end the tables must still match
 * the digests: nothing that was told has changed, and nothing was added.
 */
export class PeriodChecker {
  accepted = 0;
  published = 0;
  garbage = 0;
  missing = 0;
  doubled = 0;
  stale = 0;
  readonly outcomes: Record<string, number> = {};
  readonly violations: string[] = [];
  /** Milliseconds. */
  readonly lags = createHistogram();
  readonly #cluster: ChaosCluster;
  readonly #receipts = new MinuteDigests();
  readonly #rows = new MinuteDigests();
  #checkedUntil = -1;

  constructor(cluster: ChaosCluster) {
    this.#cluster = cluster;
  }

  /** False where some of it is not settled yet; with `isLast` that counts as missing. */
  async check(period: Period, isLast: boolean): Promise<boolean> {
    const { witness } = this.#cluster;
    const { number, ledger } = period;
    await this.#dropRepeats();
    const all = [...witness.writes.values()].filter((write) => getPeriod(write) === number);
    const writes = new Map(all.map((write) => [write.id, write] as const));
    if (!isLast && ledger.told.keys().some((write) => !writes.has(write))) return false;
    const chunks: Chunk[] = [];
    for (const some of splitByItem(all)) {
      const stored = await this.#select(some);
      const isSettled = stored && some.every(({ id }) => findReceipts(id, stored).length > 0);
      if (!isLast && !isSettled) return false;
      chunks.push({ writes: some, stored: stored ?? { rows: [], receipts: [], dead: [] } });
    }
    const outcomes = new Map<string, string>();
    for (const chunk of chunks) {
      this.#checkChunk(chunk, outcomes);
      await setImmediate();
    }
    await this.#lookAtSome(period, outcomes);
    for (const write of ledger.told.keys()) if (!writes.has(write)) this.missing += 1;
    this.violations.push(...checkTold(ledger, writes, outcomes));
    this.accepted += ledger.told.size;
    this.published += writes.size;
    for (const id of writes.keys()) witness.writes.delete(id);
    this.#checkedUntil = number;
    await this.#checkGarbage(isLast);
    return true;
  }

  /** Checks that the tables still match the digests and hold nothing else. */
  async finish(): Promise<void> {
    await this.#dropRepeats();
    for (const id of this.#cluster.witness.writes.keys())
      this.violations.push(`the write ${id} was published late, and has no receipt`);
    const [receipts, rows] = [new MinuteDigests(), new MinuteDigests()];
    for await (const { id, version, nombre, deleted_at } of this.#pages("data", "id")) {
      const deletedAt = deleted_at ? fromDateTime(deleted_at) : null;
      receipts.add(getWriteTime(version), `${version} applied`);
      rows.add(getWriteTime(version), `${id} ${version} ${nombre} ${deletedAt}`);
    }
    for await (const { id, outcome } of this.#pages("writes", "id"))
      receipts.add(getWriteTime(id), `${id} ${outcome}`);
    for await (const { write_id, reason } of this.#pages("dead_letters", "message_id")) {
      if (write_id) receipts.add(getWriteTime(write_id), `${write_id} dead`);
      if (!reason) this.violations.push(`the write ${write_id} is dead without a reason`);
    }
    for (const difference of this.#receipts.compare(receipts))
      this.violations.push(`receipts have changed: ${difference}`);
    for (const difference of this.#rows.compare(rows))
      this.violations.push(`rows have changed: ${difference}`);
  }

  #checkChunk({ writes, stored }: Chunk, outcomes: Map<string, string>): void {
    const rows = new Map(stored.rows.map((row) => [row.id, row] as const));
    for (const { id, itemId } of writes) {
      const receipts = findReceipts(id, stored);
      if (receipts.length === 0) this.missing += 1;
      if (receipts.length > 1) this.doubled += 1;
      for (const { outcome, settledAt } of receipts) {
        this.outcomes[outcome] = (this.outcomes[outcome] ?? 0) + 1;
        this.lags.record(Math.max(1, Math.round(settledAt - getWriteTime(id))));
        this.#receipts.add(getWriteTime(id), `${id} ${outcome}`);
      }
      const row = rows.get(itemId);
      if (receipts[0]?.outcome === "applied" && !(row && row.version >= id)) this.stale += 1;
    }
    for (const { id, version, item, deletedAt } of stored.rows) {
      const text = `${id} ${version} ${item?.nombre ?? null} ${deletedAt}`;
      this.#rows.add(getWriteTime(version), text);
    }
    const judged = judgeSettled(writes, stored);
    if (!(judged instanceof Map)) return void this.violations.push(judged.violation);
    for (const [write, outcome] of judged) outcomes.set(write, outcome);
  }

  /** Undefined while MySQL is down. */
  #select(writes: readonly Write[]): Promise<Stored | undefined> {
    return selectStored(this.#cluster.database.pool, writes).catch(() => undefined);
  }

  /** Forgets writes of checked periods that were published again; they have their receipts. */
  async #dropRepeats(): Promise<void> {
    const { writes } = this.#cluster.witness;
    const repeats = [...writes.values()].filter((write) => getPeriod(write) <= this.#checkedUntil);
    for (const some of splitByItem(repeats)) {
      const stored = await this.#select(some);
      if (!stored) return;
      for (const { id } of some) if (findReceipts(id, stored).length > 0) writes.delete(id);
    }
  }

  /** Asks the API for some of the receipts. */
  async #lookAtSome(
    { ledger, clients }: Period,
    outcomes: ReadonlyMap<string, string>,
  ): Promise<void> {
    const all = [...ledger.told.keys()].filter((write) => outcomes.has(write));
    const every = Math.max(1, Math.floor(all.length / LOOKS));
    for (let place = 0; place < all.length; place += every) {
      const write = all[place] as string;
      for (let tries = 0; ; tries += 1) {
        await clients.look(write, place / all.length + tries / 2);
        if (ledger.told.get(write)?.shown !== undefined) break;
        if (tries === LOOK_TRIES) {
          this.violations.push(`the write ${write} has no receipt at the API`);
          break;
        }
        await sleep(LOOK_AGAIN_MS);
      }
    }
  }

  /** Every message that is not a write must be dead. */
  async #checkGarbage(isLast: boolean): Promise<void> {
    const { garbage } = this.#cluster.witness;
    const ids = [...garbage];
    if (ids.length === 0) return;
    const sql = "SELECT message_id FROM dead_letters WHERE message_id IN (?)";
    const dead = await query(this.#cluster.database.pool, sql, [ids]).catch(() => []);
    for (const { message_id } of dead) if (garbage.delete(String(message_id))) this.garbage += 1;
    if (isLast)
      for (const id of garbage) this.violations.push(`the message ${id} is no write, and not dead`);
  }

  async *#pages(table: string, key: string): AsyncGenerator<TextColumns> {
    const sql = `SELECT * FROM ${table} WHERE ${key} > ? ORDER BY ${key} LIMIT ${PAGE_ROWS}`;
    for (let after = ""; ; ) {
      const rows = await query(this.#cluster.database.pool, sql, [after]);
      yield* rows as TextColumns[];
      after = String(rows.at(-1)?.[key]);
      if (rows.length < PAGE_ROWS) return;
    }
  }
}

function findReceipts(write: string, { rows, receipts, dead }: Stored) {
  const row = rows.find(({ version }) => version === write);
  const applied = row ? [{ outcome: "applied", settledAt: row.appliedAt }] : [];
  return [...applied, ...[...receipts, ...dead].filter((receipt) => receipt.write === write)];
}

/** Chunks of writes in the order of their ids; all writes of an item are in one chunk. */
function* splitByItem(writes: readonly Write[]): Generator<Write[]> {
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

/** The period whose clients wrote it: its number is in the names of items. */
function getPeriod({ itemId, item }: Write): number {
  const name = /^hot-(\d+)-/.exec(itemId) ?? /^\w+ (\d+)-/.exec(String(item?.nombre));
  if (!name) throw new Error(`The clients of a soak write no item like ${itemId}.`);
  return Number(name[1]);
}
