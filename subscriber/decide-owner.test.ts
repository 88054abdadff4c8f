import assert from "node:assert/strict";
import test from "node:test";
import type { RowState } from "../common/tables.ts";
import type { Write } from "../common/write.ts";
import { notes } from "../test/collections/notes.ts";
import { teachers } from "../test/collections/teachers.ts";
import { versionAt } from "../test/support/schedules.ts";
import { decide } from "./decide.ts";

const [OLDER, OWN, NEWER] = [30, 50, 70];
const FINGERPRINT = "a".repeat(64);

const anas: Record<string, RowState> = {
  "an older row": row(OLDER),
  "a newer row": row(NEWER),
  "an older tombstone": row(OLDER, { deletedAt: OLDER }),
  "a newer tombstone": row(NEWER, { deletedAt: NEWER }),
  "a row of a keyed create": row(OLDER, { fingerprint: FINGERPRINT }),
};

const writes: Record<string, Write> = {
  "a create": write("create"),
  "a keyed create": write("create", { fingerprint: FINGERPRINT }),
  "a put": write("put"),
  "a put with If-None-Match": write("put", { ifNoneMatch: true }),
  "a put with If-Match: *": write("put", { ifMatch: "*" }),
  "a put with the row's version": write("put", { ifMatch: at(OLDER) }),
  "a put with a version in flight": write("put", { ifMatch: at(OLDER + 1) }),
  "a delete": write("delete"),
  "a delete with If-Match: *": write("delete", { ifMatch: "*" }),
  "a delete with the row's version": write("delete", { ifMatch: at(OLDER) }),
};

for (const [what, own] of Object.entries(writes))
  for (const [where, state] of Object.entries(anas))
    test(`${what} by a stranger on ${where} is refused as another's, whatever its condition`, () => {
      assert.deepEqual(decide({ ...own, subject: "key:bruno" }, state), {
        kind: "settled",
        outcome: "conflict",
        reason: "The item belongs to another.",
        code: "not-owner",
      });
      const item = { ...state, owner: undefined };
      const unowned = { ...own, collection: teachers, subject: undefined };
      const expected = decide(unowned, item);
      assert.deepEqual(decide(own, state), expected, "the owner, as if there were no owners");
      const any = { ...own, subject: "key:bruno", anyOwner: true };
      assert.deepEqual(decide(any, state), expected, "any-owner, as if there were no owners");
    });

test("a write that is settled stays so, whoever asks", () => {
  assert.deepEqual(decide(write("put"), row(OWN, { owner: "key:other" })), {
    kind: "settled-before",
  });
});

test("a delete must find its item, and waits for it; with a condition, for the condition", () => {
  const waits = { kind: "not-yet", reason: "The item does not exist." };
  for (const more of [{}, { anyOwner: true }, { ifNoneMatch: true }])
    assert.deepEqual(decide(write("delete", more), undefined), waits);
  const named = decide(write("delete", { ifMatch: at(OLDER) }), undefined);
  assert.equal(named.kind === "not-yet" && named.version, at(OLDER));
  const any = decide(write("delete", { ifMatch: "*" }), undefined);
  assert.equal(any.kind === "settled" && any.outcome, "conflict");
  const plain = decide(write("delete", { collection: teachers }), undefined);
  assert.equal(plain.kind === "settled" && plain.outcome, "applied");
});

test("what was stored before there were owners belongs to nobody, and any-owner may write it", () => {
  for (const kind of ["put", "delete"] as const) {
    const refused = decide(write(kind), row(OLDER, { owner: null }));
    assert.equal(refused.kind === "settled" && refused.code, "not-owner");
    const any = decide(write(kind, { anyOwner: true }), row(OLDER, { owner: null }));
    assert.equal(any.kind === "settled" && any.outcome, "applied");
  }
});

function at(second: number): string {
  return versionAt(second * 1_000);
}

function write(kind: Write["kind"], more: Partial<Write> = {}): Write {
  const subject = "key:ana";
  const item = kind === "delete" ? {} : { item: { text: "x", user: subject } };
  const common = { id: at(OWN), kind, collection: notes, itemId: "n", acceptedAt: OWN * 1_000 };
  return { ...common, subject, ...item, ...more };
}

function row(second: number, more: Partial<RowState> = {}): RowState {
  return {
    id: "n",
    version: at(second),
    createdAt: second * 1_000,
    updatedAt: second * 1_000,
    appliedAt: second * 1_000,
    deletedAt: null,
    fingerprint: null,
    trace: null,
    created: true,
    owner: "key:ana",
    ...more,
  };
}
