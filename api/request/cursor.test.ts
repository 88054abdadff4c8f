import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Field } from "../../common/collection.ts";
import { assertThrowsProblem } from "../../test/support/problems.ts";
import { type List, readCursor, writeCursor } from "./cursor.ts";

/** The end of the year 9999. */
const LAST_MS = Date.UTC(9999, 11, 31, 23, 59, 59, 999);
const LIST: List = { collection: "data", newestFirst: false, filters: [] };
const PLACE = { createdAt: 1_772_357_400_000, id: "a-1" };

const filter = (name: string, value: unknown) => ({ field: { name } as Field, value });
const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");
const decode = (cursor: string) => JSON.parse(Buffer.from(cursor, "base64url").toString());
const digest = decode(writeCursor(PLACE, LIST))[2];

describe("a cursor", () => {
  it("names its place in its list, from the first to the last time that there is", () => {
    const filters = [filter("group", "vip"), filter("credits", 6)];
    for (const list of [LIST, { ...LIST, newestFirst: true }, { ...LIST, filters }])
      for (const createdAt of [0, PLACE.createdAt, LAST_MS]) {
        const place = { createdAt, id: "x".repeat(64) };
        const cursor = writeCursor(place, list);
        assert.match(cursor, /^[A-Za-z0-9_-]+$/);
        assert.deepEqual(readCursor(cursor, list), place);
      }
  });

  it("is refused where it names no place", () => {
    const { createdAt, id } = PLACE;
    for (const value of [
      [-1, id, digest],
      [LAST_MS + 1, id, digest],
      [1.5, id, digest],
      [String(createdAt), id, digest],
      [null, id, digest],
      [createdAt, "", digest],
      [createdAt, "a/b", digest],
      [createdAt, 1, digest],
      [createdAt],
      [],
      {},
      null,
      "x",
    ])
      assertThrowsProblem(
        () => readCursor(encode(value), LIST),
        400,
        /^The cursor is not valid\.$/,
      );
    for (const cursor of ["", "x", "!", "e30", encode([createdAt, id, digest]).slice(0, -3)])
      assertThrowsProblem(() => readCursor(cursor, LIST), 400, /^The cursor is not valid\.$/);
  });

  it("is refused in another list", () => {
    const filters = [filter("group", "vip")];
    const lists: List[] = [
      LIST,
      { ...LIST, collection: "teachers" },
      { ...LIST, newestFirst: true },
      { ...LIST, filters },
      { ...LIST, filters: [filter("group", "new")] },
      { ...LIST, filters: [filter("team", "vip")] },
      { ...LIST, filters: [...filters, filter("credits", 6)] },
    ];
    for (const own of lists)
      for (const other of lists)
        if (own !== other)
          assertThrowsProblem(
            () => readCursor(writeCursor(PLACE, own), other),
            400,
            /^The cursor belongs to another list: /,
          );
  });

  it("is short: its list is eight characters of it", () => {
    assert.equal(digest.length, 8);
  });
});
