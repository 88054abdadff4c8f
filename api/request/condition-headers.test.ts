import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Request } from "express";
import { v7 } from "uuid";
import { CLOCK_SKEW_MS } from "../../common/limits.ts";
import { assertThrowsProblem } from "../../test/support/problems.ts";
import { formatEntityTag, isUnchanged, readCondition, toSecond } from "./condition-headers.ts";

const VERSION = v7();
const OTHER = v7();
const DATE = "Sat, 28 Nov 2026 06:00:00 GMT";
const DATE_MS = Date.UTC(2026, 10, 28, 6);

function ask(headers: Record<string, string | string[]>): Request {
  const distinct = Object.entries(headers).map(([name, value]) => [name, [value].flat()]);
  const joined = Object.entries(headers).map(([name, value]) => [name, [value].flat().join(", ")]);
  return {
    headers: Object.fromEntries(joined),
    headersDistinct: Object.fromEntries(distinct),
  } as unknown as Request;
}

describe("a condition on a write", () => {
  it("is a list of versions, any version, no item, a date, or none", () => {
    const cases: [Record<string, string>, unknown][] = [
      [{}, undefined],
      [{ "if-match": " * " }, { ifMatch: "*" }],
      [{ "if-match": `"${VERSION}"` }, { ifMatch: [VERSION] }],
      [{ "if-match": `, , "${VERSION}" ,"${OTHER}",` }, { ifMatch: [VERSION, OTHER] }],
      [{ "if-match": `"${VERSION}", "${VERSION}"` }, { ifMatch: [VERSION] }],
      [{ "if-match": `W/"x", "x,y", "${VERSION}"` }, { ifMatch: [VERSION] }],
      [{ "if-match": `W/"${VERSION}"` }, { ifMatch: [VERSION] }],
      [{ "if-match": `W/"${OTHER}", "${OTHER}", "${VERSION}"` }, { ifMatch: [OTHER, VERSION] }],
      [{ "if-match": "*", "if-unmodified-since": "x" }, { ifMatch: "*" }],
      [{ "if-none-match": " * " }, { ifNoneMatch: true }],
      [{ "if-unmodified-since": DATE }, { unmodifiedSince: DATE_MS }],
    ];
    for (const [headers, condition] of cases)
      assert.deepEqual(readCondition(ask(headers)), condition, JSON.stringify(headers));
  });

  it("is refused where it cannot be understood", () => {
    const together = /^If-None-Match cannot be combined with If-Match or If-Unmodified-Since\.$/;
    const date = /^If-Unmodified-Since must be one HTTP date/;
    const cases: [Record<string, string | string[]>, RegExp][] = [
      [{ "if-match": "*", "if-none-match": "*" }, together],
      [{ "if-unmodified-since": DATE, "if-none-match": "*" }, together],
      [{ "if-none-match": `"${VERSION}"` }, /^On a write, If-None-Match must be \*/],
      [{ "if-unmodified-since": "tomorrow" }, date],
      [{ "if-unmodified-since": [DATE, DATE] }, date],
      ...["", ",", VERSION, `"${VERSION}" x`, `x "${VERSION}"`, '"a b"', `"${VERSION}", x`].map(
        (tag): [Record<string, string>, RegExp] => [{ "if-match": tag }, /^If-Match must be \*/],
      ),
    ];
    for (const [headers, detail] of cases)
      assertThrowsProblem(() => readCondition(ask(headers)), 400, detail);
  });

  it("fails at once where no item can be at such a version", () => {
    const future = v7({ msecs: Date.now() + 2 * CLOCK_SKEW_MS });
    for (const tag of ['W/"x"', `W/"${future}"`, '""', '"x"', '"!"', `"${future}"`])
      assertThrowsProblem(
        () => readCondition(ask({ "if-match": tag })),
        412,
        /is not a version of/,
      );
  });
});

describe("a condition on a read", () => {
  const item = { version: VERSION, updatedAt: DATE_MS + 999 };

  it("asks for 304 where the client has this version, by weak comparison", () => {
    const isKnown = (tags: string) => isUnchanged(ask({ "if-none-match": tags }), item);
    assert.equal(isUnchanged(ask({}), item), false);
    for (const tags of [" * ", `"${VERSION}"`, `W/"${VERSION}"`, `"x" , W/"${VERSION}"`])
      assert.equal(isKnown(tags), true, tags);
    for (const tags of ["", VERSION, '"x"', `x"${VERSION}"`, `W/W/"${VERSION}"`])
      assert.equal(isKnown(tags), false, tags);
    assert.equal(isUnchanged(ask({ "if-none-match": "*" })), true);
    assert.equal(isUnchanged(ask({ "if-none-match": '""' })), false);
  });

  it("must hold: If-Match, also with a weak tag, else If-Unmodified-Since to the second", () => {
    const holds: Record<string, string>[] = [
      { "if-match": " * " },
      { "if-match": `"x", "${VERSION}"` },
      { "if-match": `W/"${VERSION}"` },
      { "if-unmodified-since": DATE },
      { "if-unmodified-since": "tomorrow" },
      { "if-match": "*", "if-unmodified-since": "Sat, 28 Nov 2026 05:59:59 GMT" },
    ];
    for (const headers of holds) assert.equal(isUnchanged(ask(headers), item), false);
    for (const tags of [`W/"${OTHER}"`, '"x"', "x", `W/${VERSION}`, ""])
      assertThrowsProblem(
        () => isUnchanged(ask({ "if-match": tags }), item),
        412,
        /^The resource is not at a version in If-Match\.$/,
      );
    const earlier = ask({ "if-unmodified-since": "Sat, 28 Nov 2026 05:59:59 GMT" });
    assertThrowsProblem(() => isUnchanged(earlier, item), 412, /^The item was modified since /);
    assert.equal(isUnchanged(earlier), false);
  });
});

it("an entity tag is a version in quotes, and a time is cut to its second", () => {
  assert.equal(formatEntityTag(VERSION), `"${VERSION}"`);
  assert.deepEqual([1_000, 1_999, 2_000].map(toSecond), [1_000, 1_000, 2_000]);
});
