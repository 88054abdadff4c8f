import { createHistogram } from "node:perf_hooks";
import { setImmediate, setTimeout as sleep } from "node:timers/promises";
import { data } from "../../collections/data.ts";
import { query } from "../../common/database.ts";
import { fromDateTime } from "../../common/tables.ts";
import type { Write } from "../../common/write.ts";
import { getWriteTime } from "../../common/write-id.ts";
import type { Stored } from "../../test/support/settled-invariants.ts";
import { selectStored } from "../../test/support/snapshot.ts";
import { checkTold, judgeSettled } from "../chaos/check.ts";
import type { Clients } from "../chaos/clients.ts";
import type { Ledger } from "../chaos/ledger.ts";
import type { Stage } from "../chaos/stage.ts";
import { Tally } from "../soak/tally.ts";

/** The load between two faults, whose items nobody writes before or after. */
export type Stretch = { number: number; ledger: Ledger; clients: Clients };

/** Writes that are looked at together; the clients must not wait for it. */
const CHUNK_WRITES = 500;
/** Of each stretch, so many receipts are asked of the API too. */
const LOOKS = 200;
const LOOK_TRIES = 40;
const LOOK_AGAIN_MS = 500;
const PAGE_ROWS = 5_000;

/** Of the three tables, what is looked at here. */
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
 * Looks at what became of a stretch, once all of it is settled, by the invariants of chaos; keeps
 * counts and a tally of the receipts and the rows, and forgets the rest. At the end the tables
 * must still have what was tallied: nothing that was told has changed, and nothing has come.
 */
export class Fold {
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
  readonly #stage: Stage;
  readonly #receipts = new Tally();
  readonly #rows = new Tally();
  #foldedUntil = -1;

  constructor(stage: Stage) {
    this.#stage = stage;
  }

  /** False where something of it is not settled yet; with `isLast` that is missing. */
  async fold(stretch: Stretch, isLast: boolean): Promise<boolean> {
    const { witness } = this.#stage;
    const { number, ledger } = stretch;
    await this.#dropLate();
    const all = [...witness.writes.values()].filter((write) => getStretch(write) === number);
    const writes = new Map(all.map((write) => [write.id, write] as const));
    if (!isLast && ledger.told.keys().some((write) => !writes.has(write))) return false;
    const chunks: Chunk[] = [];
    for (const some of chunksOf(all)) {
      const stored = await this.#select(some);
      const isSettled = stored && some.every(({ id }) => getReceipts(id, stored).length > 0);
      if (!isLast && !isSettled) return false;
      chunks.push({ writes: some, stored: stored ?? { rows: [], receipts: [], dead: [] } });
    }
    const outcomes = new Map<string, string>();
    for (const chunk of chunks) {
      this.#foldChunk(chunk, outcomes);
      await setImmediate();
    }
    await this.#lookAtSome(stretch, outcomes);
    for (const write of ledger.told.keys()) if (!writes.has(write)) this.missing += 1;
    this.violations.push(...checkTold(ledger, writes, outcomes));
    this.accepted += ledger.told.size;
    this.published += writes.size;
    for (const id of writes.keys()) witness.writes.delete(id);
    this.#foldedUntil = number;
    await this.#foldGarbage(isLast);
    return true;
  }

  /** Whether the tables still have what was tallied, and nothing else. */
  async finish(): Promise<void> {
    await this.#dropLate();
    for (const id of this.#stage.witness.writes.keys())
      this.violations.push(`the write ${id} came late, and has no receipt`);
    const [receipts, rows] = [new Tally(), new Tally()];
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
    for (const what of this.#receipts.compare(receipts))
      this.violations.push(`receipts have changed: ${what}`);
    for (const what of this.#rows.compare(rows)) this.violations.push(`rows have changed: ${what}`);
  }

  #foldChunk({ writes, stored }: Chunk, outcomes: Map<string, string>): void {
    const rows = new Map(stored.rows.map((row) => [row.id, row] as const));
    for (const { id, itemId } of writes) {
      const own = getReceipts(id, stored);
      if (own.length === 0) this.missing += 1;
      if (own.length > 1) this.doubled += 1;
      for (const { outcome, settledAt } of own) {
        this.outcomes[outcome] = (this.outcomes[outcome] ?? 0) + 1;
        this.lags.record(Math.max(1, Math.round(settledAt - getWriteTime(id))));
        this.#receipts.add(getWriteTime(id), `${id} ${outcome}`);
      }
      const row = rows.get(itemId);
      if (own[0]?.outcome === "applied" && !(row && row.version >= id)) this.stale += 1;
    }
    for (const { id, version, item, deletedAt } of stored.rows) {
      const text = `${id} ${version} ${item?.nombre ?? null} ${deletedAt}`;
      this.#rows.add(getWriteTime(version), text);
    }
    const judged = judgeSettled(writes, stored);
    if (!(judged instanceof Map)) return void this.violations.push(judged.violation);
    for (const [write, outcome] of judged) outcomes.set(write, outcome);
  }

  /** The receipts and rows; undefined while MySQL is away. */
  #select(writes: readonly Write[]): Promise<Stored | undefined> {
    return selectStored(this.#stage.database.pool, data, writes).catch(() => undefined);
  }

  /** What comes once more of a stretch that is folded has its receipt already. */
  async #dropLate(): Promise<void> {
    const { writes } = this.#stage.witness;
    const late = [...writes.values()].filter((write) => getStretch(write) <= this.#foldedUntil);
    for (const some of chunksOf(late)) {
      const stored = await this.#select(some);
      if (!stored) return;
      for (const { id } of some) if (getReceipts(id, stored).length > 0) writes.delete(id);
    }
  }

  /** The API says the same; more of it is looked at while the clients write. */
  async #lookAtSome(
    { ledger, clients }: Stretch,
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

  /** What is no write must be dead. */
  async #foldGarbage(isLast: boolean): Promise<void> {
    const { garbage } = this.#stage.witness;
    const ids = [...garbage];
    if (ids.length === 0) return;
    const sql = "SELECT message_id FROM dead_letters WHERE message_id IN (?)";
    const dead = await query(this.#stage.database.pool, sql, [ids]).catch(() => []);
    for (const { message_id } of dead) if (garbage.delete(String(message_id))) this.garbage += 1;
    if (isLast)
      for (const id of garbage) this.violations.push(`the message ${id} is no write, and not dead`);
  }

  async *#pages(table: string, key: string): AsyncGenerator<TextColumns> {
    const sql = `SELECT * FROM ${table} WHERE ${key} > ? ORDER BY ${key} LIMIT ${PAGE_ROWS}`;
    for (let after = ""; ; ) {
      const rows = await query(this.#stage.database.pool, sql, [after]);
      yield* rows as TextColumns[];
      after = String(rows.at(-1)?.[key]);
      if (rows.length < PAGE_ROWS) return;
    }
  }
}

function getReceipts(write: string, { rows, receipts, dead }: Stored) {
  return [
    ...rows
      .filter(({ version }) => version === write)
      .map(({ appliedAt }) => ({ outcome: "applied", settledAt: appliedAt })),
    ...[...receipts, ...dead].filter((receipt) => receipt.write === write),
  ];
}

/** Whole items, in the order of their writes' ids. */
function* chunksOf(writes: readonly Write[]): Generator<Write[]> {
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

/** Which stretch's clients wrote it: its number begins the names of items and of themes. */
function getStretch({ itemId, item }: Write): number {
  const name = /^hot-(\d+)-/.exec(itemId) ?? /^\w+ (\d+)-/.exec(String(item?.nombre));
  if (!name) throw new Error(`The soak's clients wrote no item like ${itemId}.`);
  return Number(name[1]);
}
