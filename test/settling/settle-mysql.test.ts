import test, { after, before } from "node:test";
import fc from "fast-check";
import { visits } from "../collections/visits.ts";
import type { Cut } from "../support/cut-pool.ts";
import {
  anyBatch,
  anyWrites,
  type Batch,
  type PlannedWrite,
  type Schedule,
  unconditionalWrites,
} from "../support/schedules.ts";
import { type Round, TwoSubscribers } from "../support/two-subscribers.ts";

/** Of each race: which subscriber wins it is chance. */
const REPETITIONS = 2;

let subscribers: TwoSubscribers;
let numbering: TwoSubscribers;

before(async () => {
  subscribers = await TwoSubscribers.start();
  numbering = await TwoSubscribers.start(visits);
});
after(() => Promise.all([subscribers.stop(), numbering.stop()]));

// A failure prints fast-check's seed and the schedule. It is not shrunk: which subscriber wins a race
// is chance, so that a smaller schedule proves nothing by passing.
test("two subscribers at once settle every write exactly once, whatever is lost or doubled", async (t) => {
  const setClock = stopClock(t);
  await fc.assert(
    fc.asyncProperty(schedules(anyWrites({ poison: true })), (schedule) =>
      subscribers.run(schedule, { setClock, isUnconditional: false }),
    ),
    { numRuns: 60, endOnFailure: true },
  );
});

test("two subscribers at once bring unconditional writes to the same rows", async (t) => {
  const setClock = stopClock(t);
  await fc.assert(
    fc.asyncProperty(schedules(unconditionalWrites({ poison: true })), (schedule) =>
      subscribers.run(schedule, { setClock, isUnconditional: true }),
    ),
    { numRuns: 30, endOnFailure: true },
  );
});

test("two subscribers at once number every applied write of a feed once, whatever is lost or doubled", async (t) => {
  const setClock = stopClock(t);
  await fc.assert(
    fc.asyncProperty(schedules(anyWrites({ poison: true })), (schedule) =>
      numbering.run(schedule, { setClock, isUnconditional: false }),
    ),
    { numRuns: 40, endOnFailure: true },
  );
});

const races: [string, PlannedWrite[]][] = [
  ["a put with If-Match: *", [planned("create"), planned("put", { condition: "exists" })]],
  ["a delete with If-Match: *", [planned("create"), planned("delete", { condition: "exists" })]],
  ["a put with a version in If-Match", [planned("create"), planned("put", { condition: 0 })]],
  ["a put with If-None-Match: *", [planned("put"), planned("put", { condition: "absent" })]],
  ["two creates of one key", [planned("create", { key: "a" }), planned("create", { key: "a" })]],
];
for (const [what, writes] of races)
  test(`${what} is settled once, though one subscriber has it alone and the other after its first write`, async (t) => {
    await runRaces(stopClock(t), { writes, batches: [[1], [0, 1]], areWaitsOver: true });
  });

test("a write that MySQL refuses alone, but another replaces in its batch, has one outcome", async (t) => {
  const writes = [planned("create", { poison: true }), planned("put")];
  const setClock = stopClock(t);
  await runRaces(setClock, { writes, batches: [[0], [0, 1]] });
  const onRow = [planned("create"), ...writes.map((write) => ({ ...write, kind: "put" as const }))];
  await runRaces(setClock, { writes: onRow, batches: [[1], [1, 2]] });
});

test("a write that finds no item is settled once, where MySQL refuses the next write of its batch and another makes the item", async (t) => {
  const dependent = planned("put", { condition: "exists" });
  const writes = [planned("put"), dependent, planned("put", { poison: true })];
  const batches: Round["batches"] = [
    [1, 2],
    [0, 1],
  ];
  await runRaces(stopClock(t), { writes, batches, isOpened: false });
});

/** Delivers both batches at once, one of them after each number of statements of the other. */
async function runRaces(
  setClock: (ms: number) => void,
  {
    writes,
    batches: [one, other],
    areWaitsOver = false,
    isOpened = writes.length > 2,
  }: {
    writes: PlannedWrite[];
    batches: Round["batches"];
    areWaitsOver?: boolean;
    isOpened?: boolean;
  },
): Promise<void> {
  const first = { batches: [[0], []] as Round["batches"], leadStatements: 0 };
  const opening = isOpened ? [{ ...first, cuts: NO_CUTS, afterMs: 0 }] : [];
  const orders: Round["batches"][] = [
    [one, other],
    [other, one],
  ];
  for (let repetition = 0; repetition < REPETITIONS; repetition += 1)
    for (let leadStatements = 0; leadStatements < 12; leadStatements += 1)
      for (const batches of orders) {
        const race = { batches, leadStatements, cuts: NO_CUTS, afterMs: 0 };
        const options = { setClock, isUnconditional: false, areWaitsOver };
        await subscribers.run({ writes, deliveries: [...opening, race] }, options);
      }
}

const NO_CUTS: Round["cuts"] = [undefined, undefined];

function planned(kind: PlannedWrite["kind"], more: Partial<PlannedWrite> = {}): PlannedWrite {
  return { kind, item: 0, afterMs: 1, ...more };
}

function schedules(anyOf: fc.Arbitrary<PlannedWrite[]>): fc.Arbitrary<Schedule<Round>> {
  const beforeStatement = fc.record({ beforeStatement: fc.nat(14) });
  const cut = fc.oneof(
    { weight: 3, arbitrary: fc.constant<Cut | undefined>(undefined) },
    { weight: 1, arbitrary: fc.oneof(beforeStatement, fc.constant("afterCommit" as const)) },
  );
  return anyOf.chain((writes) => {
    const own = fc.tuple(anyBatch(writes), anyBatch(writes));
    const same = anyBatch(writes).map((batch): [Batch, Batch] => [batch, batch]);
    const round = fc.record({
      batches: fc.oneof(own, own, same),
      leadStatements: fc.nat(10),
      cuts: fc.tuple(cut, cut),
      afterMs: fc.constantFrom(0, 0, 0, 30_000),
    });
    return fc.record({
      writes: fc.constant(writes),
      deliveries: fc.array(round, { maxLength: 6, size: "max" }),
    });
  });
}

/** Sets the clock that settling reads, so that a write which waits for a version is overdue at once. */
function stopClock(t: test.TestContext): (ms: number) => void {
  t.mock.timers.enable({ apis: ["Date"], now: Date.now() });
  return (ms) => t.mock.timers.setTime(ms);
}
