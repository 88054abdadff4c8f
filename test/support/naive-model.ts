import type { Item } from "../../common/collection.ts";
import type { Write } from "../../common/write.ts";

/** What anyone may know of an item: no times of the subscriber's clock. */
export type ModelRow = {
  id: string;
  version: string;
  item: Item | null;
  createdAt: number;
  deletedAt: number | null;
  fingerprint: string | null;
};

/**
 * Section 7 of the design once more, told as the story of an item and not as rows and receipts:
 * one write at a time, in the order in which they are settled. It shares no code with `decide`.
 */
export class NaiveModel {
  readonly outcomes = new Map<string, string>();
  /** Of each item: the writes that made it, oldest first, and those that came too late to. */
  readonly #stories = new Map<string, { applied: Write[]; late: Write[] }>();

  /** Settles one write, unless it is settled already or has to wait. */
  settle(write: Write, nowMs: number): void {
    if (this.outcomes.has(write.id)) return;
    const outcome = this.#judge(write, nowMs);
    if (outcome === "wait") return;
    this.outcomes.set(write.id, outcome);
    const story = this.#getStory(write.itemId);
    if (outcome === "applied") story.applied.push(write);
    if (outcome === "superseded") story.late.push(write);
    this.#stories.set(write.itemId, story);
  }

  rows(): Map<string, ModelRow> {
    const rows = new Map<string, ModelRow>();
    for (const [id, { applied, late }] of this.#stories) {
      const last = applied.at(-1);
      if (!last) continue;
      const isDelete = last.kind === "delete";
      rows.set(id, {
        id,
        version: last.id,
        item: isDelete ? null : (last.item as Item),
        createdAt: Math.min(...[...applied, ...late].map(({ acceptedAt }) => acceptedAt)),
        deletedAt: isDelete ? last.acceptedAt : null,
        fingerprint: this.#computeFingerprint(id),
      });
    }
    return rows;
  }

  #judge(write: Write, nowMs: number): string {
    const { applied } = this.#getStory(write.itemId);
    const last = applied.at(-1);
    const exists = last !== undefined && last.kind !== "delete";
    const isTooLate = last !== undefined && last.id > write.id;
    if (write.kind === "create") {
      if (!last) return "applied";
      const fingerprint = this.#computeFingerprint(write.itemId);
      if (fingerprint && fingerprint === write.fingerprint) return "duplicate";
      return isTooLate && !fingerprint ? "superseded" : "conflict";
    }
    if (write.ifNoneMatch && exists) return "conflict";
    if (write.ifMatch && write.ifMatch !== "*") {
      if (isTooLate) return "conflict";
      if (exists && last.id === write.ifMatch) return "applied";
      // The version named may still come, as long as it has not met its fate.
      const mayCome = !this.#isKnown(write.ifMatch) && (!last || write.ifMatch > last.id);
      return mayCome && nowMs < write.acceptedAt + 60_000 ? "wait" : "conflict";
    }
    if (write.ifMatch === "*" && !exists) return "conflict";
    return isTooLate ? "superseded" : "applied";
  }

  /**
   * Whether a version that is not the item's current one has a fate. Another item's current
   * version tells it only in that item's row, where nobody looks: it counts as still to come.
   */
  #isKnown(version: string): boolean {
    const current = [...this.#stories.values()].map(({ applied }) => applied.at(-1)?.id);
    return this.outcomes.has(version) && !current.includes(version);
  }

  /** The first fingerprint that came to be known of the item; all that count are the same. */
  #computeFingerprint(itemId: string): string | null {
    const { applied, late } = this.#getStory(itemId);
    return [...applied, ...late].find(({ fingerprint }) => fingerprint)?.fingerprint ?? null;
  }

  #getStory(itemId: string) {
    return this.#stories.get(itemId) ?? { applied: [], late: [] };
  }
}
