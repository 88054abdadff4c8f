import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setImmediate } from "node:timers/promises";
import { QueueFullError } from "./batcher.ts";
import { DeadlineExceededError } from "./deadline.ts";
import { Semaphore } from "./semaphore.ts";

const LONG_MS = 60_000;

/** Work that ends when it is told to. */
function startWork(semaphore: Semaphore, deadlineMs = LONG_MS) {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const work = { isRunning: false, end: resolve, fail: reject };
  const result = semaphore.run(() => {
    work.isRunning = true;
    return promise;
  }, deadlineMs);
  result.catch(() => {});
  return Object.assign(work, { result });
}

describe("Semaphore", () => {
  it("runs as many at once as there are places, and the others in order", async () => {
    const semaphore = new Semaphore({ places: 2, maxQueued: 10 });
    const works = Array.from({ length: 4 }, () => startWork(semaphore));
    const listRunning = () => works.map(({ isRunning }) => isRunning);
    assert.deepEqual(listRunning(), [true, true, false, false]);
    works[1]?.end("b");
    assert.equal(await works[1]?.result, "b");
    await setImmediate();
    assert.deepEqual(listRunning(), [true, true, true, false]);
    works[0]?.fail(new Error("It failed."));
    await assert.rejects(works[0]?.result as Promise<string>, /It failed/);
    await setImmediate();
    assert.deepEqual(listRunning(), [true, true, true, true]);
    for (const work of works) work.end("done");
    await Promise.all(works.slice(2).map(({ result }) => result));
    await setImmediate();
    assert.ok(startWork(semaphore).isRunning, "the places are free again");
  });

  it("refuses what would wait behind too many", async () => {
    const semaphore = new Semaphore({ places: 1, maxQueued: 1 });
    const [first, second] = [startWork(semaphore), startWork(semaphore)];
    const third = startWork(semaphore);
    await assert.rejects(third.result, QueueFullError);
    first.end("first");
    second.end("second");
    assert.deepEqual(await Promise.all([first.result, second.result]), ["first", "second"]);
    assert.ok(!third.isRunning);
  });

  it("never runs what has waited too long, and gives its place to the next", async () => {
    const semaphore = new Semaphore({ places: 1, maxQueued: 10 });
    const first = startWork(semaphore);
    const late = startWork(semaphore, 1);
    const next = startWork(semaphore);
    await assert.rejects(late.result, DeadlineExceededError);
    first.end("first");
    next.end("next");
    assert.equal(await next.result, "next");
    assert.ok(!late.isRunning);
  });

  it("has one place for each work that has ended", async () => {
    const semaphore = new Semaphore({ places: 1, maxQueued: 10 });
    const first = startWork(semaphore);
    first.end("done");
    await first.result;
    const works = [1, 2].map(() => startWork(semaphore));
    await setImmediate();
    assert.deepEqual(
      works.map(({ isRunning }) => isRunning),
      [true, false],
    );
    for (const work of works) work.end("done");
  });

  it("gives no place to what has waited too long, and that place to the next", async () => {
    const semaphore = new Semaphore({ places: 1, maxQueued: 2 });
    const first = startWork(semaphore);
    const late = [startWork(semaphore, 1), startWork(semaphore, 1)];
    for (const { result } of late) await assert.rejects(result, DeadlineExceededError);
    const next = [startWork(semaphore), startWork(semaphore)];
    first.end("done");
    await first.result;
    await setImmediate();
    const isRunning = (work: { isRunning: boolean }) => work.isRunning;
    assert.deepEqual([...late, ...next].map(isRunning), [false, false, true, false]);
    for (const work of next) work.end("done");
  });
});
