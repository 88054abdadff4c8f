import test, { after, before } from "node:test";
import fc from "fast-check";
import { notes } from "../collections/notes.ts";
import { anyBatch, anyWrites, type Batch, type PlannedWrite } from "../support/schedules.ts";
import { type Round, TwoSubscribers } from "../support/two-subscribers.ts";

/** Of each race: which subscriber wins it is chance. */
const REPETITIONS = 2;
/** A settling transaction sends fewer. */
const STATEMENTS = 12;

let subscribers: TwoSubscribers;

before(async () => {
  subscribers = await TwoSubscribers.start(notes);
});
after(() => subscribers.stop());

// Not shrunk, as in settle-mysql.test.ts: which subscriber wins is chance.
test("two subscribers at once settle the writes of several subjects, whatever is lost or doubled", async (t) => {
  const setClock = stopClock(t);
  const schedules = anyWrites({ isOwned: true }).chain((writes) => {
    const own = fc.tuple(anyBatch(writes), anyBatch(writes));
    const same = anyBatch(writes).map((batch): [Batch, Batch] => [batch, batch]);
    const round = fc.record({
      batches: fc.oneof(own, own, same),
      leadStatements: fc.nat(10),
      cuts: fc.constant<Round["cuts"]>([undefined, undefined]),
      afterMs: fc.constantFrom(0, 0, 30_000),
    });
    const deliveries = fc.array(round, { maxLength: 6, size: "max" });
    return fc.record({ writes: fc.constant(writes), deliveries });
  });
  await fc.assert(
    fc.asyncProperty(schedules, (schedule) =>
      subscribers.run(schedule, { setClock, isUnconditional: false }),
    ),
    { numRuns: 40, endOnFailure: true },
  );
});

const ana = (kind: PlannedWrite["kind"], more: Partial<PlannedWrite> = {}): PlannedWrite => {
  return { kind, item: 0, afterMs: 1, subject: "ana", ...more };
};
const bruno: typeof ana = (kind, more) => ana(kind, { ...more, subject: "bruno" });

const races: [string, PlannedWrite[], Round["batches"]][] = [
  ["two subjects' first puts of one id", [ana("put"), bruno("put")], [[0], [1]]],
  ["a delete by a stranger, and the put of the item", [ana("put"), bruno("delete")], [[1], [0]]],
  ["a delete that is delivered before its item's put", [ana("put"), ana("delete")], [[1], [0]]],
  [
    "a delete that is delivered alone, and with its item's put",
    [ana("put"), ana("delete")],
    [[1], [0, 1]],
  ],
  [
    "one delete of no item, delivered twice",
    [bruno("put", { item: 1 }), ana("delete")],
    [[1], [1]],
  ],
  [
    "a put after the owner's delete, by a stranger",
    [ana("put"), ana("delete"), bruno("put")],
    [
      [0, 1],
      [1, 2],
    ],
  ],
  [
    "records of both subjects in one batch, and the other way round in another",
    [ana("put"), bruno("put"), ana("put", { item: 1 }), bruno("put", { item: 1 })],
    [
      [0, 3],
      [1, 2],
    ],
  ],
];
for (const [what, writes, [one, other]] of races)
  test(`${what}: each is settled once, by the rule that the first decides`, async (t) => {
    const setClock = stopClock(t);
    const cuts: Round["cuts"] = [undefined, undefined];
    for (let repetition = 0; repetition < REPETITIONS; repetition += 1)
      for (let leadStatements = 0; leadStatements < STATEMENTS; leadStatements += 1)
        for (const batches of [
          [one, other],
          [other, one],
        ] as Round["batches"][]) {
          const deliveries = [{ batches, leadStatements, cuts, afterMs: 0 }];
          const areWaitsOver = repetition % 2 === 1;
          const options = { setClock, isUnconditional: false, areWaitsOver };
          await subscribers.run({ writes, deliveries }, options);
        }
  });

/** The time at which writes are accepted and settled, so that a schedule is the same again. */
function stopClock(t: test.TestContext): (ms: number) => void {
  t.mock.timers.enable({ apis: ["Date"], now: Date.now() });
  return (ms) => t.mock.timers.setTime(ms);
}
