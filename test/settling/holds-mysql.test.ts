import assert from "node:assert/strict";
import test, { after, before } from "node:test";
import fc from "fast-check";
import type { Write } from "../../common/write.ts";
import { berths } from "../collections/berths.ts";
import { lockers } from "../collections/lockers.ts";
import type { Cut } from "../support/cut-pool.ts";
import { anyHolds, listPlaces, type PlannedHold } from "../support/hold-schedules.ts";
import { anyBatch, type Batch } from "../support/schedules.ts";
import { type HoldRound, TwoSubscribers } from "../support/two-subscribers.ts";

/** A settling transaction sends fewer. */
const STATEMENTS = 12;
const NO_CUTS: HoldRound["cuts"] = [undefined, undefined];

let subscribers: TwoSubscribers;
let withFeed: TwoSubscribers;

before(async () => {
  [subscribers, withFeed] = (await Promise.all([berths, lockers].map(TwoSubscribers.start))) as [
    TwoSubscribers,
    TwoSubscribers,
  ];
});
after(() => Promise.all([subscribers.stop(), withFeed.stop()]));

// Not shrunk, as in settle-mysql.test.ts: which subscriber wins is chance.
test("two subscribers at once tell no two subjects that they hold an item, whatever the clocks", async () => {
  await fc.assert(
    fc.asyncProperty(schedules(), (schedule) => subscribers.runHolds(schedule)),
    { numRuns: 60, endOnFailure: true },
  );
});

test("nor where the collection has a feed, which numbers each of their writes once", async () => {
  await fc.assert(
    fc.asyncProperty(schedules(), (schedule) => withFeed.runHolds(schedule)),
    { numRuns: 20, endOnFailure: true },
  );
});

test("with the API's clock as the judge, the same schedules find two that were told so", async () => {
  const judge = (write: Write): Write => ({ ...write, publishedAt: write.acceptedAt });
  const property = fc.asyncProperty(schedules(), (schedule) =>
    subscribers.runHolds(schedule, judge),
  );
  const { failed, errorInstance } = await fc.check(property, {
    numRuns: 500,
    endOnFailure: true,
  });
  assert.ok(failed);
  assert.match(String(errorInstance), /both hold the item/);
});

/** By instances that are right; ana holds the berth for 60 s from the start. */
const ana = (kind: PlannedHold["kind"], afterMs: number, skewMs = 0): PlannedHold => {
  return { kind, subject: "ana", afterMs, skewMs, forMs: 61_000 };
};
const berta: typeof ana = (...planned) => ({ ...ana(...planned), subject: "berta" });
const HOLD = ana("put", 0);

const races: [string, PlannedHold[], HoldRound["batches"]][] = [
  [
    "a put that is published twice, the second time too late,",
    [{ ...ana("put", 0), againMs: 70_000 }],
    [[0], [1]],
  ],
  ["two takes of a free berth", [ana("take", 0), berta("take", 5)], [[0], [1]]],
  [
    "a renewal, and another's take after the expiry",
    [ana("put", 50_000), berta("put", 20_000)],
    [[1], [2]],
  ],
  ["a release, and another's take", [ana("delete", 10_000), berta("take", 1_500)], [[1], [2]]],
  ["two renewals", [ana("put", 10_000, 60_000), ana("put", 1_500)], [[1], [2]]],
  [
    "a take by a fast API, and a renewal",
    [berta("put", 30_000, 60_000), ana("put", 5)],
    [[1], [2]],
  ],
];
for (const [what, writes, batches] of races)
  test(`${what}, settled by two subscribers at once, are never both told that they hold it`, async () => {
    const isFirst = batches[0][0] === 0;
    const holds = isFirst ? writes : [HOLD, ...writes];
    const opening = { batches: [[0], []] as [Batch, Batch], leadStatements: 0, cuts: NO_CUTS };
    for (let leadStatements = 0; leadStatements < STATEMENTS; leadStatements += 1)
      for (const order of [batches, batches.toReversed() as [Batch, Batch]]) {
        const race = { batches: order, leadStatements, cuts: NO_CUTS, afterMs: 0 };
        const deliveries = [...(isFirst ? [] : [{ ...opening, afterMs: 0 }]), race];
        await subscribers.runHolds({ holds, deliveries });
      }
  });

function schedules(): fc.Arbitrary<{ holds: PlannedHold[]; deliveries: HoldRound[] }> {
  const beforeStatement = fc.record({ beforeStatement: fc.nat(STATEMENTS) });
  const cut = fc.oneof(
    { weight: 5, arbitrary: fc.constant<Cut | undefined>(undefined) },
    { weight: 1, arbitrary: fc.oneof(beforeStatement, fc.constant("afterCommit" as const)) },
  );
  return anyHolds({ again: true }).chain((holds) => {
    const batch = anyBatch(listPlaces(holds).map(() => ({ kind: "put", item: 0, afterMs: 0 })));
    const own = fc.tuple(batch, batch);
    const same = batch.map((places): [Batch, Batch] => [places, places]);
    const round = fc.record(
      {
        batches: fc.oneof(own, own, same),
        leadStatements: fc.nat(10),
        cuts: fc.tuple(cut, cut),
        afterMs: fc.constant(0),
        sweepAfterMs: fc.constantFrom(0, 61_000, 600_000),
      },
      { requiredKeys: ["batches", "leadStatements", "cuts", "afterMs"] },
    );
    return fc.record({
      holds: fc.constant(holds),
      deliveries: fc.array(round, { maxLength: 6, size: "max" }),
    });
  });
}
