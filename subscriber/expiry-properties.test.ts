import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import { CONDITION_WAIT_MS } from "../common/limits.ts";
import type { RowState } from "../common/tables.ts";
import type { Write } from "../common/write.ts";
import { berths } from "../test/collections/berths.ts";
import {
  anyHolds,
  assertNoOverlap,
  buildExpire,
  listPlaces,
  makeHolds,
  type PlannedHold,
} from "../test/support/hold-schedules.ts";
import { anyBatch } from "../test/support/schedules.ts";
import { foldWrites } from "./fold-writes.ts";

const START_MS = Date.parse("2026-03-01T09:30:00Z");

/** A batch of places, or a sweep so long after the last write was published. */
type Delivery = { batch: number[] } | { sweepAfterMs: number };
type Schedule = { holds: PlannedHold[]; deliveries: Delivery[] };

test("in no schedule, whatever the clocks, two subjects are told that they hold an item at once", () => {
  fc.assert(property(), { numRuns: 10_000 });
});

test("with the API's clock as the judge, the same schedules find two that do", () => {
  const judged = ({ acceptedAt, ...write }: Write): Write => ({
    ...write,
    acceptedAt,
    publishedAt: acceptedAt,
  });
  assert.ok(fc.check(property(judged), { numRuns: 10_000 }).failed);
});

test("with the time of the delivery as the judge, they do, too", () => {
  let deliveries = 0;
  const judged = (write: Write): Write => {
    deliveries += 1;
    return { ...write, publishedAt: (write.publishedAt ?? 0) + (deliveries % 7) * 20_000 };
  };
  assert.ok(fc.check(property(judged), { numRuns: 10_000 }).failed);
});

/** `judged` is the write as settlement gets it. */
function property(judged: (write: Write) => Write = (write) => ({ ...write })) {
  return fc.property(schedules(), ({ holds, deliveries }) => {
    const writes = makeHolds(holds, { collection: berths, run: 0, startMs: START_MS });
    const endMs = Math.max(...writes.map(({ publishedAt = 0 }) => publishedAt));
    const item = new Item();
    /** What Pub/Sub's clock says of a delivery, which settlement may be told otherwise. */
    const origins = new Map<Write, Write>();
    const deliver = (write: Write): Write => {
      const delivered = judged(write);
      origins.set(delivered, write);
      return delivered;
    };
    const sweeps: Write[] = [];
    for (const delivery of deliveries) {
      if ("batch" in delivery) {
        item.settle(delivery.batch.map((place) => deliver(writes[place] as Write)));
        continue;
      }
      const sweep = item.sweep(endMs + delivery.sweepAfterMs);
      if (sweep) sweeps.push(sweep);
      // An earlier one may be delivered once more, or only now.
      item.settle(sweeps.filter((_, place) => place % 2 === sweeps.length % 2));
    }
    const all = [...writes.map(deliver), ...sweeps];
    item.settle(all.toReversed());
    item.settle(all, CONDITION_WAIT_MS);
    item.settle(all);
    assert.equal(item.outcomes.size, new Set(all.map(({ id }) => id)).size);
    assertNoOverlap(item.applied.map((write) => origins.get(write) ?? write));
  });
}

function schedules(): fc.Arbitrary<Schedule> {
  return anyHolds({ again: true }).chain((holds) => {
    const batch = anyBatch(listPlaces(holds).map(() => ({ kind: "put", item: 0, afterMs: 0 })));
    const delivery = fc.oneof(
      { weight: 4, arbitrary: fc.record({ batch }) },
      { weight: 1, arbitrary: fc.record({ sweepAfterMs: fc.constantFrom(0, 61_000, 600_000) }) },
    );
    return fc.record({
      holds: fc.constant(holds),
      deliveries: fc.array(delivery, { maxLength: 8, size: "max" }),
    });
  });
}

/** One item and its receipts, without MySQL. */
class Item {
  readonly outcomes = new Map<string, string>();
  readonly applied: Write[] = [];
  #row: RowState | undefined;

  /** Those that wait have been waiting for `waitedMs`. */
  settle(writes: readonly Write[], waitedMs = 0): void {
    const settled = new Set(this.outcomes.keys());
    if (this.#row) settled.delete(this.#row.version);
    const rows = new Map(this.#row && [[this.#row.id, this.#row]]);
    const waits = new Map(writes.map(({ id }) => [id, waitedMs]));
    const fold = foldWrites({ writes, rows, settled, waitedMs: waits, nowMs: START_MS });
    const [row] = [...fold.inserts, ...fold.updates, ...fold.marks];
    if (row) this.#row = row;
    fold.decisions.forEach((decision, index) => {
      const write = writes[index] as Write;
      if (decision.kind !== "settled") return;
      assert.ok(!this.outcomes.has(write.id), `${write.id} is settled twice`);
      this.outcomes.set(write.id, decision.outcome);
      if (decision.outcome === "applied") this.applied.push(write);
    });
  }

  sweep(publishedAt: number): Write | undefined {
    return buildExpire(berths, this.#row, publishedAt);
  }
}
