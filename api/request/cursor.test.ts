import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { data } from "../../collections/data.ts";
import type { Field } from "../../common/fields.ts";
import { teachers } from "../../test/collections/teachers.ts";
import { visits } from "../../test/collections/visits.ts";
import { assertThrowsProblem } from "../../test/support/problems.ts";
import { type List, readCursor, writeCursor } from "./cursor.ts";

/** The end of the year 9999. */
const LAST_MS = Date.UTC(9999, 11, 31, 23, 59, 59, 999);
const LIST: List = { collection: data, newestFirst: false, filters: [] };
const PLACE = { at: 1_772_357_400_000, id: "a-1" };

const filter = (name: string, value: unknown) => ({ field: { name } as Field, value });
const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");
const decode = (cursor: string) => JSON.parse(Buffer.from(cursor, "base64url").toString());
const digest = decode(writeCursor(PLACE, LIST))[2];

describe("a cursor", () => {
  it("names its place in its list, from the first to the last time that there is", () => {
    const filters = [filter("group", "vip"), filter("credits", 6)];
    for (const list of [LIST, { ...LIST, newestFirst: true }, { ...LIST, filters }])
      for (const at of [0, PLACE.at, LAST_MS]) {
        const place = { at, id: "x".repeat(64) };
        const cursor = writeCursor(place, list);
        assert.match(cursor, /^[A-Za-z0-9_-]+$/);
        assert.deepEqual(readCursor(cursor, list), place);
      }
  });

  it("names any position where there is a feed", () => {
    const list = { ...LIST, collection: visits };
    for (const at of [0, 1, LAST_MS + 1, Number.MAX_SAFE_INTEGER]) {
      const place = { at, id: "a" };
      assert.deepEqual(readCursor(writeCursor(place, list), list), place);
    }
  });

  it("is refused where it names no place", () => {
    const { at, id } = PLACE;
    for (const value of [
      [-1, id, digest],
      [LAST_MS + 1, id, digest],
      [1.5, id, digest],
      [String(at), id, digest],
      [null, id, digest],
      [at, "", digest],
      [at, "a/b", digest],
      [at, 1, digest],
      [at],
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
    for (const cursor of ["", "x", "!", "e30", encode([at, id, digest]).slice(0, -3)])
      assertThrowsProblem(() => readCursor(cursor, LIST), 400, /^The cursor is not valid\.$/);
  });

  it("is refused in another list", () => {
    const filters = [filter("group", "vip")];
    const lists: List[] = [
      LIST,
      { ...LIST, collection: teachers },
      { ...LIST, collection: visits },
      { ...LIST, collection: { ...data, feed: true } },
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

  it("is the same in every release: eight characters of it are its list", () => {
    const made = [data, visits].map((collection) =>
      decode(writeCursor(PLACE, { ...LIST, collection })),
    );
    assert.deepEqual(made, [
      [PLACE.at, PLACE.id, "3H5MU2eX"],
      [PLACE.at, PLACE.id, "gEZtDs_M"],
    ]);
  });
});
