import assert from "node:assert/strict";
import { test } from "node:test";
import { v7 } from "uuid";
import { getWriteTime } from "../../common/write-id.ts";
import { ClaimLog, formatItem } from "./claims.ts";
import type { Exchange } from "./exchange.ts";
import { readAnswer, recordAnswer } from "./record.ts";

const COLLECTIONS = new Set(["data"]);
const WRITE = "01968b3e-7c00-7000-8000-000000000001";
const OTHER = "01968b3e-7c00-7000-8000-000000000002";
const RECEIPT = `/api/data/a/writes/${WRITE}`;
const ITEM = { nombre: "Valpo" };
const TEXT = formatItem(ITEM);
const LINK = { link: `<${RECEIPT}>; rel="status"` };
const etag = (version: string) => ({ etag: `"${version}"` });

/** Reads the answer to a PUT of the item "a", or to what is given instead. */
function read(given: Partial<Exchange>) {
  const { claims, faults } = readAnswer(exchange(given), COLLECTIONS);
  const said = claims.map(([key, { fromMs, toMs, answer, ...claim }]) => ({ key, ...claim }));
  return { said, faults };
}

function exchange(given: Partial<Exchange>): Exchange {
  return {
    fromMs: 1,
    toMs: 2,
    method: "PUT",
    target: "/api/data/a",
    headers: {},
    sent: ITEM,
    status: 202,
    answerHeaders: {},
    answered: undefined,
    ...given,
  };
}

const sent = {
  write: WRITE,
  kind: "put",
  item: TEXT,
  ifMatch: undefined,
  ifNoneMatch: false,
  isDated: false,
};

test("202 says what was sent, and with which condition", () => {
  const accepted = { id: "a", write: WRITE, status: "accepted", receipt: RECEIPT };
  const answer = { answerHeaders: LINK, answered: accepted };
  assert.deepEqual(read(answer), { said: [{ key: "data/a", sent }], faults: [] });
  const [conditional] = read({ ...answer, headers: { "if-match": `"${OTHER}"` } }).said;
  assert.deepEqual(conditional?.sent, { ...sent, ifMatch: `"${OTHER}"` });
  const create = { method: "POST", target: "/api/data" };
  const location = { ...LINK, location: "/api/data/a" };
  const created = read({ ...answer, ...create, answerHeaders: location });
  assert.deepEqual(created, {
    said: [{ key: "data/a", sent: { ...sent, kind: "create" } }],
    faults: [],
  });
});

test("202 whose parts name different items or writes is wrong", () => {
  const accepted = { id: "a", write: WRITE, status: "accepted", receipt: RECEIPT };
  const answer = (more: object) => ({ answerHeaders: LINK, answered: { ...accepted, ...more } });
  assert.match(String(read(answer({ id: "b" })).faults), /receipt is a, and not b/);
  assert.match(String(read(answer({ write: OTHER })).faults), /write is .*2, and not/);
  assert.match(String(read(answer({ receipt: "/api/data/b" })).faults), /receipt is \/api/);
  assert.match(String(read({ ...answer({}), target: "/api/data/b" }).faults), /and not b/);
  assert.match(
    String(read({ ...answer({}), target: "/api/data", sent: { id: "c", ...ITEM } }).faults),
    /and not c/,
  );
});

test("a settled write's answer says whether it created, and what the item is", () => {
  const answered = { id: "a", ...ITEM };
  const own = { answerHeaders: { ...LINK, ...etag(WRITE) }, answered };
  const applied = (created: boolean) => {
    return { write: WRITE, is: "settled", outcomes: ["applied"], members: { created } };
  };
  const state = { is: "present", version: WRITE, item: TEXT };
  assert.deepEqual(read({ ...own, status: 201 }).said, [
    { key: "data/a", sent, receipt: applied(true), state },
  ]);
  assert.deepEqual(read({ ...own, status: 200 }).said, [
    { key: "data/a", sent, receipt: applied(false), state },
  ]);
  // Prefer: return=minimal.
  assert.deepEqual(read({ ...own, status: 204, answered: undefined }).said, [
    { key: "data/a", sent, receipt: applied(false), state: { ...state, item: undefined } },
  ]);
  assert.match(
    String(read({ ...own, status: 200, answered: { ...answered, id: "b" } }).faults),
    /b/,
  );
  const removed = read({ method: "DELETE", status: 204, sent: undefined, answerHeaders: LINK });
  assert.deepEqual(removed.said[0]?.receipt, applied(false));
  assert.deepEqual(removed.said[0]?.state, { is: "deleted", version: WRITE });
});

test("a write without effect is answered with the current item, or 410", () => {
  const receipt = {
    write: WRITE,
    is: "settled",
    outcomes: ["superseded", "duplicate"],
    members: {},
  };
  const answered = { id: "a", ...ITEM };
  const other = { status: 200, answerHeaders: { ...LINK, ...etag(OTHER) }, answered };
  const state = { is: "present", version: OTHER, item: TEXT };
  assert.deepEqual(read(other).said, [{ key: "data/a", sent, receipt, state }]);
  const gone = { status: 410, answerHeaders: LINK, answered: { detail: "The item was deleted." } };
  assert.deepEqual(read(gone).said, [{ key: "data/a", sent, receipt, state: { is: "deleted" } }]);
  assert.match(String(read({ status: 410 }).faults), /without the receipt/);
});

test("a refused write's answer has the reason of its receipt", () => {
  const answered = { detail: "The item exists." };
  const refused = (status: number, outcome: string, headers = {}) => {
    const { said, faults } = read({ status, headers, answerHeaders: LINK, answered });
    const code = outcome === "conflict" ? { code: null } : {};
    const members = { reason: "The item exists.", ...code };
    const receipt = { write: WRITE, is: "settled", outcomes: [outcome], members };
    assert.deepEqual(said[0]?.receipt, receipt);
    return faults;
  };
  const condition = { "if-none-match": "*" };
  assert.deepEqual(refused(412, "conflict", condition), []);
  assert.deepEqual(refused(409, "conflict"), []);
  assert.deepEqual(refused(422, "dead"), []);
  assert.deepEqual(refused(412, "conflict"), ["412 of no condition"]);
  assert.deepEqual(refused(409, "conflict", condition), ["409 for a condition"]);
});

test("403 and 404 of a write that was settled say that it is a conflict, and why", () => {
  for (const [status, code] of [
    [403, "not-owner"],
    [404, null],
  ] as const) {
    const answered = { type: "urn:x:y", detail: "It is so.", receipt: RECEIPT };
    const [said] = read({ status, answerHeaders: LINK, answered }).said;
    const members = { reason: "It is so.", code };
    const receipt = { write: WRITE, is: "settled", outcomes: ["conflict"], members };
    assert.deepEqual(said?.receipt, receipt);
  }
});

test("403 without a receipt says that the item is there, or was; and 404 to a delete, that it never was", () => {
  const type = "urn:problem-type:constancia:not-owner";
  const taken = read({ status: 403, answered: { type } }).said;
  assert.deepEqual(taken, [{ key: "data/a", state: { is: "taken" } }]);
  const scope = read({
    status: 403,
    answered: { type: "urn:problem-type:constancia:wrong-scope" },
  });
  assert.deepEqual(scope.said, []);
  const absent = read({ status: 404, method: "DELETE", sent: undefined }).said;
  assert.deepEqual(absent, [{ key: "data/a", state: { is: "absent" } }]);
  assert.deepEqual(read({ status: 404 }).said, []);
});

test("412 without a receipt says that the condition cannot hold", () => {
  const absent = read({ status: 412, headers: { "if-none-match": "*" } }).said;
  assert.deepEqual(absent, [{ key: "data/a", state: { is: "present" } }]);
  const recent = v7();
  const newer = read({ status: 412, headers: { "if-match": `"${recent}"` } }).said;
  assert.deepEqual(newer, [{ key: "data/a", state: { is: "past", version: recent } }]);
  // A version that nobody waits for any more.
  assert.deepEqual(read({ status: 412, headers: { "if-match": `"${WRITE}"` } }).said, []);
});

test("each result of a bulk says what became of its record", () => {
  const records = [{ id: "a", ...ITEM }, { id: "b" }, { id: "c", ...ITEM }];
  const results = [
    { status: 201, id: "a", write: WRITE, receipt: RECEIPT, outcome: "applied" },
    { status: 422, detail: "The item is not valid." },
    {
      status: 410,
      id: "c",
      write: OTHER,
      receipt: `/api/data/c/writes/${OTHER}`,
      outcome: "duplicate",
    },
  ];
  const bulk = { target: "/api/data", status: 207, sent: records, answered: { results } };
  const { said, faults } = read(bulk);
  assert.deepEqual(faults, []);
  assert.deepEqual(
    said.map(({ key, sent, receipt, state }) => [key, sent?.item, receipt, state?.is]),
    [
      [
        "data/a",
        TEXT,
        {
          write: WRITE,
          is: "settled",
          outcomes: ["applied"],
          members: { created: true, outcome: "applied" },
        },
        "present",
      ],
      [
        "data/c",
        TEXT,
        {
          write: OTHER,
          is: "settled",
          outcomes: ["superseded", "duplicate"],
          members: { outcome: "duplicate" },
        },
        "deleted",
      ],
    ],
  );
  const fewer = read({ ...bulk, answered: { results: results.slice(1) } });
  assert.match(String(fewer.faults), /2 results of 3 records/);
  const mixed = read({ ...bulk, sent: records.toReversed() });
  assert.match(String(mixed.faults), /is a, and not c/);
});

test("a read says the item's state, and with after= that the write is settled", () => {
  const get = { method: "GET", sent: undefined, status: 200, answered: { id: "a", ...ITEM } };
  const modified = new Date(getWriteTime(WRITE)).toUTCString();
  const answerHeaders = { ...etag(WRITE), "last-modified": modified };
  const state = { is: "present", version: WRITE, item: TEXT };
  assert.deepEqual(read({ ...get, answerHeaders }), {
    said: [{ key: "data/a", state }],
    faults: [],
  });
  const recent = v7();
  const readAfter = (write: string) =>
    read({ ...get, answerHeaders, target: `/api/data/a?after=${write}` }).said[0]?.receipt;
  assert.deepEqual(readAfter(recent), { write: recent, is: "settled" });
  // Its receipt may have been deleted.
  assert.equal(readAfter(OTHER), undefined);
  assert.deepEqual(read({ ...get, status: 404 }).said, [
    { key: "data/a", state: { is: "absent" } },
  ]);
  assert.deepEqual(read({ ...get, status: 410 }).said, [
    { key: "data/a", state: { is: "deleted" } },
  ]);
  assert.deepEqual(read({ ...get, status: 503 }).said, []);
  assert.deepEqual(read({ ...get }).faults, ["no ETag"]);
  const late = { ...etag(WRITE), "last-modified": new Date(0).toUTCString() };
  assert.match(String(read({ ...get, answerHeaders: late }).faults), /Last-Modified is/);
  const other = { ...get, answerHeaders, answered: { id: "b", ...ITEM } };
  assert.match(String(read(other).faults), /id of a is b/);
  const same = { ...get, status: 304, answerHeaders, answered: undefined };
  assert.deepEqual(read({ ...same, headers: { "if-none-match": `"${WRITE}"` } }).faults, []);
  assert.match(
    String(read({ ...same, headers: { "if-none-match": `"${OTHER}"` } }).faults),
    /is not in/,
  );
});

test("a page says that each of its items exists", () => {
  const page = { method: "GET", sent: undefined, status: 200, target: "/api/data?limit=2" };
  const items = ["a", "b"].map((id) => ({ id, ...ITEM }));
  const answered = { data: items, next: null };
  const state = { is: "present", item: TEXT };
  assert.deepEqual(read({ ...page, answered }), {
    said: [
      { key: "data/a", state },
      { key: "data/b", state },
    ],
    faults: [],
  });
  const twice = { data: [items[0], items[0]], next: null };
  assert.match(String(read({ ...page, answered: twice }).faults), /twice/);
  const many = { data: [...items, { id: "c" }], next: null };
  assert.match(String(read({ ...page, answered: many }).faults), /3 items where the limit is 2/);
  const short = { data: items.slice(1), next: "cursor" };
  assert.match(String(read({ ...page, answered: short }).faults), /not full/);
});

test("a receipt says that the write is settled, in flight or unknown", () => {
  const get = { method: "GET", target: RECEIPT, sent: undefined, status: 200 };
  const receiptOf = (given: Partial<Exchange>) => read({ ...get, ...given }).said[0]?.receipt;
  const members = { outcome: "conflict", reason: "The item exists." };
  assert.deepEqual(receiptOf({ answered: { status: "settled", ...members } }), {
    write: WRITE,
    is: "settled",
    members,
  });
  assert.deepEqual(receiptOf({ answered: { status: "accepted" } }), {
    write: WRITE,
    is: "in flight",
  });
  assert.deepEqual(receiptOf({ status: 404 }), { write: WRITE, is: "unknown" });
  const silent = read({ ...get, answered: { status: "settled", outcome: "dead", reason: null } });
  assert.match(String(silent.faults), /without a reason/);
});

test("answers about anything else say nothing", () => {
  for (const target of ["/", "/health/live", "/api", "/api/other/a", "/api/data/a/b", "/x/data/a"])
    assert.deepEqual(read({ method: "GET", status: 404, target }), { said: [], faults: [] });
});

test("a log keeps what answers say by item, up to its limit", () => {
  const log = new ClaimLog(2);
  const answer = exchange({ method: "GET", status: 404, sent: undefined });
  for (let times = 0; times < 3; times += 1) recordAnswer(log, answer, COLLECTIONS);
  assert.deepEqual([log.kept, log.dropped, log.keys()], [2, 1, ["data/a"]]);
  assert.equal(log.take("data/a")[0]?.answer, "GET /api/data/a 404");
  assert.deepEqual(log.keys(), []);
});
