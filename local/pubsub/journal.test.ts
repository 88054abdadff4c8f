import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "node:test";
import { FileJournal, type Record } from "./journal.ts";

const createRecord = (name: string): Record => ({ kind: "topicGone", name });

test("what was appended is in the file once that is said, also during a write", async () => {
  const folder = mkdtempSync(join(tmpdir(), "constancia-journal-"));
  const journal = await FileJournal.open(
    folder,
    () => assert.fail("There is nothing to be applied."),
    () => [createRecord("kept")],
  );
  const read = () =>
    readFileSync(join(folder, "journal.jsonl"), "utf8")
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line).name);
  assert.deepEqual(read(), ["kept"]);
  const names: string[] = ["kept"];
  const writes: Promise<void>[] = [];
  for (let round = 0; round < 200; round += 1) {
    for (const name of [`${round}-a`, `${round}-b\u2028\n`]) {
      journal.append(createRecord(name));
      names.push(name);
    }
    const expected = [...names];
    writes.push(
      journal.written().then(() => {
        assert.deepEqual(read().slice(0, expected.length), expected);
      }),
    );
    if (round % 3 === 0) await new Promise(setImmediate);
  }
  await Promise.all(writes);
  await journal.close();
  const applied: Record[] = [];
  await (
    await FileJournal.open(
      folder,
      (record) => applied.push(record),
      () => applied,
    )
  ).close();
  assert.deepEqual(applied, names.map(createRecord));
  rmSync(folder, { recursive: true });
});
