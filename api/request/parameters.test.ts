import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Request, Response } from "express";
import { v7 } from "uuid";
import type { Collection } from "../../common/collection.ts";
import { CLOCK_SKEW_MS } from "../../common/limits.ts";
import { assertThrowsProblem } from "../../test/support/problems.ts";
import { readAfter } from "./after.ts";
import {
  findCollection,
  isPossibleWrite,
  readIdempotencyKey,
  readItemId,
  readParameter,
  readPrefer,
  refuseConditions,
  refuseUnknownParameters,
  refuseUnsupportedHeaders,
  setWaitApplied,
} from "./parameters.ts";

/** What of Express's request is read. */
function ask(headers: Record<string, string> = {}, more: Partial<Request> = {}): Request {
  const get = (name: string) => headers[name.toLowerCase()];
  const defaults = { get, headers, query: {}, params: {}, url: "/", method: "PUT" };
  return { ...defaults, ...more } as unknown as Request;
}

describe("the path", () => {
  it("names a collection that is declared", () => {
    const collections = ["one", "two"].map((name) => ({ name }) as Collection);
    const find = (collection: string) =>
      findCollection(collections, ask({}, { params: { collection } }));
    assert.equal(find("two"), collections[1]);
    assertThrowsProblem(() => find("three"), 404, /does not exist\. Collections: one, two\.$/);
  });

  it("names an item", () => {
    const read = (id: string) => readItemId(ask({}, { params: { id } }));
    assert.equal(read("a.b~c_d-1"), "a.b~c_d-1");
    for (const id of ["", "a b", "x".repeat(65)])
      assertThrowsProblem(() => read(id), 400, /^An item id/);
  });
});

describe("the query", () => {
  it("has each parameter once", () => {
    const request = ask({}, { query: { a: "1", b: ["1", "2"] } });
    assert.equal(readParameter(request, "a"), "1");
    assert.equal(readParameter(request, "c"), undefined);
    assertThrowsProblem(
      () => readParameter(request, "b"),
      400,
      /^The parameter b must not be repeated/,
    );
  });

  it("may name a write to wait for, by its id or by its receipt", () => {
    const item = { collection: { name: "data" } as Collection, itemId: "valpo" };
    const read = (query: Record<string, string>) => readAfter(ask({}, { query }), item);
    const write = v7();
    assert.equal(read({ after: write }), write);
    assert.equal(read({ after: `/api/data/valpo/writes/${write}` }), write);
    assert.equal(read({ after: `https://example.com/api/data/valpo/writes/${write}` }), write);
    assert.equal(read({}), undefined);
    for (const after of ["x", "/api/data/valpo/writes/x", `/api/data/valpo/writes/${write}/x`])
      assertThrowsProblem(
        () => read({ after }),
        400,
        /^The parameter after must be a write id, or/,
      );
    for (const place of ["data/olmue", "visits/valpo"])
      assertThrowsProblem(
        () => read({ after: `/api/${place}/writes/${write}` }),
        400,
        /belongs to another item/,
      );
  });

  it("has known parameters only", () => {
    const query = { limit: "1", [`b${"x".repeat(60)}`]: "2" };
    const request = ask({}, { url: "/?limit=1&bx", query });
    const shown = `^Unknown parameter "b${"x".repeat(49)}"\\. `;
    refuseUnknownParameters(request, Object.keys(query));
    assertThrowsProblem(
      () => refuseUnknownParameters(request, ["limit", "cursor"]),
      400,
      new RegExp(`${shown}This resource supports limit, cursor\\.$`),
    );
    assertThrowsProblem(
      () => refuseUnknownParameters(request, ["limit"]),
      400,
      / supports limit\.$/,
    );
    const none = ask({}, { url: "/?bx", query: { bx: "1" } });
    assertThrowsProblem(
      () => refuseUnknownParameters(none),
      400,
      /This resource supports no parameters/,
    );
    refuseUnknownParameters(ask({}, { url: "/", query }));
  });
});

describe("Prefer", () => {
  const NONE = { waitMs: 0, isMinimal: false, applied: [] };
  const cases: [string | undefined, ReturnType<typeof readPrefer>][] = [
    [undefined, NONE],
    ["", NONE],
    ["respond-async; x=1, return=representation", NONE],
    ["wait=0", { ...NONE, applied: ["wait=0"] }],
    ["wait=5", { ...NONE, waitMs: 5_000, applied: ["wait=5"] }],
    ["wait=30", { ...NONE, waitMs: 30_000, applied: ["wait=30"] }],
    ["wait=999999999", { ...NONE, waitMs: 30_000, applied: ["wait=30"] }],
    ["WAIT = 5 ; x=y", { ...NONE, waitMs: 5_000, applied: ["wait=5"] }],
    ['wait="5"', { ...NONE, waitMs: 5_000, applied: ["wait=5"] }],
    ["return=minimal", { ...NONE, isMinimal: true, applied: ["return=minimal"] }],
    ["Return=Minimal", { ...NONE, isMinimal: true, applied: ["return=minimal"] }],
    [
      "return=minimal, wait=1",
      { waitMs: 1_000, isMinimal: true, applied: ["return=minimal", "wait=1"] },
    ],
    ["wait = 1 ;a=b,, ; , x", { ...NONE, waitMs: 1_000, applied: ["wait=1"] }],
    ['wait="\\5"', { ...NONE, waitMs: 5_000, applied: ["wait=5"] }],
    ['x=";,wait=1"; wait=2, wait=3', { ...NONE, waitMs: 3_000, applied: ["wait=3"] }],
    ["wait=1, wait=2, wait=x", { ...NONE, waitMs: 1_000, applied: ["wait=1"] }],
    ["return=representation, return=minimal", NONE],
    ['note="a, wait=x; \\" b", wait=1', { ...NONE, waitMs: 1_000, applied: ["wait=1"] }],
  ];
  for (const [prefer, expected] of cases)
    it(`is read: ${prefer}`, () =>
      assert.deepEqual(readPrefer(ask(prefer === undefined ? {} : { prefer })), expected));

  it("has a whole number of seconds to wait", () => {
    for (const prefer of ["wait", "wait=", "wait=x", "wait=-1", "wait=1.5", "wait=x1"])
      assertThrowsProblem(
        () => readPrefer(ask({ prefer })),
        400,
        /^Prefer: wait must be a whole number/,
      );
  });
});

it("a wait that is applied is named, in seconds", () => {
  const set: string[][] = [];
  const response = { set: (...header: string[]) => set.push(header) } as unknown as Response;
  setWaitApplied(response, readPrefer(ask({ prefer: "wait=5, return=minimal" })));
  setWaitApplied(response, readPrefer(ask({ prefer: "wait=0" })));
  assert.deepEqual(set, [["Preference-Applied", "wait=5"]]);
});

describe("a header that a write cannot honour", () => {
  const CONDITIONS = ["if-match", "if-none-match", "if-unmodified-since"];
  const FOR_NONE = [
    ...["content-range", "x-http-method", "x-http-method-override", "x-method-override"],
  ];

  it("is refused by its kind", () => {
    for (const [kind, names] of [
      ["create", [...FOR_NONE, ...CONDITIONS]],
      ["put", [...FOR_NONE, "idempotency-key"]],
      ["delete", [...FOR_NONE, "idempotency-key"]],
    ] as const)
      for (const name of [...FOR_NONE, ...CONDITIONS, "idempotency-key"]) {
        const refuse = () => refuseUnsupportedHeaders(ask({ [name]: "x" }), kind);
        if (names.includes(name))
          assertThrowsProblem(
            refuse,
            400,
            new RegExp(`^The header ${name} is not supported on PUT\\.$`),
          );
        else refuse();
      }
  });

  it("is a condition, on many records", () => {
    refuseConditions(ask({ prefer: "x" }));
    for (const name of CONDITIONS)
      assertThrowsProblem(
        () => refuseConditions(ask({ [name]: "*" })),
        400,
        new RegExp(`^The header ${name} is not supported with many records\\.$`),
      );
  });
});

it("Idempotency-Key is 1 to 255 visible characters", () => {
  const read = (key: string) => readIdempotencyKey(ask({ "idempotency-key": key }));
  assert.equal(readIdempotencyKey(ask()), undefined);
  for (const key of ["!", "~", "k".repeat(255)]) assert.equal(read(key), key);
  for (const key of ["", " ", "a b", "ñ", "\u007f", "k".repeat(256)])
    assertThrowsProblem(() => read(key), 400, /^Idempotency-Key must have 1 to 255 visible/);
});

it("a write's id is possible up to the skew of two clocks ahead", (t) => {
  t.mock.timers.enable({ apis: ["Date"], now: Date.now() });
  const at = (ms: number) => isPossibleWrite(v7({ msecs: Date.now() + ms }));
  assert.deepEqual([at(-1), at(CLOCK_SKEW_MS), at(CLOCK_SKEW_MS + 1)], [true, true, false]);
  assert.equal(isPossibleWrite("x"), false);
});
