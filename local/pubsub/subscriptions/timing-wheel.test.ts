import assert from "node:assert/strict";
import test, { type TestContext } from "node:test";
import { type Timed, TimingWheel } from "./timing-wheel.ts";

type Item = Timed & { name: string };

const createItem = (name: string): Item => ({ name, slot: undefined });

/** A wheel on a clock that stands still until it is advanced. */
function mockWheel(context: TestContext, onDue?: (wheel: TimingWheel<Item>, item: Item) => void) {
  let now = 0;
  context.mock.timers.enable({ apis: ["setInterval"] });
  context.mock.method(performance, "now", () => now);
  const due: string[] = [];
  const wheel: TimingWheel<Item> = new TimingWheel((item) => {
    due.push(item.name);
    onDue?.(wheel, item);
  });
  const pass = (ms: number) => {
    for (let passed = 0; passed < ms; passed += 10) {
      now += 10;
      context.mock.timers.tick(10);
    }
  };
  const jump = (ms: number) => {
    now += ms;
    context.mock.timers.tick(20);
  };
  return { wheel, due, pass, jump };
}

test("items are due after their time, in its order, and not before", (context) => {
  const { wheel, due, pass } = mockWheel(context);
  wheel.set(createItem("late"), 500);
  wheel.set(createItem("soon"), 100);
  wheel.set(createItem("now"), 0);
  pass(90);
  assert.deepEqual(due, ["now"]);
  pass(50);
  assert.deepEqual(due, ["now", "soon"]);
  pass(350);
  assert.deepEqual(due, ["now", "soon"]);
  pass(40);
  assert.deepEqual(due, ["now", "soon", "late"]);
});

test("an item's time can be moved and cancelled", (context) => {
  const { wheel, due, pass } = mockWheel(context);
  const [moved, cancelled] = [createItem("moved"), createItem("cancelled")];
  wheel.set(moved, 100);
  wheel.set(cancelled, 100);
  pass(50);
  wheel.set(moved, 200);
  wheel.cancel(cancelled);
  pass(150);
  assert.deepEqual(due, []);
  pass(100);
  assert.deepEqual(due, ["moved"]);
});

test("the callback of one item may cancel another of the same time", (context) => {
  const [first, second] = [createItem("first"), createItem("second")];
  const { wheel, due, pass } = mockWheel(context, (own) => own.cancel(second));
  wheel.set(first, 100);
  wheel.set(second, 100);
  pass(300);
  assert.deepEqual(due, ["first"]);
});

test("an item can be set again when it is due", (context) => {
  const { wheel, due, pass } = mockWheel(context, (own, item) => {
    if (due.length < 3) own.set(item, 0);
  });
  wheel.set(createItem("again"), 50);
  pass(400);
  assert.deepEqual(due, ["again", "again", "again"]);
});

test("after a long standstill everything that is due is called at once", (context) => {
  const { wheel, due, jump } = mockWheel(context);
  for (let index = 0; index < 100; index += 1) wheel.set(createItem(`${index}`), index * 100);
  jump(3_600_000);
  assert.equal(due.length, 100);
});

test("a cleared wheel calls nothing more, and can be used again", (context) => {
  const { wheel, due, pass } = mockWheel(context);
  wheel.set(createItem("gone"), 100);
  wheel.clear();
  wheel.set(createItem("there"), 100);
  pass(200);
  assert.deepEqual(due, ["there"]);
});
