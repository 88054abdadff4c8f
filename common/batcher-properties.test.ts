import assert from "node:assert/strict";
import test from "node:test";
import { setImmediate as endOfTurn } from "node:timers/promises";
import fc from "fast-check";
import { Batcher, QueueFullError } from "./batcher.ts";

test("whatever is added and however batches end, each item gets exactly its own result", async () => {
  await fc.assert(
    fc.asyncProperty(limits(), fc.array(step(), { maxLength: 40 }), async (given, steps) => {
      const run = new Run(given);
      for (const one of steps)
        if (one === "turn") await endOfTurn();
        else if ("end" in one) run.end(one.end, one.how);
        else for (const size of one.add) run.add(size);
      await run.drain();
      await run.check();
    }),
    { numRuns: 1_000 },
  );
});

type Limits = {
  maxItems: number;
  maxConcurrent: number;
  minBatchWhileBusy: number;
  maxBytes: number;
  maxQueued: number;
  /** How many keys items have; none, where it is 0. */
  keys: number;
};
type Sized = { index: number; size: number };
type End = "answers" | "errors" | "fails" | "miscounts";
type Batch = {
  items: Sized[];
  resolve: (results: (number | Error)[]) => void;
  reject: (error: Error) => void;
};

function limits(): fc.Arbitrary<Limits> {
  const few = fc.integer({ min: 1, max: 5 });
  return fc.record({
    maxItems: few,
    maxConcurrent: few,
    minBatchWhileBusy: few,
    maxBytes: fc.integer({ min: 1, max: 20 }),
    maxQueued: fc.integer({ min: 1, max: 30 }),
    keys: fc.nat(3),
  });
}

/** Some items of these sizes come, one of the batches under way ends somehow, or a turn passes. */
function step() {
  return fc.oneof(
    fc.record({ add: fc.array(fc.nat(12), { minLength: 1, maxLength: 9 }) }),
    fc.record({
      end: fc.nat(4),
      how: fc.constantFrom<End>("answers", "errors", "fails", "miscounts"),
    }),
    fc.constant("turn" as const),
  );
}

/** One batcher, everything that its dispatch saw, and what each item ought to be answered. */
class Run {
  readonly #limits: Limits;
  readonly #batcher: Batcher<Sized, number>;
  readonly #running: Batch[] = [];
  readonly #ended: Batch[] = [];
  readonly #dispatched: number[] = [];
  readonly #expected = new Map<number, string>();
  readonly #results: Promise<string>[] = [];
  #mostRunning = 0;

  constructor(given: Limits) {
    this.#limits = given;
    this.#batcher = new Batcher<Sized, number>({
      ...given,
      getSize: ({ size }) => size,
      getKey: this.#getKey,
      dispatch: (items) => {
        const underWay = new Set(this.#running.flatMap(({ items }) => items.map(this.#getKey)));
        for (const item of items)
          assert.ok(given.keys === 0 || !underWay.has(this.#getKey(item)), "its key is under way");
        const { promise, resolve, reject } = Promise.withResolvers<(number | Error)[]>();
        this.#running.push({ items, resolve, reject });
        this.#dispatched.push(...items.map(({ index }) => index));
        this.#mostRunning = Math.max(this.#mostRunning, this.#running.length);
        return promise;
      },
    });
  }

  readonly #getKey = ({ index }: Sized) =>
    this.#limits.keys > 0 ? `${index % this.#limits.keys}` : undefined;

  add(size: number): void {
    const index = this.#results.length;
    if (this.#batcher.queued >= this.#limits.maxQueued) this.#expected.set(index, "QueueFullError");
    const result = this.#batcher.add({ index, size }).then(
      (value) => `answer ${value}`,
      (error: Error) => (error instanceof QueueFullError ? error.name : error.message),
    );
    this.#results.push(result);
  }

  end(which: number, how: End): void {
    const [batch] = this.#running.splice(which % Math.max(1, this.#running.length), 1);
    if (!batch) return;
    this.#ended.push(batch);
    const answers = batch.items.map(({ index }): number | Error =>
      how === "errors" && index % 2 ? new Error(`error ${index}`) : index,
    );
    const count = batch.items.length;
    for (const { index } of batch.items) {
      const own = how === "errors" && index % 2 ? `error ${index}` : `answer ${index}`;
      const miscounted = `Batcher: dispatch must answer ${count} items, but answered ${count + 1}.`;
      const all = { answers: own, errors: own, fails: "the call failed", miscounts: miscounted };
      this.#expected.set(index, all[how]);
    }
    if (how === "fails") batch.reject(new Error("the call failed"));
    else batch.resolve(how === "miscounts" ? [...answers, 0] : answers);
  }

  async drain(): Promise<void> {
    let isDrained = false;
    const drained = this.#batcher.drain().then(() => {
      isDrained = true;
    });
    for (let turns = 0; !isDrained; turns += 1) {
      // Each batch may wait for a few turns.
      assert.ok(turns <= 6 * (this.#results.length + 1), "drain hangs");
      while (this.#running.length > 0) this.end(0, "answers");
      await endOfTurn();
    }
    await drained;
  }

  async check(): Promise<void> {
    const results = await Promise.all(this.#results);
    results.forEach((result, index) => {
      assert.equal(result, this.#expected.get(index), `item ${index}`);
    });
    const accepted = results.flatMap((result, index) =>
      result === "QueueFullError" ? [] : [index],
    );
    const { maxItems, maxBytes, maxConcurrent, keys } = this.#limits;
    const byKey = (indexes: number[]) => Map.groupBy(indexes, (index) => index % Math.max(1, keys));
    for (const [key, indexes] of byKey(accepted))
      assert.deepEqual(
        byKey(this.#dispatched).get(key),
        indexes,
        "one key's items keep their order",
      );
    assert.equal(this.#dispatched.length, accepted.length);
    assert.ok(this.#mostRunning <= maxConcurrent, `${this.#mostRunning} batches at once`);
    for (const { items } of this.#ended) {
      const bytes = items.reduce((sum, { size }) => sum + size, 0);
      assert.ok(items.length >= 1 && items.length <= maxItems, `${items.length} items`);
      assert.ok(items.length === 1 || bytes <= maxBytes, `${bytes} bytes`);
    }
  }
}
