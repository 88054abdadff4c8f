import assert from "node:assert/strict";
import test from "node:test";
import type { Decision } from "./decide.ts";
import type { Message } from "./message.ts";
import { WaitingHold } from "./waiting-hold.ts";

const NOT_YET: Decision = { kind: "not-yet", reason: "It waits." };
const APPLIED: Decision = { kind: "settled", outcome: "applied", reason: null };
/** Longer than any test waits. */
const NEVER_MS = 600_000;
/** A message below has 22 bytes of attributes. */
const LIMITS = { ms: NEVER_MS, lookMs: NEVER_MS, maxMessages: 2, maxBytes: 144 };

/** A hold before a batcher that settles what is in `settled`, and counts the looks at each message. */
function start(limits: Partial<typeof LIMITS> = {}) {
  const settled = new Set<string>();
  const looks: string[] = [];
  const stop = new AbortController();
  const hold = new WaitingHold({
    batcher: {
      async add({ messageId }: Message) {
        looks.push(messageId);
        return settled.has(messageId) ? APPLIED : NOT_YET;
      },
    },
    stop: stop.signal,
    limits: { ...LIMITS, ...limits },
  });
  return { hold, settled, looks, stop };
}

function message(messageId: string, item = "a", bytes = 10): Message {
  return { messageId, attributes: { "ce-subject": item }, data: Buffer.alloc(bytes) };
}

/** Everything that is not waiting for a timer has happened. */
const turn = () => new Promise((resolve) => setImmediate(resolve));

test("what can be settled is settled at once", async () => {
  const { hold, settled, looks } = start();
  settled.add("m");
  assert.deepEqual(await hold.add(message("m")), APPLIED);
  assert.deepEqual(looks, ["m"]);
});

test("what waits is settled as soon as another write of its item is, and of no other item", async () => {
  const { hold, settled, looks } = start();
  const held = hold.add(message("m"));
  await turn();
  settled.add("m");
  hold.wake(["b"]);
  await turn();
  assert.deepEqual(looks, ["m"]);
  hold.wake(["a"]);
  assert.deepEqual(await held, APPLIED);
  assert.deepEqual(looks, ["m", "m"]);
});

test("what still waits after another write of its item is held on", async () => {
  const { hold, settled, looks } = start();
  const held = hold.add(message("m"));
  await turn();
  hold.wake(["a"]);
  await turn();
  assert.deepEqual(looks, ["m", "m"]);
  settled.add("m");
  hold.wake(["a"]);
  assert.deepEqual(await held, APPLIED);
});

test("what another subscriber has settled is found after a while", async () => {
  const { hold, settled } = start({ lookMs: 1 });
  const held = hold.add(message("m"));
  await turn();
  settled.add("m");
  assert.deepEqual(await held, APPLIED);
});

test("what is never settled is given back after its time", async () => {
  const { hold, looks } = start({ ms: 20, lookMs: 5 });
  assert.deepEqual(await hold.add(message("m")), NOT_YET);
  assert.ok(looks.length > 1);
});

test("no more are held than there is room for, in number and in bytes", async () => {
  const { hold, looks, stop } = start();
  const first = hold.add(message("m-1"));
  await turn();
  assert.deepEqual(await hold.add(message("m-2", "a", 91)), NOT_YET);
  const second = hold.add(message("m-3", "b"));
  await turn();
  assert.deepEqual(await hold.add(message("m-4")), NOT_YET);
  assert.deepEqual(looks, ["m-1", "m-2", "m-3", "m-4"]);
  stop.abort();
  assert.deepEqual(await Promise.all([first, second]), [NOT_YET, NOT_YET]);
});

test("as many bytes are held as there is room for, and what leaves the hold gives them back", async () => {
  const { hold, settled, stop } = start({ maxMessages: 9 });
  const first = hold.add(message("m-1", "a", 60));
  const second = hold.add(message("m-2", "b", 40));
  await turn();
  assert.deepEqual(await hold.add(message("m-3", "c", 1)), NOT_YET);
  settled.add("m-2");
  hold.wake(["b"]);
  assert.deepEqual(await second, APPLIED);
  const third = hold.add(message("m-3", "c", 40));
  await turn();
  assert.deepEqual(await hold.add(message("m-4", "c", 1)), NOT_YET);
  settled.add("m-3");
  hold.wake(["c"]);
  assert.deepEqual(await third, APPLIED);
  stop.abort();
  assert.deepEqual(await first, NOT_YET);
});

test("what leaves the hold makes room for the next", async () => {
  const { hold, settled } = start({ maxMessages: 1 });
  for (const messageId of ["m-1", "m-2", "m-3"]) {
    const held = hold.add(message(messageId));
    await turn();
    settled.add(messageId);
    hold.wake(["a"]);
    assert.deepEqual(await held, APPLIED);
  }
});

test("at a stop all that is held is given back at once, and nothing is held any more", async () => {
  const { hold, looks, stop } = start();
  const held = [hold.add(message("m-1")), hold.add(message("m-2", "b"))];
  await turn();
  stop.abort();
  assert.deepEqual(await Promise.all(held), [NOT_YET, NOT_YET]);
  assert.deepEqual(await hold.add(message("m-3")), NOT_YET);
  assert.deepEqual(looks, ["m-1", "m-2", "m-3"]);
});
