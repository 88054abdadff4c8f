import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import { Queue } from "./queue.ts";

test("a queue is first in, first out, also when its front is cut off", () => {
  const steps = fc.array(fc.oneof(fc.constant("shift"), fc.nat(2_000)), { maxLength: 60 });
  fc.assert(
    fc.property(steps, (given) => {
      const queue = new Queue<number>();
      const model: number[] = [];
      let next = 0;
      for (const step of given) {
        // Many at once, so that the front grows long enough to be cut off.
        const count = typeof step === "number" ? step : 1_500;
        for (let index = 0; index < count; index += 1) {
          if (step === "shift") assert.equal(queue.shift(), model.shift());
          else {
            queue.push(next);
            model.push(next);
            next += 1;
          }
        }
        assert.equal(queue.length, model.length);
      }
    }),
    { numRuns: 50 },
  );
});

test("the first item's place can be changed with a later one's", () => {
  const queue = new Queue<string>();
  for (const item of ["a", "b", "c", "d"]) queue.push(item);
  queue.shift();
  queue.swapFirst(2);
  queue.swapFirst(99);
  assert.deepEqual(
    [queue.shift(), queue.shift(), queue.shift(), queue.shift()],
    ["d", "c", "b", undefined],
  );
});
