import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import { CONDITION_WAIT_MS } from "../common/limits.ts";
import type { Receipt } from "../common/receipts.ts";
import type { Row } from "../common/tables.ts";
import type { Write } from "../common/write.ts";
import { notes } from "../test/collections/notes.ts";
import { teachers } from "../test/collections/teachers.ts";
import { type ModelRow, NaiveModel, withoutCreation } from "../test/support/naive-model.ts";
import {
  anyBatch,
  anyOrder,
  anyWrites,
  type Batch,
  makeWrites,
  type PlannedWrite,
  type Schedule,
  unconditionalWrites,
} from "../test/support/schedules.ts";
import { foldWrites } from "./fold-writes.ts";

const START_MS = Date.parse("2026-03-01T09:30:00Z");

for (const [collection, numRuns] of [
  [teachers, 10_000],
  [notes, 5_000],
] as const)
  test(`after ${numRuns} random schedules the rows and outcomes of ${collection.name} are those of the naive model`, () => {
    const isOwned = collection.owner !== undefined;
    fc.assert(
      fc.property(schedules(anyWrites({ isOwned })), ({ writes: planned, deliveries }) => {
        const writes = plannedToWrites(planned, collection);
        const store = new Store();
        const model = new NaiveModel();
        let nowMs = START_MS;
        const deliver = (batch: readonly Write[], isRolledBack = false) => {
          nowMs = Math.max(nowMs, ...batch.map(({ acceptedAt }) => acceptedAt));
          store.settle(batch, nowMs, isRolledBack);
          if (!isRolledBack) for (const write of sortById(batch)) model.settle(write, nowMs);
          assert.deepEqual(store.rowsAsKnown(), model.rows());
          assert.deepEqual(store.outcomes(), model.outcomes);
          assert.deepEqual(store.created(), model.created);
          assert.deepEqual(store.others(), model.others);
        };
        for (const { batch, isRolledBack, afterMs } of deliveries) {
          nowMs += afterMs;
          deliver(pick(writes, batch), isRolledBack);
        }
        // Pub/Sub goes on delivering until each one is settled; after a minute none waits.
        deliver(writes.toReversed());
        nowMs += CONDITION_WAIT_MS;
        deliver(writes);
        assert.equal(model.outcomes.size, writes.length);
        deliver(writes);
      }),
      { numRuns },
    );
  });

test("unconditional writes converge to the same rows, however they are delivered", () => {
  const schedule = schedules(unconditionalWrites()).chain(({ writes, deliveries }) =>
    fc.record({
      writes: fc.constant(writes),
      deliveries: fc.constant(deliveries),
      rest: anyOrder(writes),
    }),
  );
  fc.assert(
    fc.property(schedule, ({ writes: planned, deliveries, rest }) => {
      const writes = plannedToWrites(planned);
      const inOrder = new NaiveModel();
      for (const write of writes) inOrder.settle(write, START_MS);
      const store = new Store();
      for (const { batch, isRolledBack } of deliveries)
        store.settle(pick(writes, batch), START_MS, isRolledBack);
      for (const place of rest) store.settle(pick(writes, [place]), START_MS, false);
      assert.deepEqual(withoutCreation(store.rowsAsKnown()), withoutCreation(inOrder.rows()));
      assert.equal(store.outcomes().size, writes.length);
    }),
    { numRuns: 3_000 },
  );
});

type Delivery = { batch: Batch; isRolledBack: boolean; afterMs: number };

function schedules(anyOf: fc.Arbitrary<PlannedWrite[]>): fc.Arbitrary<Schedule<Delivery>> {
  return anyOf.chain((writes) => {
    const delivery = fc.record({
      batch: anyBatch(writes),
      isRolledBack: fc.nat(3).map((chance) => chance === 0),
      afterMs: fc.constantFrom(0, 0, 0, 5, 30_000),
    });
    return fc.record({
      writes: fc.constant(writes),
      deliveries: fc.array(delivery, { maxLength: 8, size: "max" }),
    });
  });
}

function plannedToWrites(planned: readonly PlannedWrite[], collection = teachers): Write[] {
  return makeWrites(planned, { collection, run: 0, startMs: START_MS });
}

/** Each delivery is parsed anew, so a write that is delivered twice is two objects. */
function pick(writes: readonly Write[], batch: Batch): Write[] {
  return batch.map((place) => ({ ...(writes[place] as Write) }));
}

function sortById(writes: readonly Write[]): Write[] {
  return [...writes].sort((a, b) => (a.id < b.id ? -1 : 1));
}

/** The tables as maps, with their keys' uniqueness, and `settle` without MySQL. */
class Store {
  readonly #rows = new Map<string, Row>();
  readonly #receipts = new Map<string, Receipt>();
  /** When writes were first found to wait, by their ids. */
  readonly #waiting = new Map<string, number>();

  settle(batch: readonly Write[], nowMs: number, isRolledBack: boolean): void {
    const before = this.outcomes();
    const named = batch.flatMap(({ id, ifMatch }) => (ifMatch ? [id, ifMatch] : [id]));
    const rows = new Map(
      batch.flatMap(({ itemId }) => {
        const row = this.#rows.get(itemId);
        if (!row) return [];
        const { item: _, ...state } = row;
        return [[itemId, Object.freeze(state)] as const];
      }),
    );
    const fold = foldWrites({
      writes: batch,
      rows,
      settled: new Set(named.filter((id) => this.#receipts.has(id))),
      waitedMs: new Map([...this.#waiting].map(([id, sinceMs]) => [id, nowMs - sinceMs])),
      nowMs,
    });
    if (isRolledBack) return;
    batch.forEach(({ id }, index) => {
      if (fold.decisions[index]?.kind !== "not-yet") this.#waiting.delete(id);
      else if (!this.#waiting.has(id)) this.#waiting.set(id, nowMs);
    });
    for (const row of fold.inserts) {
      assert.ok(!this.#rows.has(row.id), `${row.id} is inserted though it exists`);
      this.#rows.set(row.id, row);
    }
    for (const row of fold.updates) {
      assert.ok(this.#rows.has(row.id), `${row.id} is updated though it does not exist`);
      this.#rows.set(row.id, row);
    }
    for (const mark of fold.marks) {
      const row = this.#rows.get(mark.id);
      assert.ok(row, `${mark.id} is marked though it does not exist`);
      this.#rows.set(mark.id, { ...row, ...mark });
    }
    for (const receipt of fold.receipts) {
      assert.ok(!this.#receipts.has(receipt.write), `${receipt.write} has two receipts`);
      this.#receipts.set(receipt.write, receipt);
    }
    const after = this.outcomes();
    for (const [id, outcome] of before) assert.equal(after.get(id), outcome, `${id} changed`);
    assert.equal(fold.decisions.length, batch.length);
    const told = new Set<string>();
    batch.forEach(({ id }, index) => {
      const decision = fold.decisions[index];
      assert.ok(decision);
      const isKnown = before.has(id) || told.has(id);
      if (decision.kind === "settled-before") assert.ok(isKnown, `${id} is not settled`);
      else if (decision.kind === "not-yet") assert.ok(!after.has(id), `${id} is settled`);
      else {
        assert.ok(decision.kind === "settled");
        assert.ok(!isKnown, `${id} is settled twice`);
        assert.equal(decision.outcome, after.get(id));
        told.add(id);
      }
    });
  }

  /** The fate of each write: its row's if it is a current version, else its receipt's. */
  outcomes(): Map<string, string> {
    const outcomes = new Map<string, string>();
    for (const { write, outcome } of this.#receipts.values()) outcomes.set(write, outcome);
    for (const { version } of this.#rows.values()) {
      assert.ok(!outcomes.has(version), `${version} has a receipt and a row`);
      outcomes.set(version, "applied");
    }
    return outcomes;
  }

  /** The writes whose receipt says that they created their item. */
  created(): Set<string> {
    const moved = [...this.#receipts.values()].filter(({ created }) => created);
    const current = [...this.#rows.values()].filter(({ created }) => created);
    return new Set([...moved.map(({ write }) => write), ...current.map(({ version }) => version)]);
  }

  /** The writes whose receipt says that the item is another's. */
  others(): Set<string> {
    const refused = [...this.#receipts.values()].filter(({ code }) => code === "not-owner");
    return new Set(refused.map(({ write }) => write));
  }

  rowsAsKnown(): Map<string, ModelRow> {
    return new Map(
      [...this.#rows].map(([key, row]) => {
        const { id, version, item, createdAt, deletedAt, fingerprint } = row;
        const owner = "owner" in row ? { owner: row.owner } : {};
        return [key, { id, version, item, createdAt, deletedAt, fingerprint, ...owner }];
      }),
    );
  }
}
