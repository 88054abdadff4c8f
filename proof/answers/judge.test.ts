import assert from "node:assert/strict";
import { test } from "node:test";
import { data } from "../../collections/data.ts";
import type { Outcome, Receipt } from "../../common/receipts.ts";
import type { Write } from "../../common/write.ts";
import { notes } from "../../test/collections/notes.ts";
import {
  type Claim,
  formatItem,
  type ReceiptClaim,
  type SentWrite,
  type StateClaim,
} from "./claims.ts";
import { type ItemHistory, judgeItem } from "./judge.ts";

/** Write ids in the order of their numbers. */
const id = (number: number) => `01968b3e-7c00-7000-8000-00000000000${number}`;
const item = (number: number) => ({ nombre: `body ${number}` });
const text = (number: number) => formatItem(item(number));

type Given = Partial<Write> & { outcome: Outcome; created?: boolean; reason?: string };

/** Writes 1, 2, … of the item "a", and what became of each. */
function makeHistory(...given: Given[]): ItemHistory {
  const writes = new Map<string, Write>();
  const receipts = new Map<string, Receipt>();
  given.forEach(({ outcome, created = false, reason = null, ...more }, place) => {
    const write = id(place + 1);
    const kind = more.kind ?? "put";
    const content = kind === "delete" ? undefined : item(place + 1);
    const base = { id: write, kind, collection: data, itemId: "a", acceptedAt: 1_000 };
    writes.set(write, { ...base, item: content, ...more });
    const times = { acceptedAt: 1_000, settledAt: 1_007, trace: null, code: null, subject: null };
    const own = { write, collection: "data", itemId: "a", outcome, reason, created };
    receipts.set(write, { ...own, ...times });
  });
  return { writes, receipts };
}

const between = (fromMs: number, toMs: number, more: Partial<Claim>): Claim => {
  return { fromMs, toMs, answer: "answer", ...more };
};
const shows = (fromMs: number, toMs: number, state: StateClaim) => between(fromMs, toMs, { state });
const present = (number: number): StateClaim => {
  return { is: "present", version: id(number), item: text(number) };
};

/** The item was put, deleted, and put again. */
const twoLives = makeHistory(
  { outcome: "applied", created: true },
  { outcome: "applied", kind: "delete" },
  { outcome: "applied", created: true },
);
const repeated = makeHistory({ outcome: "applied", created: true }, { outcome: "duplicate" });
/** The second write was settled before the first. */
const late = makeHistory({ outcome: "superseded" }, { outcome: "applied", created: true });
const refused = makeHistory({ outcome: "conflict", reason: "The item does not exist." });
const absent: StateClaim = { is: "absent" };
const deleted: StateClaim = { is: "deleted" };
const isSettled = (number: number, members = {}): Partial<Claim> => {
  return { receipt: { write: id(number), is: "settled", members } };
};
const withoutEffect: ReceiptClaim = {
  write: id(2),
  is: "settled",
  outcomes: ["superseded", "duplicate"],
};
const inFlight = (number: number): Partial<Claim> => {
  return { receipt: { write: id(number), is: "in flight" } };
};
const sent = (number: number, more: Partial<SentWrite> = {}): Partial<Claim> => {
  const write = { write: id(number), kind: "put" as const, item: text(number) };
  return { sent: { ...write, ifMatch: undefined, ifNoneMatch: false, isDated: false, ...more } };
};

type Case = [title: string, history: ItemHistory, claims: Claim[]];

/** Ana has put the item, which whoever may write any has put since; the writes name other owners. */
const owned = makeHistory(
  { outcome: "applied", created: true, collection: notes, item: { text: "1", user: "key:ana" } },
  { outcome: "applied", collection: notes, item: { text: "2", user: "key:admin" } },
);
const ofAna = (text: string): StateClaim => {
  return { is: "present", item: formatItem({ text, user: "key:ana" }) };
};

const right: Case[] = [
  [
    "an item that keeps its owner, and what was sent without one",
    owned,
    [
      shows(0, 1, ofAna("1")),
      shows(2, 3, ofAna("2")),
      between(0, 1, sent(2, { item: formatItem({ text: "2" }) })),
      between(0, 1, sent(2, { item: formatItem({ text: "2", user: "key:admin" }) })),
    ],
  ],
  [
    "an id that is taken, also where the item was deleted",
    twoLives,
    [shows(4, 5, { is: "taken" })],
  ],
  [
    "each state in turn",
    twoLives,
    [
      shows(0, 1, absent),
      shows(2, 3, present(1)),
      shows(4, 5, deleted),
      shows(6, 7, present(3)),
      shows(8, 9, present(3)),
    ],
  ],
  [
    "any state, where the requests overlap",
    twoLives,
    [shows(0, 9, present(3)), shows(1, 8, deleted), shows(2, 7, absent)],
  ],
  [
    "the content of a version, on a page",
    twoLives,
    [shows(0, 1, { is: "present", item: text(1) })],
  ],
  [
    "a condition refused where a delete has the version",
    twoLives,
    [shows(0, 1, { is: "past", version: id(2) })],
  ],
  [
    "the item that a duplicate repeats",
    repeated,
    [between(0, 1, { receipt: withoutEffect, state: present(1) })],
  ],
  [
    "the newer item that superseded a write",
    late,
    [between(0, 1, { ...isSettled(1), state: present(2) })],
  ],
  [
    "a receipt in flight, then settled",
    twoLives,
    [between(0, 1, inFlight(1)), between(2, 3, isSettled(1, { created: true, lagMs: 7 }))],
  ],
  [
    "a receipt in flight, in answer to a request that began before another saw it settled",
    twoLives,
    [between(0, 9, inFlight(1)), between(2, 3, isSettled(1))],
  ],
  [
    "what was sent",
    twoLives,
    [between(0, 1, sent(1)), between(0, 1, sent(2, { kind: "delete", item: undefined }))],
  ],
  [
    "one version of several in a condition, or one found by a date",
    makeHistory({ outcome: "applied", created: true }, { outcome: "applied", ifMatch: id(1) }),
    [
      between(0, 1, sent(2, { ifMatch: `"${id(7)}", "${id(1)}"` })),
      between(0, 1, sent(2, { isDated: true })),
    ],
  ],
  [
    "the reason of a conflict",
    refused,
    [between(0, 1, isSettled(1, { reason: "The item does not exist." }))],
  ],
  [
    "no item, read after a write that was refused",
    refused,
    [between(0, 1, { ...isSettled(1), state: absent })],
  ],
  ["an unknown write", twoLives, [between(0, 1, { receipt: { write: id(9), is: "unknown" } })]],
];

for (const [title, history, claims] of right)
  test(`answers are right that show ${title}`, () => {
    assert.deepEqual(judgeItem(history, claims), []);
  });

const wrong: [...Case, fault: RegExp][] = [
  [
    "an item that has taken another owner",
    owned,
    [shows(0, 1, { is: "present", item: formatItem({ text: "2", user: "key:admin" }) })],
    /cannot have been present/,
  ],
  [
    "an id that is taken, where nobody has written it",
    refused,
    [shows(0, 1, { is: "taken" })],
    /cannot have been taken; it was absent/,
  ],
  [
    "404 after the item was shown",
    twoLives,
    [shows(2, 3, present(1)), shows(4, 5, absent)],
    /cannot have been absent; it was .*body 1/,
  ],
  [
    "404 after a write was shown as settled",
    twoLives,
    [between(2, 3, isSettled(1)), shows(4, 5, absent)],
    /cannot have been absent/,
  ],
  [
    "410 of an item that nobody deleted",
    repeated,
    [between(0, 1, { receipt: withoutEffect, state: deleted })],
    /cannot have been deleted/,
  ],
  [
    "410 once the item was there again",
    twoLives,
    [shows(2, 3, present(3)), shows(4, 5, deleted)],
    /cannot have been deleted/,
  ],
  [
    "an older version than was shown before",
    twoLives,
    [shows(2, 3, deleted), shows(4, 5, present(1))],
    /cannot have been present at \S+1 with/,
  ],
  [
    "a version before its write was sent",
    twoLives,
    [shows(0, 1, present(1)), between(2, 3, sent(1))],
    /cannot have been present/,
  ],
  [
    "another version's content",
    twoLives,
    [shows(0, 1, { ...present(1), item: text(3) } as StateClaim)],
    /cannot have been present at \S+1 with .*body 3/,
  ],
  [
    "content that nobody wrote",
    twoLives,
    [shows(0, 1, { is: "present", item: text(7) })],
    /cannot have been present/,
  ],
  ["an item that nobody wrote", makeHistory(), [shows(0, 1, { is: "present" })], /it was absent/],
  [
    "an older item than the write that the read waited for",
    twoLives,
    [between(0, 1, { ...isSettled(3), state: present(1) })],
    /cannot have been present at \S+1/,
  ],
  [
    "412 though the version may still be in flight",
    makeHistory({ outcome: "applied", created: true }, { outcome: "applied" }),
    [shows(0, 1, { is: "past", version: id(2) })],
    /cannot have been past/,
  ],
  [
    "412 though the item was at the version all the time",
    repeated,
    [shows(0, 1, { is: "past", version: id(1) })],
    /cannot have been past/,
  ],
  [
    "201 of a write that replaced",
    repeated,
    [between(0, 1, isSettled(2, { created: true }))],
    /created .* is false, and not true/,
  ],
  [
    "200 of a write that created",
    twoLives,
    [between(0, 1, isSettled(1, { created: false }))],
    /created .* is true, and not false/,
  ],
  [
    "another outcome",
    twoLives,
    [between(0, 1, { receipt: { ...withoutEffect, write: id(1) } })],
    /is applied, and not superseded or duplicate/,
  ],
  ["another reason", refused, [between(0, 1, isSettled(1, { reason: "It is late." }))], /reason/],
  ["a receipt of no write", twoLives, [between(0, 1, isSettled(9))], /is not settled/],
  [
    "a receipt in flight after it was settled",
    twoLives,
    [between(0, 1, isSettled(1)), between(2, 3, inFlight(1))],
    /was shown as settled before/,
  ],
  [
    "a receipt in flight after its version was replaced",
    twoLives,
    [shows(0, 1, present(3)), between(2, 3, inFlight(1))],
    /was shown as settled before/,
  ],
  [
    "no receipt of a write that exists",
    twoLives,
    [between(0, 1, { receipt: { write: id(1), is: "unknown" } })],
    /exists/,
  ],
  ["a write that was not published", twoLives, [between(0, 1, sent(9))], /was never published/],
  [
    "other content than was published",
    twoLives,
    [between(0, 1, sent(1, { item: text(3) }))],
    /body 3.* was sent, and .*body 1.* was published/,
  ],
  [
    "a condition that was not published",
    twoLives,
    [between(0, 1, sent(1, { ifMatch: "*" }))],
    /was sent/,
  ],
];

for (const [title, history, claims, fault] of wrong)
  test(`answers are wrong that show ${title}`, () => {
    const faults = judgeItem(history, claims);
    assert.equal(faults.length, 1, faults.join("\n"));
    assert.match(faults[0] as string, fault);
  });

test("items are equal whatever the order of their members and the zone of their times", () => {
  const one = formatItem({ b: [1, { x: 1, y: 2 }], a: "2026-03-01T10:30:00+01:00" });
  assert.equal(formatItem({ a: "2026-03-01T09:30:00.000Z", b: [1, { y: 2, x: 1 }] }), one);
  assert.notEqual(formatItem({ b: [1, { x: 2, y: 2 }], a: "2026-03-01T10:30:00+01:00" }), one);
  const long = (end: string) => formatItem({ text: `${"x".repeat(500)}${end}` });
  assert.ok(long("a").length < 200);
  assert.notEqual(long("a"), long("b"));
});
