import assert from "node:assert/strict";
import { test } from "node:test";
import { v7 } from "uuid";
import { WriteIdSet } from "./write-id-set.ts";

test("a set of write ids is what a Set of strings is, while it grows", () => {
  const ids = new WriteIdSet();
  const model = new Set<string>();
  for (let index = 0; index < 300_000; index += 1) {
    // Every third is one of few.
    const random = new Uint8Array(16).fill(index % 300, 9);
    const id = index % 3 === 0 ? v7({ msecs: index % 500, seq: 1, random }) : v7();
    assert.equal(ids.add(id), !model.has(id));
    model.add(id);
  }
  assert.equal(ids.size, model.size);
  for (const id of model) assert.equal(ids.add(id), false);
});

test("ids that differ in one digit only are told apart", () => {
  const ids = new WriteIdSet();
  const [base, all] = ["01a1ff00-7ae3-72a0-93cd-467a6547d583", new Set<string>()];
  for (const [place, digit] of [...base].entries())
    if (digit !== "-" && place !== 14)
      for (const other of "0123456789abcdef")
        all.add(`${base.slice(0, place)}${other}${base.slice(place + 1)}`);
  for (const id of all) assert.equal(ids.add(id), true, id);
  for (const id of all) assert.equal(ids.add(id), false, id);
});
