import type { Item } from "../../common/item-check.ts";
import type { Write } from "../../common/write.ts";

/** The fields of a row that do not depend on the subscriber's clock. */
export type ModelRow = {
  id: string;
  version: string;
  item: Item | null;
  createdAt: number;
  deletedAt: number | null;
  fingerprint: string | null;
  /** Where items have owners. */
  owner?: string | null | undefined;
};

/**
 * Rows without the times of creation, which say when the write that began a life was accepted: that
 * of an item's first two writes is the one which was delivered first.
 */
export function withoutCreation(rows: ReadonlyMap<string, ModelRow>) {
  return new Map([...rows].map(([id, { createdAt: _, ...row }]) => [id, row]));
}

/**
 * A second implementation of the rule of `decide`, which shares no code with it: it keeps
 * the history of each item instead of rows and receipts, and settles one write at a time.
 */
export class NaiveModel {
  readonly outcomes = new Map<string, string>();
  /** The writes that created their item, also after a delete. */
  readonly created = new Set<string>();
  /** The writes that were refused because the item is another's. */
  readonly others = new Set<string>();
  /** Whose an item is, by its id: the first write that was applied has decided it. */
  readonly #owners = new Map<string, string>();
  /** When a write was first found to wait, by its id. */
  readonly #waiting = new Map<string, number>();
  /** Of each item: its applied writes, oldest first, its superseded ones, and its duplicates. */
  readonly #histories = new Map<string, { applied: Write[]; late: Write[]; repeats: Write[] }>();

  /** Settles one write, unless it is settled already or has to wait. */
  settle(write: Write, nowMs: number): void {
    if (this.outcomes.has(write.id)) return;
    const outcome = this.#judge(write, nowMs);
    if (outcome === "wait") {
      if (!this.#waiting.has(write.id)) this.#waiting.set(write.id, nowMs);
      return;
    }
    this.outcomes.set(write.id, outcome);
    const history = this.#getHistory(write.itemId);
    const isAbsent = (history.applied.at(-1)?.kind ?? "delete") === "delete";
    if (outcome === "applied" && write.kind !== "delete" && isAbsent) this.created.add(write.id);
    if (outcome === "applied") this.#keepOwner(write);
    if (outcome === "applied") history.applied.push(write);
    if (outcome === "superseded") history.late.push(write);
    if (outcome === "duplicate") history.repeats.push(write);
    this.#histories.set(write.itemId, history);
  }

  rows(): Map<string, ModelRow> {
    const rows = new Map<string, ModelRow>();
    for (const [id, { applied }] of this.#histories) {
      const [first, last] = [applied[0], applied.at(-1)];
      if (!first || !last) continue;
      const creation = applied.findLast((write) => this.created.has(write.id)) ?? first;
      const isDelete = last.kind === "delete";
      rows.set(id, {
        id,
        version: last.id,
        item: isDelete ? null : this.#buildItem(last),
        createdAt: creation.acceptedAt,
        deletedAt: isDelete ? last.acceptedAt : null,
        fingerprint: this.#findFingerprint(id),
        ...(this.#owners.has(id) && { owner: this.#owners.get(id) }),
      });
    }
    return rows;
  }

  #judge(write: Write, nowMs: number): string {
    const { applied } = this.#getHistory(write.itemId);
    const last = applied.at(-1);
    const exists = last !== undefined && last.kind !== "delete";
    const isTooLate = last !== undefined && last.id > write.id;
    if (write.collection.owner !== undefined) {
      if (last && !write.anyOwner && this.#owners.get(write.itemId) !== write.subject) {
        this.others.add(write.id);
        return "conflict";
      }
      // A delete must find the item, which may be on its way.
      if (!last && write.kind === "delete" && !write.ifMatch)
        return this.#mayWait(write, nowMs) ? "wait" : "conflict";
    }
    if (write.kind === "create") {
      if (!last) return "applied";
      const fingerprint = this.#findFingerprint(write.itemId);
      if (!fingerprint && isTooLate) return "superseded";
      // Nobody knows the id of a keyed create before it: what is there came after the first of them.
      const isRetry = write.fingerprint === (fingerprint ?? write.fingerprint);
      return write.fingerprint && isRetry ? "duplicate" : "conflict";
    }
    if (write.ifNoneMatch && exists) return "conflict";
    if (write.ifMatch && write.ifMatch !== "*") {
      if (isTooLate) return "conflict";
      if (exists && last.id === write.ifMatch) return "applied";
      // The version named may still be in flight, as long as it is not settled.
      const mayBeInFlight = !this.#isKnown(write.ifMatch) && (!last || write.ifMatch > last.id);
      return mayBeInFlight && this.#mayWait(write, nowMs) ? "wait" : "conflict";
    }
    if (write.ifMatch === "*" && !exists) return "conflict";
    return isTooLate ? "superseded" : "applied";
  }

  #keepOwner({ itemId, item, collection }: Write): void {
    if (collection.owner !== undefined && !this.#owners.has(itemId))
      this.#owners.set(itemId, item?.[collection.owner] as string);
  }

  /** The item of an applied write; whoever has written it, it keeps its owner. */
  #buildItem({ item, itemId, collection: { owner } }: Write): Item {
    return owner === undefined ? (item as Item) : { ...item, [owner]: this.#owners.get(itemId) };
  }

  /** A write waits for a minute, from when it was first found to wait. */
  #mayWait({ id }: Write, nowMs: number): boolean {
    return nowMs < (this.#waiting.get(id) ?? nowMs) + 60_000;
  }

  /**
   * Whether a version that is not the item's current one is known to be settled. The receipt of
   * another item's current version is that item's row, which settling does not read: it counts as
   * in flight.
   */
  #isKnown(version: string): boolean {
    const current = [...this.#histories.values()].map(({ applied }) => applied.at(-1)?.id);
    return this.outcomes.has(version) && !current.includes(version);
  }

  /** The fingerprint of the item's create, or of its repetition. */
  #findFingerprint(itemId: string): string | null {
    const { applied, late, repeats } = this.#getHistory(itemId);
    return (
      [...applied, ...late, ...repeats].find(({ fingerprint }) => fingerprint)?.fingerprint ?? null
    );
  }

  #getHistory(itemId: string) {
    return this.#histories.get(itemId) ?? { applied: [], late: [], repeats: [] };
  }
}
