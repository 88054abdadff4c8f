import assert from "node:assert/strict";
import test from "node:test";
import { CONDITION_WAIT_MS } from "../common/limits.ts";
import type { Row, RowState } from "../common/tables.ts";
import type { Write } from "../common/write.ts";
import { teachers } from "../test/collections/teachers.ts";
import { versionAt } from "../test/support/schedules.ts";
import { foldWrites, numberFold } from "./fold-writes.ts";

const NOW_MS = 100_000;
const TRACE = "0af7651916cd43dd8448eb211c80319c";

test("a write that is in a batch twice is applied once", () => {
  const create = write("create", 1);
  const { decisions, inserts, updates, receipts } = fold([create, { ...create }]);
  assert.deepEqual(decisions, [
    { kind: "settled", outcome: "applied", reason: null },
    { kind: "settled-before" },
  ]);
  assert.deepEqual(inserts.map(getVersion), [at(1)]);
  assert.deepEqual([updates, receipts], [[], []]);
});

test("a write that is refused twice in a batch has one receipt", () => {
  const late = write("put", 1);
  const { decisions, receipts } = fold([late, { ...late }], [row(2)]);
  assert.deepEqual(words(decisions), ["superseded", "settled-before"]);
  assert.deepEqual(
    receipts.map(({ write }) => write),
    [at(1)],
  );
});

test("a chain of writes of one item in one batch is one insert and the receipts of the replaced", () => {
  const writes = [write("put", 3), write("create", 1), write("put", 2)];
  const { decisions, inserts, updates, receipts, applied, beginnings } = fold(writes);
  assert.deepEqual(words(decisions), ["applied", "applied", "applied"]);
  assert.deepEqual([applied, beginnings], [[], new Map()], "there is no feed to number");
  assert.deepEqual(inserts, [
    {
      ...row(3),
      createdAt: 1_000,
      appliedAt: NOW_MS,
      item: { name: "from second 3" },
      created: false,
    },
  ]);
  assert.deepEqual(updates, []);
  assert.deepEqual(
    receipts.map(({ write, outcome, created, settledAt }) => [write, outcome, created, settledAt]),
    [
      [at(1), "applied", true, NOW_MS],
      [at(2), "applied", false, NOW_MS],
    ],
  );
});

test("when a row is replaced, its receipt moves with everything in it", () => {
  const before = { ...row(1), appliedAt: 1_500, trace: TRACE };
  const { inserts, updates, receipts } = fold([write("delete", 2)], [before]);
  assert.deepEqual(inserts, []);
  assert.deepEqual(updates, [
    {
      ...row(2),
      createdAt: 1_000,
      appliedAt: NOW_MS,
      item: null,
      deletedAt: 2_000,
      created: false,
    },
  ]);
  assert.deepEqual(receipts, [
    {
      write: at(1),
      collection: "teachers",
      itemId: "g",
      outcome: "applied",
      code: null,
      reason: null,
      created: true,
      acceptedAt: 1_000,
      settledAt: 1_500,
      trace: TRACE,
      subject: null,
    },
  ]);
});

test("a refused write's receipt has the times of acceptance and settling, its reason and trace", () => {
  const refused = write("put", 3, {
    ifMatch: at(1),
    traceparent: `00-${TRACE}-b7ad6b7169203331-01`,
  });
  const { receipts, inserts, updates } = fold([refused], [row(2)]);
  assert.deepEqual([inserts, updates], [[], []]);
  assert.deepEqual(receipts, [
    {
      write: at(3),
      collection: "teachers",
      itemId: "g",
      outcome: "conflict",
      code: null,
      reason: `The version ${at(1)} is not the current one.`,
      created: false,
      acceptedAt: 3_000,
      settledAt: NOW_MS,
      trace: TRACE,
      subject: null,
    },
  ]);
});

test("a write whose receipt is known is settled and changes nothing", () => {
  const rows = new Map([["g", row(2)]]);
  const batch = { writes: [write("put", 3)], rows, waitedMs: new Map(), nowMs: NOW_MS };
  assert.deepEqual(foldWrites({ ...batch, settled: new Set([at(3)]) }), {
    decisions: [{ kind: "settled-before" }],
    inserts: [],
    updates: [],
    marks: [],
    receipts: [],
    applied: [],
    beginnings: new Map(),
  });
});

test("conditional writes of one batch see one another's versions", () => {
  const writes = [
    write("put", 4, { ifMatch: at(2) }),
    write("put", 3, { ifMatch: at(2) }),
    write("put", 2, { ifMatch: at(1) }),
    write("create", 1),
    write("put", 5, { ifNoneMatch: true }),
  ];
  const { decisions, inserts } = fold(writes);
  assert.deepEqual(words(decisions), ["conflict", "applied", "applied", "applied", "conflict"]);
  assert.deepEqual(inserts.map(getVersion), [at(3)]);
});

test("a write waits for a version that may still arrive, and leaves the tables unchanged", () => {
  const waiting = write("put", 3, { ifMatch: at(2) });
  const reason = `The version ${at(2)} is not the current one.`;
  for (const rows of [[], [row(1)]])
    assert.deepEqual(fold([waiting], rows, { waitedMs: CONDITION_WAIT_MS - 1 }), {
      decisions: [{ kind: "not-yet", version: at(2), reason }],
      inserts: [],
      updates: [],
      marks: [],
      receipts: [],
      applied: [],
      beginnings: new Map(),
    });
});

test("a write waits no longer than a minute, whatever the time in its id is", () => {
  for (const second of [3, 1_000_000]) {
    const waiting = write("put", second, { ifMatch: at(2) });
    const decide = (waitedMs: number) => words(fold([waiting], [row(1)], { waitedMs }).decisions);
    assert.deepEqual(decide(0), ["not-yet"]);
    assert.deepEqual(decide(CONDITION_WAIT_MS), ["conflict"]);
  }
});

test("however old they are, each of a chain of writes is applied, backwards too", () => {
  const chain = [1, 2, 3, 4].map((second) =>
    write("put", second, second > 1 ? { ifMatch: at(second - 1) } : {}),
  );
  const nowMs = 1_000 + 100 * CONDITION_WAIT_MS;
  for (const late of chain.slice(1).reverse())
    assert.deepEqual(words(fold([late], [], { nowMs }).decisions), ["not-yet"]);
  let rows: RowState[] = [];
  for (const next of chain) {
    const { decisions, inserts, updates } = fold([next], rows, { nowMs });
    assert.deepEqual(words(decisions), ["applied"]);
    rows = [...inserts, ...updates];
  }
});

test("a write stops waiting once the version that it names is settled otherwise", () => {
  const waiting = write("put", 3, { ifMatch: at(2) });
  const known = fold([waiting], [row(1)], { nowMs: 3_000, settled: [at(2)] });
  assert.deepEqual(words(known.decisions), ["conflict"]);
  const refused = write("put", 2, { ifNoneMatch: true });
  const sameBatch = fold([waiting, refused], [row(1)], { nowMs: 3_000 });
  assert.deepEqual(words(sameBatch.decisions), ["conflict", "conflict"]);
});

test("an overtaken create leaves its fingerprint on the row, and nothing else", () => {
  const fingerprint = "a".repeat(64);
  const create = write("create", 1, { fingerprint });
  const { decisions, updates, marks, receipts } = fold([create], [row(2)]);
  assert.deepEqual(words(decisions), ["superseded"]);
  assert.deepEqual(updates, []);
  assert.deepEqual(marks, [{ ...row(2), fingerprint }]);
  assert.deepEqual(
    receipts.map(({ write }) => write),
    [at(1)],
  );
  const retry = write("create", 3, { fingerprint });
  assert.deepEqual(words(fold([retry], marks).decisions), ["duplicate"]);
});

test("of two bodies of one key, the one that is settled first is the key's", () => {
  const first = write("create", 1, { fingerprint: "a".repeat(64) });
  const retry = write("create", 3, { fingerprint: "b".repeat(64) });
  const { updates, marks, decisions, receipts } = fold([retry], [row(2)]);
  assert.deepEqual(words(decisions), ["duplicate"]);
  assert.equal(receipts[0]?.created, false);
  assert.deepEqual(updates, []);
  assert.deepEqual(marks, [{ ...row(2), fingerprint: retry.fingerprint }]);
  assert.deepEqual(words(fold([first], marks).decisions), ["conflict"]);
  const together = fold([write("put", 2), retry], [row(1)]);
  assert.deepEqual(together.marks, []);
  assert.deepEqual(together.updates, [
    {
      ...row(2),
      createdAt: 1_000,
      appliedAt: NOW_MS,
      created: false,
      fingerprint: retry.fingerprint,
    },
  ]);
});

test("a keyed create that is repeated is never a conflict, in whichever order they are delivered", () => {
  const fingerprint = "a".repeat(64);
  const create = write("create", 1, { fingerprint });
  const follow = [write("put", 2), write("delete", 2)];
  const retry = write("create", 3, { fingerprint });
  for (const next of follow)
    for (const [order, outcomes] of [
      [
        [create, next, retry],
        ["applied", "applied", "duplicate"],
      ],
      [
        [create, retry, next],
        ["applied", "duplicate", "applied"],
      ],
      [
        [next, create, retry],
        ["applied", "superseded", "duplicate"],
      ],
      [
        [next, retry, create],
        ["applied", "duplicate", "duplicate"],
      ],
      // The retry that makes the item is newer than the write that it overtook.
      [
        [retry, create, next],
        ["applied", "duplicate", "superseded"],
      ],
      [
        [retry, next, create],
        ["applied", "superseded", "duplicate"],
      ],
    ] as const) {
      let rows: RowState[] = [];
      const told = order.map((delivered) => {
        const { decisions, inserts, updates, marks } = fold([delivered], rows);
        rows = [...inserts, ...updates, ...marks, ...rows].slice(0, 1);
        return words(decisions)[0];
      });
      assert.deepEqual(told, outcomes, `with a ${next.kind}`);
      assert.equal(rows[0]?.fingerprint, fingerprint);
    }
});

test("an overtaken write with nothing new leaves the row untouched", () => {
  const { updates, marks } = fold([write("put", 2)], [row(3)]);
  assert.deepEqual([updates, marks], [[], []]);
});

test("what an overtaken write leaves is part of the row that a newer one of its batch replaces", () => {
  const fingerprint = "a".repeat(64);
  const writes = [write("create", 1, { fingerprint }), write("put", 3)];
  const { updates, marks } = fold(writes, [row(2)]);
  assert.deepEqual(marks, []);
  assert.deepEqual(
    updates.map(({ version, createdAt, fingerprint: left }) => [version, createdAt, left]),
    [[at(3), 2_000, fingerprint]],
  );
});

test("a write has created the item where there was none, or a tombstone", () => {
  const tombstone = { ...row(1), item: null, deletedAt: 1_000 };
  const unknown = { ...row(1), created: null };
  for (const [rows, kind, created] of [
    [[], "create", true],
    [[], "put", true],
    [[], "delete", false],
    [[tombstone], "put", true],
    [[tombstone], "delete", false],
    [[row(1)], "put", false],
    [[unknown], "put", false],
    [[row(1)], "delete", false],
  ] as const) {
    const { inserts, updates } = fold([write(kind, 2)], rows);
    assert.deepEqual(
      [...inserts, ...updates].map((made) => made.created),
      [created],
      kind,
    );
  }
});

test("of the writes of a new item, in whichever order they are delivered, one has created it", () => {
  const [older, newer] = [write("put", 1), write("put", 2)];
  const inOrder = fold([older, newer]);
  assert.deepEqual([inOrder.receipts[0]?.created, inOrder.inserts[0]?.created], [true, false]);
  const newerFirst = fold([newer]);
  const then = fold([older], newerFirst.inserts);
  assert.deepEqual([newerFirst.inserts[0]?.created, then.receipts[0]?.created], [true, false]);
  assert.deepEqual(then.marks, [], "the receipt of the newer one stays as it is");
});

test("an item's time of creation is that of the write that began its life, and stays", () => {
  const tombstone = { ...row(2), item: null, createdAt: 1_000, deletedAt: 2_000 };
  for (const [rows, kind, createdAt] of [
    [[], "put", 3_000],
    [[], "delete", 3_000],
    [[{ ...row(2), createdAt: 1_000 }], "put", 1_000],
    [[{ ...row(2), createdAt: 1_000 }], "delete", 1_000],
    // A version from a faster clock began the life: the time of creation is after this write's.
    [[{ ...row(2), createdAt: 9_000 }], "put", 9_000],
    [[tombstone], "put", 3_000],
    [[tombstone], "delete", 1_000],
  ] as const) {
    const { inserts, updates } = fold([write(kind, 3)], rows);
    assert.deepEqual(
      [...inserts, ...updates].map((made) => made.createdAt),
      [createdAt],
      kind,
    );
  }
});

test("applied writes are numbered in the order of their ids, and each life by its first", () => {
  const other = { itemId: "h" };
  const writes = [
    ...[write("put", 2), write("put", 5), write("create", 3)],
    ...[write("delete", 6, other), write("put", 7, other), write("put", 8, other)],
    write("delete", 9, { itemId: "new" }),
  ].map((given) => ({ ...given, collection: { ...teachers, feed: true } }));
  const before = { ...row(1), position: 4, createdPosition: 3 };
  const also = { ...row(1), id: "h", position: 7, createdPosition: 7 };
  const result = fold(writes, [before, also]);
  assert.deepEqual(words(result.decisions)[2], "conflict");
  numberFold(result, 100);
  assert.deepEqual(
    [...result.inserts, ...result.updates].map(({ id, ...made }) => [
      id,
      made.version,
      made.position,
      made.createdPosition,
    ]),
    [
      ["new", at(9), 106, 106],
      ["g", at(5), 102, 3],
      ["h", at(8), 105, 104],
    ],
  );
  assert.deepEqual(
    result.receipts.map(({ write, position }) => [write, position]),
    [
      [at(1), 4],
      [at(3), undefined],
      [at(2), 101],
      [at(1), 7],
      [at(6), 103],
      [at(7), 104],
    ],
  );
});

test("rows are inserted and replaced in the order of their ids", () => {
  const items = ["d", "a", "c", "b"];
  const writes = items.map((itemId, index) => write("put", 9 - index, { itemId }));
  const { inserts, updates } = fold(writes, [
    { ...row(1), id: "d" },
    { ...row(1), id: "b" },
  ]);
  assert.deepEqual(
    inserts.map(({ id }) => id),
    ["a", "c"],
  );
  assert.deepEqual(
    updates.map(({ id }) => id),
    ["b", "d"],
  );
});

test("a fold changes nothing that it was given", () => {
  const rows = new Map([["g", Object.freeze(row(2))]]);
  const settled = new Set([at(9)]);
  const writes = Object.freeze([write("create", 1), write("put", 3)].map(Object.freeze)) as Write[];
  foldWrites({ writes, rows, settled, waitedMs: new Map(), nowMs: NOW_MS });
  assert.deepEqual([...rows], [["g", row(2)]]);
  assert.deepEqual([...settled], [at(9)]);
});

function fold(
  writes: readonly Write[],
  rows: readonly RowState[] = [],
  more: { nowMs?: number; settled?: readonly string[]; waitedMs?: number } = {},
) {
  const { nowMs = NOW_MS, settled = [], waitedMs } = more;
  const waits = waitedMs === undefined ? [] : writes.map(({ id }) => [id, waitedMs] as const);
  return foldWrites({
    writes,
    rows: new Map(rows.map((row) => [row.id, row])),
    settled: new Set(settled),
    waitedMs: new Map(waits),
    nowMs,
  });
}

function at(second: number): string {
  return versionAt(second * 1_000);
}

function write(kind: Write["kind"], second: number, more: Partial<Write> = {}): Write {
  const item = kind === "delete" ? {} : { item: { name: `from second ${second}` } };
  const acceptedAt = second * 1_000;
  return { id: at(second), kind, collection: teachers, itemId: "g", acceptedAt, ...item, ...more };
}

function row(second: number): Row {
  return {
    id: "g",
    version: at(second),
    item: { name: `from second ${second}` },
    createdAt: second * 1_000,
    updatedAt: second * 1_000,
    appliedAt: second * 1_000,
    deletedAt: null,
    fingerprint: null,
    trace: null,
    created: true,
  };
}

function getVersion({ version }: Row): string {
  return version;
}

function words(decisions: ReturnType<typeof foldWrites>["decisions"]): string[] {
  return decisions.map((decision) =>
    decision.kind === "settled" ? decision.outcome : decision.kind,
  );
}
