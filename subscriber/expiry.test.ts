import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { EXPIRY_GRACE_MS } from "../common/limits.ts";
import type { Row, RowState } from "../common/tables.ts";
import type { Write } from "../common/write.ts";
import { deriveExpireId, deriveNextId } from "../common/write-id.ts";
import { berths } from "../test/collections/berths.ts";
import { seats } from "../test/collections/seats.ts";
import { teachers } from "../test/collections/teachers.ts";
import { versionAt } from "../test/support/schedules.ts";
import { type Decision, decide } from "./decide.ts";
import { describeExpiry, hasExpiry, isPublishedBefore } from "./expiry.ts";
import { foldWrites } from "./fold-writes.ts";

const BODY = "a".repeat(64);

/** All times are seconds of Pub/Sub's clock, but `clock`, which is the API instance's. */
type Planned = {
  at: number;
  clock?: number;
  until?: number;
  by?: string;
  kind?: Write["kind"];
  more?: Partial<Write>;
};

function write({ at, clock = at, until, by = "ana", kind = "put", more = {} }: Planned): Write {
  const acceptedAt = clock * 1_000;
  const heldUntil = until === undefined ? {} : { heldUntil: new Date(until * 1_000).toISOString() };
  return {
    id: versionAt(acceptedAt),
    kind,
    collection: berths,
    itemId: "berth-1",
    acceptedAt,
    publishedAt: at * 1_000,
    subject: by,
    ...(kind === "put" || kind === "create" ? { item: { note: "x", user: by, ...heldUntil } } : {}),
    ...more,
  };
}

/** A hold by ana, published at 10 and accepted then, until 100. */
const HOLD = write({ at: 10, until: 100 });

/** Settles writes one after the other; their outcomes, the receipts' codes, and the row. */
function settle(...writes: Write[]) {
  let row: Row | undefined;
  const settled = new Set<string>();
  const told = writes.map((one) => {
    const rows = new Map<string, RowState>(row && [[row.id, row]]);
    const fold = foldWrites({
      writes: [one],
      rows,
      settled,
      waitedMs: new Map(),
      nowMs: 1_000_000,
    });
    row = fold.inserts[0] ?? fold.updates[0] ?? row;
    for (const receipt of fold.receipts) settled.add(receipt.write);
    return describeDecision(fold.decisions[0] as Decision);
  });
  return { told, row };
}

function describeDecision(decision: Decision): string {
  if (decision.kind !== "settled") return decision.kind;
  return decision.code ?? decision.outcome;
}

describe("a replay of a hold that was dead", () => {
  /** Published at that second, of {@link HOLD}, in whose place it stands. */
  const replay = (at: number, dead = HOLD): Write => ({
    ...dead,
    id: deriveNextId(dead.id),
    publishedAt: at * 1_000,
    firstPublishedAt: dead.publishedAt,
  });
  const renewal = write({ at: 20, until: 200 });
  const release = write({ at: 20, kind: "delete" });

  it("is before what was published after the dead write, in both orders", () => {
    const first = settle(replay(50), renewal);
    assert.deepEqual(first.told, ["applied", "applied"]);
    assert.equal(first.row?.expiresAt, 200_000);
    const second = settle(renewal, replay(50));
    assert.deepEqual(second.told, ["applied", "superseded"]);
    assert.equal(second.row?.expiresAt, 200_000);
    assert.deepEqual(settle(replay(50), release).told, ["applied", "applied"]);
  });

  it("does not shorten a renewal since, whose instance has a slower clock", () => {
    const slow = write({ at: 20, clock: 5, until: 200 });
    assert.deepEqual(settle(slow, replay(50)).told, ["applied", "superseded"]);
  });

  it("is after what was published before the dead write, by a faster clock", () => {
    const dead = write({ at: 10, clock: 30, until: 100 });
    const { told, row } = settle(replay(50, dead), write({ at: 5, clock: 40, until: 60 }));
    assert.deepEqual([told, row?.expiresAt], [["applied", "superseded"], 100_000]);
  });

  it("is judged at its own publish time by what has expired", () => {
    assert.deepEqual(settle(replay(100)).told, ["expired"]);
    const taken = write({ at: 5, until: 60, by: "berta" });
    assert.deepEqual(settle(taken, replay(60.999)).told, ["applied", "not-owner"]);
    assert.deepEqual(settle(taken, replay(61)).told, ["applied", "applied"]);
  });

  it("has nothing behind it that was published while another held the item", () => {
    const taken = write({ at: 5, until: 60, by: "berta" });
    const later = write({ at: 59.999, kind: "delete" });
    const { told, row } = settle(taken, replay(62), renewal, later);
    assert.deepEqual(told, ["applied", "applied", "superseded", "superseded"]);
    assert.equal(row?.expiresAt, 100_000);
    const late = write({ at: 50, until: 200, by: "carla" });
    assert.deepEqual(settle(taken, replay(62), late).told, ["applied", "applied", "not-owner"]);
  });
});

describe("another's take of a held item", () => {
  const cases: [string, number, string][] = [
    ["before its expiry", 99, "not-owner"],
    ["at its expiry", 100, "not-owner"],
    ["within the grace", 100.999, "not-owner"],
    ["after the grace", 101, "applied"],
  ];
  for (const [when, at, expected] of cases)
    it(`is ${expected} where it was published ${when}`, () => {
      const take = write({ at, until: 200, by: "berta" });
      assert.deepEqual(settle(HOLD, take).told, ["applied", expected]);
    });

  it("is judged by its publish time, not by the clock of an API that is 30 s fast", () => {
    const take = write({ at: 80, clock: 110, until: 200, by: "berta" });
    assert.deepEqual(settle(HOLD, take).told, ["applied", "not-owner"]);
  });

  it("is judged by its publish time, not by the id after a made-up version", () => {
    const ifMatch = versionAt(140_000);
    const forged = { id: versionAt(140_001), acceptedAt: 140_001, ifMatch };
    const take = write({ at: 80, until: 200, by: "berta", more: forged });
    const later = write({ at: 99, until: 210, by: "carla" });
    const { told, row } = settle(HOLD, take, later);
    assert.deepEqual(told, ["applied", "not-owner", "not-owner"]);
    assert.equal(row?.version, HOLD.id);
  });

  it("is judged by its publish time, however late it is delivered", () => {
    const late = write({ at: 50, until: 900, by: "berta" });
    const renewal = write({ at: 90, until: 150 });
    assert.deepEqual(settle(HOLD, renewal, late).told, ["applied", "applied", "not-owner"]);
  });

  it("and a stranger's delete: it ends nothing of another's, and waits for what the stranger takes", () => {
    const take = write({ at: 120, until: 200, by: "berta" });
    const release = write({ at: 121, kind: "delete", by: "berta" });
    const { told, row } = settle(HOLD, release, take, release);
    assert.deepEqual(told, ["applied", "not-yet", "applied", "applied"]);
    assert.equal(row?.owner, "berta");
    assert.equal(settle(HOLD, release).row?.version, HOLD.id);
  });

  it("is told nothing of the version that another has left", () => {
    const ahead = write({ at: 50, clock: 130, until: 100 });
    const take = write({ at: 120, until: 200, by: "berta" });
    const [row] = foldWrites({
      writes: [ahead],
      rows: new Map(),
      settled: new Set(),
      waitedMs: new Map(),
      nowMs: 1_000_000,
    }).inserts;
    const decision = decide(take, row);
    assert.equal(
      decision.kind === "settled" && decision.reason,
      "A newer write was applied first.",
    );
    const applied = { kind: "settled", outcome: "applied", reason: null };
    assert.deepEqual(decide(write({ at: 140, until: 200, by: "berta" }), row), applied);
  });

  it("is not allowed where there is no publish time", () => {
    const take = write({ at: 500, until: 600, by: "berta", more: { publishedAt: undefined } });
    assert.deepEqual(settle(HOLD, take).told, ["applied", "not-owner"]);
  });

  it("and the owner's release are each settled, in both orders", () => {
    const release = write({ at: 50, kind: "delete" });
    const soon = write({ at: 50.999, until: 200, by: "berta" });
    const later = write({ at: 51, until: 200, by: "berta" });
    assert.deepEqual(settle(HOLD, release, soon).told, ["applied", "applied", "not-owner"]);
    assert.deepEqual(settle(HOLD, release, later).told, ["applied", "applied", "applied"]);
    assert.deepEqual(settle(HOLD, later, release).told, ["applied", "not-owner", "applied"]);
    const released = settle(HOLD, release).row;
    assert.deepEqual([released?.expiresAt, released?.item], [50_000, null]);
  });

  it("after expiry is not undone by a late delete of the former owner, delivered first", () => {
    const take = write({ at: 120, until: 200, by: "berta" });
    const late = write({ at: 120.1, kind: "delete" });
    const { told, row } = settle(HOLD, late, take, late);
    assert.deepEqual(told, ["applied", "not-yet", "applied", "not-owner"]);
    assert.equal(row?.owner, "berta");
    const released = write({ at: 50, kind: "delete" });
    assert.deepEqual(settle(HOLD, released, late, take).told.slice(2), ["not-yet", "applied"]);
  });

  it("after expiry, and the owner's late release, leave the item to the taker", () => {
    const take = write({ at: 101, until: 200, by: "berta" });
    const release = write({ at: 90, clock: 150, kind: "delete" });
    assert.deepEqual(settle(HOLD, take, release).told, ["applied", "applied", "not-owner"]);
  });
});

describe("what a write says of its expiry", () => {
  const unpublished = { publishedAt: undefined };

  it("is that it has one, and when it ends; a delete ends it, unless it has ended", () => {
    assert.deepEqual([HOLD, write({ at: 10 })].map(hasExpiry), [true, false]);
    const row = settle(HOLD).row as Row;
    const end = (at: number, more = {}) =>
      describeExpiry(write({ at, kind: "delete", more }), row).expiresAt;
    assert.deepEqual([end(50), end(150), end(50, unpublished)], [50_000, 100_000, null]);
    const without = write({ at: 10, more: unpublished });
    assert.deepEqual(describeExpiry(without, undefined), { expiresAt: null, publishedAt: null });
  });

  it("is not judged by a time that it lacks", () => {
    const row = settle(HOLD).row as Row;
    assert.equal(isPublishedBefore(write({ at: 8 }), row), true);
    assert.equal(isPublishedBefore(write({ at: 8, more: unpublished }), row), false);
    assert.equal(isPublishedBefore(write({ at: 8 }), { ...row, publishedAt: null }), false);
  });
});

describe("a renewal", () => {
  const renewal = write({ at: 90, until: 150 });

  it("counts once it is settled: after another's take it is the other's item", () => {
    const take = write({ at: 101, until: 200, by: "berta" });
    assert.deepEqual(settle(HOLD, take, renewal).told, ["applied", "applied", "not-owner"]);
    assert.deepEqual(settle(HOLD, renewal, take).told, ["applied", "applied", "not-owner"]);
  });

  it("by a fast API is no more than another's take that was published since", () => {
    const fast = write({ at: 90, clock: 150, until: 180 });
    const take = write({ at: 101, until: 200, by: "berta" });
    assert.deepEqual(settle(HOLD, take, fast).told, ["applied", "applied", "not-owner"]);
  });

  it("of which two are in flight is the newer one, in both orders", () => {
    const [first, second] = [write({ at: 80, until: 140 }), write({ at: 90, until: 150 })];
    assert.deepEqual(settle(HOLD, first, second).told, ["applied", "applied", "applied"]);
    const swapped = settle(HOLD, second, first);
    assert.deepEqual(swapped.told, ["applied", "applied", "superseded"]);
    assert.equal(swapped.row?.expiresAt, 150_000);
  });

  it("by a fast API does not shorten what was held by a message published since", () => {
    const fast = write({ at: 40, clock: 95, until: 120 });
    const { told, row } = settle(HOLD, renewal, fast);
    assert.deepEqual(told, ["applied", "applied", "superseded"]);
    assert.equal(row?.expiresAt, 150_000);
    const release = write({ at: 40, clock: 95, kind: "delete" });
    assert.deepEqual(settle(HOLD, renewal, release).told, ["applied", "applied", "superseded"]);
  });

  it("is newer by its id alone where Pub/Sub's servers stamped both within the grace", () => {
    const at = 90 - EXPIRY_GRACE_MS / 1_000;
    const newer = write({ at, clock: 91, until: 160 });
    assert.deepEqual(settle(HOLD, renewal, newer).told, ["applied", "applied", "applied"]);
  });

  it("is not shortened step by step, each within the grace of the one before", () => {
    const first = write({ at: 89.2, clock: 91, until: 160 });
    const second = write({ at: 88.4, clock: 92, until: 110 });
    const { told } = settle(HOLD, renewal, first, second);
    assert.deepEqual(told, ["applied", "applied", "applied", "superseded"]);
  });

  it("keeps its life: the time of creation, and that it did not create", () => {
    const { row } = settle(HOLD, renewal);
    assert.deepEqual([row?.createdAt, row?.created], [HOLD.acceptedAt, false]);
  });
});

describe("an expired row", () => {
  it("begins a new life by a put, of its owner at once and of another after the grace", () => {
    for (const [at, by] of [
      [100, "ana"],
      [101, "berta"],
    ] as const) {
      const take = write({ at, until: 200, by, more: { ifNoneMatch: true } });
      const { told, row } = settle(HOLD, take);
      assert.deepEqual(told, ["applied", "applied"]);
      assert.deepEqual([row?.createdAt, row?.created, row?.owner], [at * 1_000, true, by]);
    }
  });

  it("of a collection without owners is a tombstone from its expiry on", () => {
    const seat = { collection: seats, subject: undefined };
    const hold = { ...HOLD, ...seat };
    for (const [at, expected] of [
      [99.999, "conflict"],
      [100, "applied"],
    ] as const) {
      const more = { ...seat, ifNoneMatch: true };
      assert.deepEqual(settle(hold, write({ at, until: 200, more })).told, ["applied", expected]);
    }
  });

  it("is no item to If-Match, of its version or of any", () => {
    for (const ifMatch of [HOLD.id, "*"]) {
      const before = write({ at: 99, until: 200, more: { ifMatch } });
      assert.deepEqual(settle(HOLD, before).told, ["applied", "applied"]);
      const after = write({ at: 100, until: 200, more: { ifMatch } });
      assert.deepEqual(settle(HOLD, after).told, ["applied", "conflict"]);
    }
  });

  it("lets a put wait for a newer version in flight", () => {
    const ifMatch = versionAt(990_000);
    const more = { ifMatch, id: versionAt(991_000), acceptedAt: 991_000 };
    const chained = write({ at: 991, until: 1_200, more });
    assert.deepEqual(settle(HOLD, chained).told, ["applied", "not-yet"]);
  });

  it("supersedes an older put, whose time of creation it does not take", () => {
    const older = write({ at: 120, clock: 9, until: 300 });
    const { told, row } = settle(HOLD, older);
    assert.deepEqual(told, ["applied", "superseded"]);
    assert.equal(row?.createdAt, HOLD.acceptedAt);
  });

  it("is a duplicate or a conflict to a keyed create, by its body", () => {
    const create = write({ at: 10, until: 100, kind: "create", more: { fingerprint: BODY } });
    const more = { fingerprint: BODY };
    const retry = write({ at: 150, until: 400, kind: "create", more });
    const other = { ...retry, fingerprint: "b".repeat(64) };
    assert.deepEqual(settle(create, retry).told, ["applied", "duplicate"]);
    assert.deepEqual(settle(create, other).told, ["applied", "conflict"]);
    const taken = write({ at: 120, until: 200 });
    assert.deepEqual(settle(create, taken, retry).told, ["applied", "applied", "duplicate"]);
  });
});

describe("a write whose own expiry is not after its publish time", () => {
  it("is a conflict with the code expired, and changes nothing", () => {
    for (const kind of ["put", "create"] as const) {
      assert.deepEqual(settle(write({ at: 100, until: 100, kind })), {
        told: ["expired"],
        row: undefined,
      });
      assert.deepEqual(settle(write({ at: 99.999, until: 100, kind })).told, ["applied"]);
    }
    assert.deepEqual(decide(write({ at: 100, until: 100 }), undefined), {
      kind: "settled",
      outcome: "conflict",
      reason: "The item had expired before the write was accepted.",
      code: "expired",
    });
    const { told, row } = settle(HOLD, write({ at: 50, clock: 20, until: 40 }));
    assert.deepEqual([told, row?.version], [["applied", "expired"], HOLD.id]);
  });

  it("does not tell a stranger more than that the item is another's", () => {
    const take = write({ at: 50, until: 40, by: "berta" });
    assert.deepEqual(settle(HOLD, take).told, ["applied", "not-owner"]);
  });
});

describe("the sweep's expire", () => {
  const expire = (at: number, version = HOLD.id, expiry = 100_000): Write => ({
    ...write({ at, kind: "expire", more: { ifMatch: version, subject: undefined } }),
    id: deriveExpireId(version, expiry),
  });

  it("makes an expired row a tombstone where it stood, with its own times and its owner", () => {
    const { told, row } = settle(HOLD, expire(160));
    assert.deepEqual(told, ["applied", "applied"]);
    assert.equal(row?.version, deriveExpireId(HOLD.id, 100_000));
    assert.deepEqual([row?.updatedAt, row?.deletedAt], [160_000, 160_000]);
    assert.deepEqual([row?.expiresAt, row?.owner, row?.item], [100_000, "ana", null]);
    assert.deepEqual([row?.createdAt, row?.created], [HOLD.acceptedAt, false]);
  });

  it("is one write, however often it is published", () => {
    const told = settle(HOLD, expire(160), expire(220)).told;
    assert.deepEqual(told, ["applied", "applied", "settled-before"]);
  });

  it("changes nothing where the row has not expired by its publish time", () => {
    assert.deepEqual(settle(HOLD, expire(99)).told, ["applied", "conflict"]);
    const decision = decide(expire(99), settle(HOLD).row);
    assert.equal(decision.kind === "settled" && decision.reason, "The item has not expired.");
  });

  it("comes too late where the item was renewed, released or taken", () => {
    const renewal = write({ at: 90, until: 150 });
    const release = write({ at: 90, kind: "delete" });
    const take = write({ at: 130, until: 200, by: "berta" });
    for (const newer of [renewal, release, take]) {
      const { told, row } = settle(HOLD, newer, expire(160));
      assert.deepEqual(told, ["applied", "applied", "conflict"]);
      assert.equal(row?.version, newer.id);
    }
  });

  it("changes nothing for takes and renewals that are settled after it", () => {
    const take = write({ at: 101, until: 200, by: "berta" });
    assert.deepEqual(settle(HOLD, expire(160), take).told.at(-1), "applied");
    const early = write({ at: 100.5, until: 200, by: "berta" });
    assert.deepEqual(settle(HOLD, expire(160), early).told.at(-1), "not-owner");
    const renewal = write({ at: 90, until: 150 });
    assert.deepEqual(settle(HOLD, expire(160), renewal).told.at(-1), "applied");
  });

  it("of an older version does not end a newer one that expired, too", () => {
    const renewal = write({ at: 90, until: 150 });
    assert.deepEqual(settle(HOLD, renewal, expire(300)).told.at(-1), "conflict");
    const next = expire(300, renewal.id, 150_000);
    assert.deepEqual(settle(HOLD, renewal, next).told.at(-1), "applied");
  });
});

it("where items do not expire, a write is settled as without a publish time", () => {
  const put = { ...write({ at: 10 }), collection: teachers, item: { name: "Gabriela" } };
  const row = settle(put).row as Row;
  assert.deepEqual(
    Object.keys(row).filter((key) => /expires|published/i.test(key)),
    [],
  );
  const create = { ...put, kind: "create" as const, id: versionAt(20_000), publishedAt: 20_000 };
  assert.equal(describeDecision(decide(create, row)), "conflict");
});
