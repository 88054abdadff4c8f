import assert from "node:assert/strict";
import test, { type TestContext } from "node:test";
import { setImmediate as nextTurn } from "node:timers/promises";
import { Batcher, type BatcherOptions, QueueFullError } from "./batcher.ts";
import { DeadlineExceededError } from "./deadline.ts";

test("a single item is dispatched at the end of its turn", async () => {
  const { batcher, batches } = holdBatches();
  const result = batcher.add(1);
  assert.equal(batches.length, 0);
  assert.equal(batcher.queued, 1);
  await nextTurn();
  assert.deepEqual(batches[0]?.items, [1]);
  assert.equal(batcher.queued, 0);
  batches[0]?.end([10]);
  assert.equal(await result, 10);
});

test("items are dispatched together with those of the next turns, in order, while each turn adds more", async () => {
  const { batcher, batches } = holdBatches();
  const results = [1, 2].map((item) => batcher.add(item));
  for (const item of [3, 4]) {
    await nextTurn();
    assert.equal(batches.length, 0);
    results.push(batcher.add(item));
  }
  await endOfTurns();
  assert.deepEqual(
    batches.map(({ items }) => items),
    [[1, 2, 3, 4]],
  );
  batches[0]?.end([1, 2, 3, 4]);
  assert.deepEqual(await Promise.all(results), [1, 2, 3, 4]);
});

test("a batch is dispatched after four further turns, even if each adds more", async () => {
  const { batcher, batches } = holdBatches();
  const results: Promise<number>[] = [];
  for (let turn = 0; batches.length === 0; turn += 1) {
    assert.ok(turn < 6, "it never leaves");
    results.push(batcher.add(2 * turn), batcher.add(2 * turn + 1));
    await nextTurn();
  }
  const [first] = batches;
  assert.equal(first?.items.length, results.length);
  assert.equal(first?.items.length, 10);
  first?.end(first.items);
  await Promise.all(results);
});

test("a full batch is dispatched at once", async () => {
  const { batcher, batches } = holdBatches({ maxItems: 2 });
  const results = [1, 2].map((item) => batcher.add(item));
  await nextTurn();
  results.push(batcher.add(3));
  await nextTurn();
  assert.deepEqual(batches[0]?.items, [1, 2]);
  batches[0]?.end([1, 2]);
  await results[0];
  batches[1]?.end([3]);
  assert.deepEqual(await Promise.all(results), [1, 2, 3]);
});

test("items of one turn leave together, in their order", async () => {
  const { batcher, batches } = holdBatches();
  const results = [3, 1, 2].map((item) => batcher.add(item));
  await Promise.resolve().then(() => results.push(batcher.add(4)));
  await endOfTurns();
  assert.deepEqual(
    batches.map(({ items }) => items),
    [[3, 1, 2, 4]],
  );
  batches[0]?.end([30, 10, 20, 40]);
  assert.deepEqual(await Promise.all(results), [30, 10, 20, 40]);
});

test("items added while maxConcurrent batches run are dispatched together when one ends", async () => {
  const { batcher, batches } = holdBatches({ maxConcurrent: 2 });
  const results: Promise<number>[] = [];
  for (const item of [1, 2, 3, 4]) {
    results.push(batcher.add(item));
    await endOfTurns();
  }
  assert.deepEqual(
    batches.map(({ items }) => items),
    [[1], [2]],
  );
  assert.equal(batcher.queued, 2);
  batches[1]?.end([2]);
  await results[1];
  assert.deepEqual(batches[2]?.items, [3, 4]);
  batches[0]?.end([1]);
  batches[2]?.end([3, 4]);
  assert.deepEqual(await Promise.all(results), [1, 2, 3, 4]);
});

test("another batch leaves beside one under way only with minBatchWhileBusy items", async () => {
  const { batcher, batches } = holdBatches({ maxConcurrent: 2, minBatchWhileBusy: 3 });
  const results: Promise<number>[] = [];
  const add = async (item: number) => {
    results.push(batcher.add(item));
    await endOfTurns();
  };
  for (const item of [1, 2, 3, 4, 5, 6, 7]) await add(item);
  assert.deepEqual(
    batches.map(({ items }) => items),
    [[1], [2, 3, 4]],
  );
  batches[1]?.end([2, 3, 4]);
  await results[1];
  assert.deepEqual(batches[2]?.items, [5, 6, 7]);
  await add(8);
  batches[2]?.end([5, 6, 7]);
  await results[4];
  assert.equal(batches.length, 3, "one item waits for the batch that is under way");
  batches[0]?.end([1]);
  await results[0];
  assert.deepEqual(batches[3]?.items, [8]);
  batches[3]?.end([8]);
  assert.deepEqual(await Promise.all(results), [1, 2, 3, 4, 5, 6, 7, 8]);
});

test("a full batch leaves beside another, though it may hold fewer than minBatchWhileBusy", async () => {
  const { batcher, batches } = holdBatches({ maxItems: 1, maxConcurrent: 2, minBatchWhileBusy: 2 });
  const first = batcher.add(1);
  await endOfTurns();
  const others = [2, 3].map((item) => batcher.add(item));
  await endOfTurns();
  assert.deepEqual(
    batches.map(({ items }) => items),
    [[1], [2]],
  );
  batches[0]?.end([1]);
  await first;
  batches[1]?.end([2]);
  await others[0];
  batches[2]?.end([3]);
  await others[1];
});

test("an item whose key is under way keeps its place, and waits only for that", async () => {
  const getKey = (item: number) => `${item % 10}`;
  const { batcher, batches } = holdBatches({ maxConcurrent: 3, getKey });
  const first = batcher.add(11);
  await endOfTurns();
  const others = [21, 12, 31, 22, 13].map((item) => batcher.add(item));
  await endOfTurns();
  assert.deepEqual(
    batches.map(({ items }) => items),
    [[11], [12, 22, 13]],
  );
  assert.equal(batcher.queued, 2);
  const next = batcher.add(14);
  batches[0]?.end([11]);
  await first;
  await endOfTurns();
  assert.deepEqual(batches[2]?.items, [21, 31, 14]);
  for (const { items, end } of batches.slice(1)) end(items);
  assert.deepEqual(await Promise.all([...others, next]), [21, 12, 31, 22, 13, 14]);
});

test("what waits for a key does not count towards minBatchWhileBusy", async () => {
  const getKey = (item: number) => (item > 100 ? undefined : `${item % 10}`);
  const { batcher, batches } = holdBatches({ maxConcurrent: 2, minBatchWhileBusy: 2, getKey });
  const results = [batcher.add(11)];
  await endOfTurns();
  for (const item of [21, 31, 12]) results.push(batcher.add(item));
  await endOfTurns();
  assert.equal(batches.length, 1);
  results.push(batcher.add(101));
  await endOfTurns();
  assert.deepEqual(batches[1]?.items, [12, 101]);
  for (const { items, end } of batches) end(items);
  await results[0];
  await endOfTurns();
  assert.deepEqual(batches[2]?.items, [21, 31]);
  batches[2]?.end([21, 31]);
  assert.deepEqual(await Promise.all(results), [11, 21, 31, 12, 101]);
});

test("an item without a result is rejected at its deadline, and what still waits never leaves", async () => {
  const { batcher, batches } = holdBatches({ deadlineMs: 300 });
  const underWay = batcher.add(1);
  await endOfTurns();
  const waiting = batcher.add(2);
  await assert.rejects(underWay, DeadlineExceededError);
  await assert.rejects(waiting, DeadlineExceededError);
  assert.equal(batcher.queued, 0);
  const next = batcher.add(3);
  batches[0]?.end([10]);
  await endOfTurns();
  assert.deepEqual(batches[1]?.items, [3]);
  batches[1]?.end([30]);
  assert.equal(await next, 30);
  await batcher.drain();
});

test("the deadline of an item that was answered is forgotten; later ones have their own", async () => {
  const { batcher, batches } = holdBatches({ deadlineMs: 300, maxConcurrent: 2 });
  const first = batcher.add(1);
  await endOfTurns();
  const second = batcher.add(2);
  await endOfTurns();
  batches[0]?.end([10]);
  assert.equal(await first, 10);
  await assert.rejects(second, DeadlineExceededError);
  const third = batcher.add(3);
  await assert.rejects(third, DeadlineExceededError);
});

test("an item that was added later than one that is late has the rest of its own time", async (t) => {
  const pass = mockTime(t);
  const { batcher, batches } = holdBatches({ deadlineMs: 300, maxConcurrent: 2 });
  const first = batcher.add(1);
  await endOfTurns();
  pass(200);
  const second = batcher.add(2);
  await endOfTurns();
  pass(100);
  await assert.rejects(first, DeadlineExceededError);
  batches[1]?.end([20]);
  assert.equal(await second, 20);
});

test("an item that was added later than one that is late is rejected at its own deadline", async (t) => {
  const pass = mockTime(t);
  const { batcher } = holdBatches({ deadlineMs: 300, maxConcurrent: 1 });
  const rejected: number[] = [];
  for (const item of [1, 2, 3]) {
    batcher.add(item).catch(() => rejected.push(item));
    await endOfTurns();
    pass(100);
  }
  await endOfTurns();
  assert.deepEqual(rejected, [1]);
  pass(99);
  await endOfTurns();
  assert.deepEqual(rejected, [1]);
  pass(1);
  await endOfTurns();
  assert.deepEqual(rejected, [1, 2]);
  pass(100);
  await endOfTurns();
  assert.deepEqual(rejected, [1, 2, 3]);
});

test("an item that is added after all others were answered has a deadline too, and a drain leaves none", async () => {
  const countTimers = () => process.getActiveResourcesInfo().filter((kind) => kind === "Timeout");
  const before = countTimers();
  const { batcher, batches } = holdBatches({ deadlineMs: 300 });
  const answered = batcher.add(1);
  await endOfTurns();
  batches[0]?.end([10]);
  assert.equal(await answered, 10);
  await assert.rejects(batcher.add(2), DeadlineExceededError);
  const last = batcher.add(3);
  batches[1]?.end([20]);
  await endOfTurns();
  batches[2]?.end([30]);
  assert.equal(await last, 30);
  await batcher.drain();
  assert.deepEqual(countTimers(), before);
});

test("a drain ends where all that waits is rejected before its batch is dispatched", async (t) => {
  const pass = mockTime(t);
  const { batcher, batches } = holdBatches({ deadlineMs: 300 });
  const late = assert.rejects(batcher.add(1), DeadlineExceededError);
  const drained = batcher.drain();
  pass(300);
  await Promise.all([late, drained]);
  await endOfTurns();
  assert.deepEqual(batches, []);
});

test("a batch holds at most maxItems; the rest leaves at once where another may run", async () => {
  const { batcher, batches } = holdBatches({ maxItems: 2, maxConcurrent: 2 });
  const results = [1, 2, 3, 4, 5].map((item) => batcher.add(item));
  await endOfTurns();
  assert.deepEqual(
    batches.map(({ items }) => items),
    [
      [1, 2],
      [3, 4],
    ],
  );
  batches[0]?.end([1, 2]);
  await results[1];
  assert.deepEqual(batches[2]?.items, [5]);
  batches[1]?.end([3, 4]);
  batches[2]?.end([5]);
  await Promise.all(results);
});

test("a batch holds at most maxBytes, and an item larger than that goes alone", async () => {
  const { batcher, batches } = holdBatches({
    maxBytes: 10,
    maxConcurrent: 9,
    getSize: (item) => item,
  });
  const results = [6, 4, 1, 25, 0, 9, 2].map((item) => batcher.add(item));
  await endOfTurns();
  assert.deepEqual(
    batches.map(({ items }) => items),
    [[6, 4], [1], [25], [0, 9], [2]],
  );
  for (const { items, end } of batches) end(items);
  await Promise.all(results);
});

test("an item beyond maxQueued is refused at once, and the queue takes items again later", async () => {
  const { batcher, batches } = holdBatches({ maxQueued: 2 });
  const first = batcher.add(1);
  await endOfTurns();
  const waiting = [batcher.add(2), batcher.add(3)];
  await assert.rejects(batcher.add(4), (error) => {
    assert.ok(error instanceof QueueFullError);
    assert.equal(error.name, "QueueFullError");
    assert.equal(error.message, "The queue is full: 2 items wait already.");
    return true;
  });
  batches[0]?.end([1]);
  await first;
  const later = batcher.add(5);
  batches[1]?.end([2, 3]);
  await Promise.all(waiting);
  batches[2]?.end([5]);
  assert.equal(await later, 5);
});

test("an Error among the results rejects its own item only", async () => {
  const { batcher, batches } = holdBatches();
  const results = [1, 2, 3].map((item) => batcher.add(item));
  await endOfTurns();
  const own = new RangeError("two is not welcome");
  batches[0]?.end([1, own, 3]);
  const settled = await Promise.allSettled(results);
  assert.deepEqual(
    settled.map((one) => (one.status === "fulfilled" ? one.value : one.reason)),
    [1, own, 3],
  );
  assert.equal(settled[1]?.status, "rejected");
});

test("a dispatch that fails rejects its whole batch, and the next batch is dispatched", async () => {
  const { batcher, batches } = holdBatches();
  const lost = [1, 2].map((item) => batcher.add(item));
  await endOfTurns();
  const next = batcher.add(3);
  const failure = new Error("the line is cut");
  batches[0]?.fail(failure);
  for (const one of lost) await assert.rejects(one, failure);
  batches[1]?.end([3]);
  assert.equal(await next, 3);
});

test("a dispatch that throws before it returns a promise rejects its batch as well", async () => {
  let calls = 0;
  const batcher = new Batcher<number, number>({
    ...ROOMY,
    dispatch: (items) => {
      calls += 1;
      if (calls === 1) throw new Error("not even a promise");
      return Promise.resolve(items);
    },
  });
  await assert.rejects(batcher.add(1), /not even a promise/);
  assert.equal(await batcher.add(2), 2);
});

test("a dispatch that returns another number of results is refused in a sentence", async () => {
  const { batcher, batches } = holdBatches();
  for (const [answers, count] of [
    [[], 0],
    [[1], 1],
    [[1, 2, 3], 3],
  ] as const) {
    const results = [1, 2].map((item) => batcher.add(item));
    await endOfTurns();
    batches.at(-1)?.end([...answers]);
    for (const one of results)
      await assert.rejects(one, {
        message: `Batcher: dispatch must answer 2 items, but answered ${count}.`,
      });
  }
});

test("the batch is a copy: what dispatch does to it changes no other item's result", async () => {
  const batcher = new Batcher<number, number>({
    ...ROOMY,
    dispatch: async (items) => items.splice(0).map((item) => item * 10),
  });
  assert.deepEqual(await Promise.all([1, 2].map((item) => batcher.add(item))), [10, 20]);
});

test("drain resolves once everything added before has its result, and refuses later items", async () => {
  const { batcher, batches } = holdBatches({ maxItems: 1 });
  const ended: string[] = [];
  const results = [1, 2].map((item) => batcher.add(item).then(() => ended.push(`item ${item}`)));
  const drained = batcher.drain().then(() => ended.push("drain"));
  const again = batcher.drain();
  await assert.rejects(batcher.add(3), { message: "Batcher: add() after drain()." });
  await endOfTurns();
  batches[0]?.end([1]);
  await results[0];
  await endOfTurns();
  assert.deepEqual(ended, ["item 1"]);
  batches[1]?.fail(new Error("lost"));
  await assert.rejects(results[1] as Promise<number>, /lost/);
  await Promise.all([drained, again]);
  assert.deepEqual(ended, ["item 1", "drain"]);
  await assert.rejects(batcher.add(4), /after drain/);
});

test("drain of an idle batcher resolves at once", async () => {
  await holdBatches().batcher.drain();
});

test("a limit that is no whole number of at least one throws a RangeError that names it", () => {
  for (const name of [
    "maxItems",
    "maxBytes",
    "maxConcurrent",
    "minBatchWhileBusy",
    "maxQueued",
  ] as const)
    for (const limit of [0, -1, 1.5, Number.NaN, undefined])
      assert.throws(
        () => holdBatches({ [name]: limit }),
        (error) =>
          error instanceof RangeError &&
          error.message === `Batcher: ${name} must be a whole number of at least 1, not ${limit}.`,
      );
});

type Held = {
  items: number[];
  end: (results: (number | Error)[]) => void;
  fail: (error: Error) => void;
};

const ROOMY = {
  maxItems: 100,
  maxBytes: 100,
  maxConcurrent: 1,
  minBatchWhileBusy: 1,
  maxQueued: 100,
};

/** A batcher whose batches stay under way until the test ends them. */
test("what waits and what is under way is bounded in bytes, but a single item is always taken", async () => {
  const getSize = (item: number) => item;
  const { batcher, batches } = holdBatches({ maxHeldBytes: 10, maxConcurrent: 1, getSize });
  const first = batcher.add(12);
  await assert.rejects(batcher.add(1), QueueFullError);
  await endOfTurns();
  await assert.rejects(batcher.add(1), QueueFullError);
  batches[0]?.end([0]);
  await first;
  const added = [batcher.add(1)];
  await assert.rejects(batcher.add(10), QueueFullError);
  added.push(batcher.add(9));
  await assert.rejects(batcher.add(1), QueueFullError);
  await endOfTurns();
  batches[1]?.fail(new Error("away"));
  await Promise.allSettled(added);
  const last = batcher.add(10);
  await endOfTurns();
  batches[2]?.end([1]);
  assert.equal(await last, 1);
});

test("bytes of what is rejected late are given back, once it is not under way any more", async () => {
  const getSize = (item: number) => item;
  const { batcher, batches } = holdBatches({ maxHeldBytes: 10, deadlineMs: 1, getSize });
  await Promise.allSettled([batcher.add(4), batcher.add(6)]);
  for (const { end, items } of batches) end(items);
  await endOfTurns();
  const last = batcher.add(10);
  await assert.rejects(last, DeadlineExceededError);
});

function holdBatches(limits: Partial<BatcherOptions<number, number>> = {}) {
  const batches: Held[] = [];
  const dispatch = (items: number[]) => {
    const { promise, resolve, reject } = Promise.withResolvers<(number | Error)[]>();
    batches.push({ items, end: resolve, fail: reject });
    return promise;
  };
  return { batcher: new Batcher<number, number>({ ...ROOMY, dispatch, ...limits }), batches };
}

/** Stops the clock that deadlines are judged by; the function that it returns moves it on. */
function mockTime(t: TestContext): (ms: number) => void {
  let now = 1_000;
  t.mock.timers.enable({ apis: ["setTimeout"] });
  t.mock.method(performance, "now", () => now);
  return (ms) => {
    now += ms;
    t.mock.timers.tick(ms);
  };
}

/** More turns than a batch waits for. */
async function endOfTurns(): Promise<void> {
  for (let turn = 0; turn < 6; turn += 1) await nextTurn();
}
