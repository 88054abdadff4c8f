import assert from "node:assert/strict";
import test from "node:test";
import {
  deriveExpireId,
  deriveItemId,
  deriveNextId,
  getLowestIdAt,
  getWriteTime,
  isWriteId,
  mintWriteId,
} from "./write-id.ts";

const UUID_V7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
const UUID_V8 = /^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
const HOUR_MS = 60 * 60 * 1000;

test("a hundred thousand ids are UUIDv7, each greater as a string than the one before", () => {
  let last = "";
  for (let minted = 0; minted < 100_000; minted += 1) {
    const id = mintWriteId();
    assert.match(id, UUID_V7);
    assert.ok(id > last, `${id} came after ${last}`);
    last = id;
  }
});

test("an id holds the millisecond of its minting", (t) => {
  t.mock.timers.enable({ apis: ["Date"], now: Date.now() + HOUR_MS });
  const id = mintWriteId();
  assert.equal(getWriteTime(id), Date.now());
  assert.equal(isWriteId(id), true);
});

test("ids keep increasing while the clock stops or moves back", (t) => {
  const nowMs = Date.now() + 2 * HOUR_MS;
  t.mock.timers.enable({ apis: ["Date"], now: nowMs });
  const ids = [mintWriteId(), mintWriteId()];
  t.mock.timers.setTime(nowMs - HOUR_MS);
  ids.push(mintWriteId(), mintWriteId());
  assert.deepEqual(ids, [...ids].sort());
  assert.equal(new Set(ids).size, ids.length);
  assert.equal(getWriteTime(ids[3] as string), nowMs);
});

test("an id minted after a version is greater than it, whatever the clocks say", (t) => {
  const nowMs = Date.now() + 3 * HOUR_MS;
  t.mock.timers.enable({ apis: ["Date"], now: nowMs });
  for (const aheadMs of [-HOUR_MS, -1, 0, 1, 500])
    for (const seen of [false, true]) {
      const version = versionAt(nowMs + aheadMs);
      const id = mintWriteId({ version, seen });
      assert.ok(id > version, `${aheadMs} ms ahead, seen ${seen}`);
      assert.ok(getWriteTime(id) >= nowMs, `${aheadMs} ms ahead, seen ${seen}`);
    }
});

test("ids that are minted ahead of the clock are in order, whether the version was seen or not", (t) => {
  const nowMs = Date.now() + 3.5 * HOUR_MS;
  t.mock.timers.enable({ apis: ["Date"], now: nowMs });
  for (let aheadMs = 1_000; aheadMs < 1_040; aheadMs += 1) {
    const version = versionAt(nowMs + aheadMs);
    const named = mintWriteId({ version, seen: false });
    const seen = mintWriteId({ version, seen: true });
    assert.ok(seen > named, `${seen} must follow ${named}`);
  }
});

test("a version seen in the database moves the sequence on", (t) => {
  const nowMs = Date.now() + 4 * HOUR_MS;
  t.mock.timers.enable({ apis: ["Date"], now: nowMs });
  const version = versionAt(nowMs + 5_000);
  const ids = [version, mintWriteId({ version, seen: true }), mintWriteId(), mintWriteId()];
  ids.push(mintWriteId({ version, seen: true }), mintWriteId());
  assert.deepEqual(ids, ids.toSorted());
});

test("a version that a client merely names does not move the sequence", (t) => {
  const nowMs = Date.now() + 5 * HOUR_MS;
  t.mock.timers.enable({ apis: ["Date"], now: nowMs });
  const before = mintWriteId();
  const version = versionAt(nowMs + 5_000);
  const after = mintWriteId({ version, seen: false });
  assert.ok(after > version);
  const next = mintWriteId();
  assert.ok(next > before && next < version, `${next} must stay at the process's own time`);
  assert.equal(getWriteTime(next), nowMs);
});

test("ids that follow one version of a faster clock are in the order of their minting", (t) => {
  const nowMs = Date.now() + 6 * HOUR_MS;
  t.mock.timers.enable({ apis: ["Date"], now: nowMs });
  const version = versionAt(nowMs + 5_000);
  const ids = Array.from({ length: 50 }, () => mintWriteId({ version, seen: false }));
  ids.push(mintWriteId({ version, seen: true }), mintWriteId({ version, seen: false }));
  ids.push(mintWriteId());
  assert.deepEqual(ids, ids.toSorted());
  assert.equal(new Set(ids).size, ids.length);
});

test("a derived id stands after its own id and before the next that a process mints", (t) => {
  t.mock.timers.enable({ apis: ["Date"], now: Date.now() + 7 * HOUR_MS });
  let last = mintWriteId();
  for (let minted = 0; minted < 1_000; minted += 1) {
    const next = mintWriteId();
    assert.equal(getWriteTime(next), getWriteTime(last), "the clock stands still");
    const derived = deriveNextId(last);
    const again = deriveNextId(derived);
    assert.match(derived, UUID_V7);
    assert.deepEqual([next, again, derived, last].toSorted(), [last, derived, again, next]);
    assert.equal(deriveNextId(last), derived, "one id derives one");
    last = next;
  }
});

test("ids that are derived from each other keep increasing, within their millisecond", () => {
  const minted = mintWriteId();
  let last = minted;
  for (let derived = 0; derived < 2 ** 15; derived += 1) {
    const next = deriveNextId(last);
    assert.ok(next > last, `${next} came after ${last}`);
    last = next;
  }
  assert.equal(getWriteTime(last), getWriteTime(minted));
});

test("a derived id has the next counter and bits of the SHA-256, today and next year", () => {
  for (const [id, derived] of [
    ["01968b3e-7c00-7000-8000-0123456789ab", "01968b3e-7c00-7000-8000-0528b879945f"],
    ["01968b3e-7c00-7000-bfff-fd23456789ab", "01968b3e-7c00-7001-8000-02e70cc9bb84"],
    ["01968b3e-7c00-7fff-bfff-ff23456789ab", "01968b3e-7c01-7000-8000-0242960cf5bd"],
  ] as const)
    assert.equal(deriveNextId(id), derived);
});

test("the id that ends a version has its next counter and bits of the SHA-256, with its expiry", () => {
  const version = "01968b3e-7c00-7000-8000-0123456789ab";
  assert.equal(deriveExpireId(version, 100_000), "01968b3e-7c00-7000-8000-0610c4e6d2e1");
  assert.equal(deriveExpireId(version, 100_001), "01968b3e-7c00-7000-8000-051e0dc801ec");
});

test("ids keep increasing where a clock that has moved back outlasts the counter", (t) => {
  const nowMs = Date.now() + 8 * HOUR_MS;
  t.mock.timers.enable({ apis: ["Date"], now: nowMs });
  let last = mintWriteId();
  for (let minted = 0; getWriteTime(last) === nowMs; minted += 1) {
    const id = mintWriteId();
    assert.ok(id > last, `${id} came after ${last}`);
    assert.ok(minted < 2 ** 16, "the counter ends");
    last = id;
  }
  assert.deepEqual([last, mintWriteId()].map(getWriteTime), [nowMs + 1, nowMs + 1]);
});

test("the first ids of two milliseconds differ in the counter's start, and in the tail", (t) => {
  const nowMs = Date.now() + 9 * HOUR_MS;
  t.mock.timers.enable({ apis: ["Date"], now: nowMs });
  const ids: string[] = [];
  for (let ms = 1; ms <= 20; ms += 1) {
    t.mock.timers.setTime(nowMs + ms);
    ids.push(mintWriteId());
  }
  const counters = ids.map((id) => id.slice(15, 24));
  assert.equal(new Set(counters).size, ids.length);
  assert.equal(new Set(ids.map((id) => id.slice(-11))).size, ids.length);
});

test("only a UUIDv7 in lower case is a write id", () => {
  const id = mintWriteId();
  assert.equal(isWriteId(id), true);
  for (const other of [
    "",
    id.toUpperCase(),
    `${id} `,
    ` ${id}`,
    `0${id}`,
    `${id}\n`,
    `{${id}}`,
    id.replaceAll("-", ""),
    `${id.slice(0, 14)}4${id.slice(15)}`,
    `${id.slice(0, 19)}c${id.slice(20)}`,
    deriveItemId(["data", "key"]),
  ])
    assert.equal(isWriteId(other), false, JSON.stringify(other));
});

test("an item id is derived the same way today and next year, as a UUIDv8", () => {
  assert.equal(deriveItemId(["data", "anonymous", "k-1"]), "4d889f88-e75b-8db5-9107-30a74b801e34");
  assert.equal(deriveItemId(["data", "", "k-4", -1]), "738c0f45-ae70-8aff-98a8-28a6bca28d2a");
  assert.match(deriveItemId(["data", "anonymous", "k-1"]), UUID_V8);
});

test("the lowest id of a millisecond is below all that are minted in it, and above those before", () => {
  for (const [ms, id] of [
    [0x01968b3e7c00, "01968b3e-7c00-7000-8000-000000000000"],
    [1, "00000000-0001-7000-8000-000000000000"],
    [-1, "00000000-0000-7000-8000-000000000000"],
  ] as const)
    assert.equal(getLowestIdAt(ms), id);
});

test("parts that only look alike when joined derive different item ids", () => {
  const ids = [
    ["data", "ab", "c"],
    ["data", "a", "bc"],
    ["data", "a", "b", "c"],
    ["data", "a,b", "c"],
    ["data", "a", "b", 1],
    ["data", "a", "b", "1"],
  ].map(deriveItemId);
  assert.equal(new Set(ids).size, ids.length);
  for (const id of ids) assert.match(id, UUID_V8);
});

/** A version of another machine's clock. */
function versionAt(ms: number): string {
  const hex = ms.toString(16).padStart(12, "0");
  return `${hex.slice(0, 8)}-${hex.slice(8)}-7fff-bfff-ffffffffffff`;
}
