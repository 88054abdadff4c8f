import assert from "node:assert/strict";
import { before, describe, it } from "node:test";
import { data } from "../../collections/data.ts";
import { courses } from "../collections/courses.ts";
import { teachers } from "../collections/teachers.ts";
import { startApi } from "../support/api.ts";
import { assertProblem } from "../support/http.ts";

const WAIT = { prefer: "wait=30" };
const ITEMS = 250;

describe("a collection that is read page by page", () => {
  const { api } = startApi({ collections: [data, teachers, courses], subscriber: true });
  /** The items' ids in the order of their acceptance. */
  let ids: string[];

  before(async () => {
    const records = Array.from({ length: ITEMS }, (_, index) => ({ nombre: `item ${index}` }));
    const { body } = await api.post("/api/data", records, WAIT);
    ids = body.results.map(({ id }) => id);
  });

  /** Follows `next` from the first page to the last; `between` runs after each page. */
  async function walk(path: string, between: () => Promise<unknown> = async () => {}) {
    const pages: string[][] = [];
    for (let cursor: string | null = ""; cursor !== null; ) {
      const answer = await api.get(path + (cursor && `&cursor=${encodeURIComponent(cursor)}`));
      assert.equal(answer.status, 200, answer.text);
      pages.push(answer.body.data.map(({ id }) => id));
      cursor = answer.body.next;
      await between();
    }
    return pages;
  }

  it("shows every item once, in both orders, whatever the limit", async () => {
    for (const limit of [7, 50, 249, 250, 251, 1_000]) {
      const oldestFirst = await walk(`/api/data?limit=${limit}`);
      const newestFirst = await walk(`/api/data?order=desc&limit=${limit}`);
      assert.deepEqual(oldestFirst.flat().toSorted(), ids.toSorted());
      assert.deepEqual(newestFirst.flat(), oldestFirst.flat().toReversed());
      for (const pages of [oldestFirst, newestFirst]) {
        assert.equal(pages.length, Math.ceil(ITEMS / limit));
        for (const page of pages.slice(0, -1)) assert.equal(page.length, limit);
      }
    }
    assert.equal((await api.get("/api/data")).body.data.length, 50);
  });

  it("neither misses nor doubles an item while others are written and old ones replaced", async () => {
    const extra: string[] = [];
    const write = async () => {
      const created = await api.post("/api/data", { nombre: "meanwhile" }, WAIT);
      extra.push(created.body.id);
      await api.put(`/api/data/${ids[extra.length]}`, { nombre: "replaced meanwhile" }, WAIT);
    };
    for (const order of ["asc", "desc"]) {
      const seen = (await walk(`/api/data?order=${order}&limit=30`, write)).flat();
      assert.equal(new Set(seen).size, seen.length, "none is doubled");
      const missed = ids.filter((id) => !seen.includes(id));
      assert.deepEqual(missed, []);
    }
    for (const id of extra) await api.delete(`/api/data/${id}`, WAIT);
  });

  it("shows items as GET shows each, and nothing deleted", async () => {
    const { body } = await api.get("/api/data?limit=3");
    for (const item of body.data)
      assert.deepEqual((await api.get(`/api/data/${item.id}`)).body, item);
    const { body: created } = await api.put("/api/data/soon-gone", { nombre: "x" }, WAIT);
    const first = async () => (await api.get("/api/data?order=desc&limit=1")).body.data[0]?.id;
    assert.equal(await first(), created.id);
    await api.delete("/api/data/soon-gone", WAIT);
    assert.notEqual(await first(), created.id);
  });

  it("shows the newest first at the root, a hundred at most", async () => {
    const newest = await api.get("/api/data?order=desc&limit=100");
    const { body } = await api.get("/");
    assert.deepEqual(
      body.data,
      newest.body.data.map(({ id, nombre }) => [id, nombre]),
    );
  });

  it("filters on the declared fields, page by page", async () => {
    const records = Array.from({ length: 60 }, (_, index) => ({
      ...courses.example,
      title: `course ${index}`,
      teacherId: ["gabriela", "gabriela ", "Gabriela", "pablo"][index % 4],
    }));
    await api.post("/api/courses", records, WAIT);
    for (const [teacherId, count] of [
      ["gabriela", 15],
      ["gabriela ", 15],
      ["Gabriela", 15],
      ["GABRIELA", 0],
    ] as const) {
      const path = `/api/courses?teacherId=${encodeURIComponent(teacherId)}&limit=4`;
      const found = (await walk(path)).flat();
      assert.equal(found.length, count, teacherId);
      assert.equal(new Set(found).size, count);
    }
    const { body } = await api.get("/api/courses?teacherId=pablo");
    assert.ok(body.data.every((course) => course.teacherId === "pablo"));
  });

  it("refuses unknown parameters, and values that are none", async () => {
    const wrong = [
      "x=1",
      "nombre=x",
      "limit=10&x=1",
      "after=x",
      "Limit=1",
      "limit%20=1",
      "__proto__=1",
      "limit=0",
      "limit=-1",
      "limit=1001",
      "limit=1.5",
      "limit=x",
      "limit=",
      "limit=1e2",
      "limit=%201",
      "limit=01",
      "limit=١",
      "limit=0x10",
      "limit=99999999999999999999",
      "order=",
      "order=ASC",
      "order=up",
      "order=asc%20",
      "limit=1&limit=2",
      "order=asc&order=asc",
      "cursor=x&cursor=y",
      "limit[]=1",
    ];
    for (const search of wrong)
      assertProblem(await api.get(`/api/data?${search}`), 400, "malformed-request");
    for (const search of ["teacherId=", `teacherId=${"x".repeat(65)}`, "teacherId=%00", "title=x"])
      assertProblem(await api.get(`/api/courses?${search}`), 400, "malformed-request");
    const twice = "/api/courses?teacherId=a&teacherId=b";
    assertProblem(await api.get(twice), 400, "malformed-request");
    assertProblem(await api.get("/api/data/x?x=1"), 400, "malformed-request");
    assertProblem(await api.get("/api/data/x?after=a&after=b"), 400, "malformed-request");
    assertProblem(await api.get("/api/data/x/writes/y?x=1"), 400, "malformed-request");
  });

  it("refuses cursors that it did not give, and those of another list", async () => {
    const next = async (path: string) => (await api.get(path)).body.next as string;
    const given = await next("/api/data?limit=10");
    const forge = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");
    const forged = [
      "",
      "x",
      "%00",
      "AAAA",
      "null",
      given.slice(0, -9),
      `${"A".repeat(5_000)}`,
      forge(null),
      forge([]),
      forge([1e99, "id", "x"]),
      forge([1, "no/id", "x"]),
      forge({}),
      forge([-1, "id", "x"]),
      forge([253_402_300_800_000, "id", "x"]),
      forge([1, "id", "x"]),
    ];
    for (const cursor of forged)
      assertProblem(await api.get(`/api/data?cursor=${cursor}`), 400, "malformed-request");
    for (const path of [
      `/api/data?order=desc&cursor=${given}`,
      `/api/teachers?cursor=${given}`,
      `/api/courses?cursor=${given}`,
      `/api/courses?teacherId=pablo&cursor=${await next("/api/courses?limit=5")}`,
      `/api/courses?cursor=${await next("/api/courses?limit=5&teacherId=pablo")}`,
      `/api/courses?teacherId=x&cursor=${await next("/api/courses?limit=5&teacherId=pablo")}`,
    ])
      assertProblem(await api.get(path), 400, "malformed-request");
    const another = await api.get(`/api/data?limit=20&cursor=${given}`);
    assert.equal(another.body.data.length, 20, "the limit may change on the way");
  });
});
