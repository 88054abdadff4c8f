import assert from "node:assert/strict";
import test from "node:test";
import type { Row } from "../common/tables.ts";
import type { Write } from "../common/write.ts";
import { teachers } from "../test/collections/teachers.ts";
import { versionAt } from "../test/support/schedules.ts";
import { type Decision, dead, decide, isDead, isGivenBack } from "./decide.ts";

/** The write under judgement is of second 50; the others of the second in their names. */
const OLDEST = 10;
const OLDER = 30;
const OWN = 50;
const NEWER = 70;

const BODY = "a".repeat(64);
const OTHER_BODY = "b".repeat(64);

const states = {
  "no row": undefined,
  "an older tombstone": row({ second: OLDER, isDeleted: true }),
  "a newer tombstone": row({ second: NEWER, isDeleted: true }),
  "a row of its own version": row({ second: OWN }),
  "a tombstone of its own version": row({ second: OWN, isDeleted: true }),
  "a row of an older version": row({ second: OLDER }),
  "a row of a newer version": row({ second: NEWER }),
} satisfies Record<string, Row | undefined>;

type State = keyof typeof states;
type Expected = "applied" | "superseded" | "conflict" | "duplicate" | "settled-before" | "not-yet";

/** Every write on every row, cell by cell. `fingerprint` is the row's, where it has one. */
const table: {
  name: string;
  write: Write;
  fingerprint?: string;
  cells: Partial<Record<State, Expected>>;
}[] = [
  {
    name: "a create",
    write: write("create"),
    cells: {
      "no row": "applied",
      "an older tombstone": "conflict",
      "a newer tombstone": "superseded",
      "a row of its own version": "settled-before",
      "a tombstone of its own version": "settled-before",
      "a row of an older version": "conflict",
      // Its own put or delete overtook it: nobody else knew the item's id.
      "a row of a newer version": "superseded",
    },
  },
  {
    name: "a keyed create of the row's own body",
    write: write("create", { fingerprint: BODY }),
    fingerprint: BODY,
    cells: {
      "no row": "applied",
      "an older tombstone": "duplicate",
      "a newer tombstone": "duplicate",
      "a row of its own version": "settled-before",
      "a row of an older version": "duplicate",
      "a row of a newer version": "duplicate",
    },
  },
  {
    name: "a keyed create of another body",
    write: write("create", { fingerprint: OTHER_BODY }),
    fingerprint: BODY,
    cells: {
      "an older tombstone": "conflict",
      "a newer tombstone": "conflict",
      "a row of its own version": "settled-before",
      "a row of an older version": "conflict",
      "a row of a newer version": "conflict",
    },
  },
  {
    // The row is that of a put or delete which followed the key's first create, and overtook it.
    name: "a keyed create, where the row has no fingerprint,",
    write: write("create", { fingerprint: BODY }),
    cells: {
      "an older tombstone": "duplicate",
      "a newer tombstone": "superseded",
      "a row of an older version": "duplicate",
      "a row of a newer version": "superseded",
    },
  },
  {
    name: "a create without a key, where the row has a fingerprint,",
    write: write("create"),
    fingerprint: BODY,
    cells: {
      "an older tombstone": "conflict",
      "a newer tombstone": "conflict",
      "a row of an older version": "conflict",
      "a row of a newer version": "conflict",
    },
  },
  ...(["put", "delete"] as const).flatMap((kind) => [
    {
      name: `a ${kind}`,
      write: write(kind),
      cells: {
        "no row": "applied",
        "an older tombstone": "applied",
        "a newer tombstone": "superseded",
        "a row of its own version": "settled-before",
        "a tombstone of its own version": "settled-before",
        "a row of an older version": "applied",
        "a row of a newer version": "superseded",
      } as const,
    },
    {
      name: `a ${kind} with If-None-Match: *`,
      write: write(kind, { ifNoneMatch: true }),
      cells: {
        "no row": "applied",
        "an older tombstone": "applied",
        "a newer tombstone": "superseded",
        "a row of its own version": "settled-before",
        "a tombstone of its own version": "settled-before",
        "a row of an older version": "conflict",
        "a row of a newer version": "conflict",
      } as const,
    },
    {
      name: `a ${kind} with If-Match: *`,
      write: write(kind, { ifMatch: "*" }),
      cells: {
        "no row": "conflict",
        "an older tombstone": "conflict",
        "a newer tombstone": "conflict",
        "a row of its own version": "settled-before",
        "a tombstone of its own version": "settled-before",
        "a row of an older version": "applied",
        "a row of a newer version": "superseded",
      } as const,
    },
    {
      name: `a ${kind} with the row's version in If-Match`,
      write: write(kind, { ifMatch: at(OLDER) }),
      cells: {
        "no row": "not-yet",
        "an older tombstone": "conflict",
        "a newer tombstone": "conflict",
        "a row of its own version": "settled-before",
        "a tombstone of its own version": "settled-before",
        "a row of an older version": "applied",
        "a row of a newer version": "conflict",
      } as const,
    },
    {
      name: `a ${kind} with a version before the row's in If-Match`,
      write: write(kind, { ifMatch: at(OLDEST) }),
      cells: {
        "an older tombstone": "conflict",
        "a newer tombstone": "conflict",
        "a row of its own version": "settled-before",
        "a row of an older version": "conflict",
        "a row of a newer version": "conflict",
      } as const,
    },
    {
      name: `a ${kind} with a version after an older row's in If-Match`,
      write: write(kind, { ifMatch: at(OLDER + 1) }),
      cells: {
        "no row": "not-yet",
        // A put that makes the item again may be on its way.
        "an older tombstone": "not-yet",
        "a newer tombstone": "conflict",
        "a row of its own version": "settled-before",
        "a row of an older version": "not-yet",
        "a row of a newer version": "conflict",
      } as const,
    },
    {
      name: `a ${kind} with its own version in If-Match`,
      write: write(kind, { ifMatch: at(OWN) }),
      cells: {
        "no row": "conflict",
        "an older tombstone": "conflict",
        "a newer tombstone": "conflict",
        "a row of its own version": "settled-before",
        "a row of an older version": "conflict",
        "a row of a newer version": "conflict",
      } as const,
    },
    {
      name: `a ${kind} with a version after its own in If-Match`,
      write: write(kind, { ifMatch: at(NEWER) }),
      cells: {
        "no row": "conflict",
        "an older tombstone": "conflict",
        "a newer tombstone": "conflict",
        "a row of an older version": "conflict",
        "a row of a newer version": "conflict",
      } as const,
    },
  ]),
];

for (const { name, write, fingerprint, cells } of table)
  for (const [state, expected] of Object.entries(cells) as [State, Expected][])
    test(`${name} on ${state} is ${expected}`, () => {
      const found = states[state] && { ...states[state], fingerprint: fingerprint ?? null };
      assert.equal(summarize(decide(write, found)), expected);
    });

test("a decision waits for the version that the write names", () => {
  const waiting = decide(write("put", { ifMatch: at(OLDER) }), undefined);
  const reason = `The version ${at(OLDER)} is not the current one.`;
  assert.deepEqual(waiting, { kind: "not-yet", version: at(OLDER), reason });
});

test("an applied write needs no reason, and every other outcome gives one in a sentence", () => {
  for (const { write, fingerprint } of table)
    for (const state of Object.values(states)) {
      const decision = decide(write, state && { ...state, fingerprint: fingerprint ?? null });
      if (decision.kind !== "settled") continue;
      if (decision.outcome === "applied") assert.equal(decision.reason, null);
      else assert.match(decision.reason ?? "", /^[A-Z].*\.$/);
    }
});

test("the reason of a superseded write names the version that was applied first", () => {
  assert.deepEqual(decide(write("put"), states["a row of a newer version"]), {
    kind: "settled",
    outcome: "superseded",
    reason: `A newer write was applied first: ${at(NEWER)}.`,
  });
});

test("of all decisions, only that of a dead write is dead", () => {
  const decision = dead("Its item is not valid.");
  assert.deepEqual(decision, {
    kind: "settled",
    outcome: "dead",
    reason: "Its item is not valid.",
  });
  assert.equal(isDead(decision), true);
  const others = table.flatMap(({ write }) =>
    Object.values(states).map((state) => decide(write, state)),
  );
  for (const other of [undefined, ...others]) assert.equal(isDead(other), false);
});

test("a message is given back where its time, or its schema's, has not come", () => {
  for (const [decision, isBack] of [
    [{ kind: "not-yet", reason: "It waits." }, true],
    [{ kind: "unknown-schema" }, true],
    [{ kind: "settled-before" }, false],
    [dead("Its item is not valid."), false],
  ] as [Decision, boolean][])
    assert.equal(isGivenBack(decision), isBack);
});

test("a decision changes neither the write nor the row", () => {
  for (const { write } of table)
    for (const state of Object.values(states))
      decide(Object.freeze({ ...write }), state && Object.freeze({ ...state }));
});

function at(second: number): string {
  return versionAt(second * 1_000);
}

function write(kind: Write["kind"], more: Partial<Write> = {}): Write {
  const item = kind === "delete" ? {} : { item: { name: "Gabriela" } };
  const acceptedAt = OWN * 1_000;
  return { id: at(OWN), kind, collection: teachers, itemId: "g", acceptedAt, ...item, ...more };
}

function row({ second, isDeleted = false }: { second: number; isDeleted?: boolean }): Row {
  return {
    id: "g",
    version: at(second),
    item: isDeleted ? null : { name: "Lucila" },
    createdAt: OLDEST * 1_000,
    updatedAt: second * 1_000,
    appliedAt: NEWER * 1_000,
    deletedAt: isDeleted ? second * 1_000 : null,
    fingerprint: null,
    trace: null,
    created: true,
  };
}

function summarize(decision: Decision): string {
  return decision.kind === "settled" ? decision.outcome : decision.kind;
}
