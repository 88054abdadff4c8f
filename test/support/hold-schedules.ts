import assert from "node:assert/strict";
import fc from "fast-check";
import type { Collection } from "../../common/collection.ts";
import { EXPIRY_GRACE_MS, SWEEP_AFTER_SECONDS } from "../../common/limits.ts";
import type { RowState } from "../../common/tables.ts";
import type { Write } from "../../common/write.ts";
import { deriveExpireId, deriveNextId } from "../../common/write-id.ts";
import { versionAt } from "./schedules.ts";

/**
 * Writes of several subjects to one item that expires, by API instances whose clocks are wrong by up
 * to a minute. Plain data, so that fast-check can print it; {@link makeHolds} makes the writes.
 */
export type PlannedHold = {
  kind: "put" | "take" | "delete";
  subject: "ana" | "berta" | "carla";
  /** Milliseconds of Pub/Sub's clock since the write before it was published. */
  afterMs: number;
  /** By how much the clock of its API instance is ahead. */
  skewMs: number;
  /** For how long the item is held, by that clock. */
  forMs: number;
  /** It is published once more so much later: the first time, the answer was lost. */
  againMs?: number;
  /** It was dead, and is replayed so much later. */
  replayMs?: number;
  /** `If-Match` with the version of the write in that place, or with one that is this far ahead. */
  condition?: { place: number } | { aheadMs: number };
};

/** Writes of a schedule at most; {@link makeHolds} numbers each run's ids with room for them. */
const MAX_HOLDS = 10;
const SKEWS_MS = [-60_000, -30_000, -5_000, 0, 0, 5_000, 30_000, 60_000];

/** A `take` is a put with `If-None-Match: *`. With `again`, some are published twice, or replayed. */
export function anyHolds({ again = false } = {}): fc.Arbitrary<PlannedHold[]> {
  const hold = fc.record({
    kind: fc.constantFrom<PlannedHold["kind"]>("put", "put", "put", "take", "take", "delete"),
    subject: fc.constantFrom<PlannedHold["subject"]>("ana", "ana", "berta", "berta", "carla"),
    afterMs: fc.constantFrom(0, 1, 400, 999, 1_000, 1_001, 9_000, 30_000, 61_000),
    skewMs: fc.constantFrom(...SKEWS_MS),
    forMs: fc.constantFrom(1_000, 10_000, 61_000, 120_000),
    againMs: again
      ? fc.constantFrom(undefined, undefined, undefined, undefined, 5, 4_000, 70_000)
      : fc.constant(undefined),
    replayMs: again
      ? fc.constantFrom(undefined, undefined, undefined, undefined, 500, 5_000, 70_000)
      : fc.constant(undefined),
    condition: fc.constantFrom("none", "none", "none", "none", "version", "ahead"),
    named: fc.nat(MAX_HOLDS),
  });
  return fc.array(hold, { minLength: 2, maxLength: MAX_HOLDS, size: "max" }).map((all) =>
    all.map(({ condition, named, againMs, replayMs, ...rest }, place) => {
      const planned: PlannedHold = {
        ...rest,
        ...(againMs !== undefined && { againMs }),
        ...(replayMs !== undefined && againMs === undefined && { replayMs }),
      };
      if (condition === "none" || planned.kind === "take" || place === 0) return planned;
      if (condition === "ahead") return { ...planned, condition: { aheadMs: 60_000 } };
      return { ...planned, condition: { place: named % place } };
    }),
  );
}

/** Places of the writes that {@link makeHolds} makes. */
export function listPlaces(planned: readonly PlannedHold[]): number[] {
  const again = planned.filter(({ againMs }) => againMs !== undefined);
  return Array.from({ length: planned.length + again.length }, (_, place) => place);
}

/**
 * Makes the planned writes; the first is published at `startMs` of Pub/Sub's clock. Those that are
 * published once more are once more behind them all.
 */
export function makeHolds(
  planned: readonly PlannedHold[],
  options: { collection: Collection; run: number; startMs: number },
): Write[] {
  const { collection, run } = options;
  const itemId = `run-${run}`;
  const writes: Write[] = [];
  let publishedAt = options.startMs;
  planned.forEach(({ kind, subject, afterMs, skewMs, forMs, condition }, place) => {
    publishedAt += afterMs;
    const clockMs = publishedAt + skewMs;
    const serial = 2 * (run * MAX_HOLDS + place) + 1;
    const ifMatch =
      condition &&
      ("place" in condition
        ? (writes[condition.place] as Write).id
        : versionAt(clockMs + condition.aheadMs, serial - 1));
    // As the API mints it: after the version that it names.
    const acceptedAt = Math.max(clockMs, ifMatch ? readTime(ifMatch) + 1 : 0);
    const write: Write = {
      id: versionAt(acceptedAt, serial),
      kind: kind === "delete" ? "delete" : "put",
      collection,
      itemId,
      acceptedAt,
      publishedAt,
      subject,
    };
    if (kind !== "delete")
      write.item = {
        note: `hold ${place}`,
        user: subject,
        heldUntil: new Date(clockMs + forMs).toISOString(),
      };
    if (kind === "take") write.ifNoneMatch = true;
    if (ifMatch) write.ifMatch = ifMatch;
    writes.push(write);
  });
  planned.forEach(({ againMs, replayMs }, place) => {
    const write = writes[place] as Write;
    const firstPublishedAt = write.publishedAt as number;
    if (againMs !== undefined) writes.push({ ...write, publishedAt: firstPublishedAt + againMs });
    if (replayMs !== undefined)
      writes[place] = {
        ...write,
        id: deriveNextId(write.id),
        publishedAt: firstPublishedAt + replayMs,
        firstPublishedAt,
      };
  });
  return writes;
}

function readTime(version: string): number {
  return Number.parseInt(version.replaceAll("-", "").slice(0, 12), 16);
}

/** What the sweep publishes at this time of Pub/Sub's clock; undefined where there is nothing to sweep. */
export function buildExpire(
  collection: Collection,
  row: RowState | undefined,
  publishedAt: number,
): Write | undefined {
  const expiresAt = row?.expiresAt;
  if (!row || row.deletedAt !== null || !expiresAt) return undefined;
  if (publishedAt < expiresAt + SWEEP_AFTER_SECONDS * 1_000) return undefined;
  return {
    id: deriveExpireId(row.version, expiresAt),
    kind: "expire",
    collection,
    itemId: row.id,
    acceptedAt: publishedAt,
    publishedAt,
    ifMatch: row.version,
  };
}

/** From when to when a subject held the item, by Pub/Sub's clock. */
type Hold = { write: string; subject: string; fromMs: number; toMs: number };

/**
 * Asserts that no two subjects were told that they held the item at one time of Pub/Sub's clock, of
 * the writes that were applied. A hold lasts until its expiry, or until the same subject replaced or
 * released it by a newer version that was not published before it. A write is there more than once where it was published so and it is not known which message was settled: then a hold is
 * the shortest that it may have been. A replay has the dead write's place among the others.
 */
export function assertNoOverlap(applied: readonly Write[]): void {
  const byId = [...Map.groupBy(applied, ({ id }) => id).values()];
  const all = byId.map((messages): Published => {
    const times = messages.map(({ publishedAt = 0 }) => publishedAt);
    const places = messages.map(({ firstPublishedAt }, index) => firstPublishedAt ?? times[index]);
    const firstMs = Math.min(...(places as number[]));
    return { write: messages[0] as Write, firstMs, lastMs: Math.max(...times) };
  });
  const holds = all.flatMap((one) => toHold(one, all) ?? []);
  for (const one of holds)
    for (const other of holds)
      assert.ok(
        one.subject === other.subject || one.toMs <= other.fromMs || other.toMs <= one.fromMs,
        `${one.subject} and ${other.subject} both hold the item: ${JSON.stringify([one, other])}`,
      );
}

/** A write, its first place by publish time, and the last time at which a message of it was published. */
type Published = { write: Write; firstMs: number; lastMs: number };

function toHold({ write, firstMs, lastMs }: Published, all: readonly Published[]) {
  const { id, subject, item, itemId } = write;
  if (!item) return undefined;
  const ends = all
    .filter(({ write: own }) => own.subject === subject && own.itemId === itemId && own.id > id)
    .filter((own) => own.lastMs + EXPIRY_GRACE_MS >= firstMs)
    .map((own) => own.firstMs);
  const hold: Hold = {
    write: id,
    subject: subject ?? "",
    fromMs: lastMs,
    toMs: Math.min(Date.parse(String(item.heldUntil)), ...ends),
  };
  return hold.fromMs < hold.toMs ? hold : undefined;
}
