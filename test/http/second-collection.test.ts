import assert from "node:assert/strict";
import { before, describe, it } from "node:test";
import fc from "fast-check";
import { data } from "../../collections/data.ts";
import { defineCollection, text } from "../../common/collection.ts";
import { query } from "../../common/database.ts";
import { findSchemaFaults } from "../../common/schema-check.ts";
import { encodeWrite } from "../../common/write.ts";
import { getWriteTime, mintWriteId } from "../../common/write-id.ts";
import { sweep } from "../../subscriber/retention.ts";
import { courses, coursesFields } from "../collections/courses.ts";
import { standings } from "../collections/standings.ts";
import { teachers } from "../collections/teachers.ts";
import { startApi } from "../support/api.ts";
import { type AnswerBody, assertProblem, createClient, publishByHand } from "../support/http.ts";
import { until } from "../support/until.ts";

const WAIT = { prefer: "wait=30" };
const collections = [data, teachers, courses];

/** A file in `collections/` and a migration: nothing else was done for these two. */
describe("two more collections, teachers and courses", () => {
  const { environment, api } = startApi({ collections, subscriber: true });

  it("have tables that fit them", async () => {
    assert.deepEqual(await findSchemaFaults(environment.pool, collections), []);
  });

  it("have every route of the first one", async () => {
    for (const { name, example } of [teachers, courses]) {
      const created = await api.post(`/api/${name}`, example, WAIT);
      assert.equal(created.status, 201);
      const { id } = created.body;
      const path = `/api/${name}/${id}`;
      assert.equal(created.headers.get("location"), path);
      assert.deepEqual((await api.get(path)).body, { id, ...example });
      assert.equal((await api.put(path, example, WAIT)).status, 200);
      assert.equal((await api.put(`/api/${name}`, { id, ...example }, WAIT)).status, 200);
      const many = await api.post(`/api/${name}`, [example, example], WAIT);
      assert.equal(many.status, 200);
      const list = await api.get(`/api/${name}?order=desc&limit=3`);
      assert.deepEqual(list.body.data.at(-1), { id, ...example });
      const deleted = await api.delete(path, WAIT);
      assert.equal(deleted.status, 204);
      assertProblem(await api.get(path), 410, "deleted");
      const [, receipt = ""] = /<(.*)>/.exec(deleted.headers.get("link") ?? "") ?? [];
      assert.equal((await api.settled(receipt)).outcome, "applied");
    }
  });

  it("keep their items apart from those of the same id elsewhere", async () => {
    await api.put("/api/data/same", { nombre: "tema" }, WAIT);
    await api.put("/api/teachers/same", { name: "teacher" }, WAIT);
    assertProblem(await api.get("/api/courses/same"), 404, "not-found");
    await api.delete("/api/teachers/same", WAIT);
    assert.deepEqual((await api.get("/api/data/same")).body, { id: "same", nombre: "tema" });
    const key = { "idempotency-key": "same" };
    const ids = [
      (await api.post("/api/data", { nombre: "tema" }, key)).body.id,
      (await api.post("/api/teachers", { name: "teacher" }, key)).body.id,
    ];
    assert.notEqual(ids[0], ids[1]);
  });

  it("know a retry by the body that was sent, before defaults and other spellings", async () => {
    const headers = { ...WAIT, "idempotency-key": "as-sent" };
    const body = { ...courses.example, startsAt: "2026-03-01T10:30:00+01:00", note: undefined };
    const first = await api.post("/api/courses", body, headers);
    assert.equal(first.status, 201);
    const { startsAt, ...rest } = body;
    const again = await api.post("/api/courses", { startsAt, ...rest }, headers);
    assert.deepEqual([again.status, again.body], [200, first.body]);
    const otherSpelling = { ...body, startsAt: first.body.startsAt };
    assertProblem(await api.post("/api/courses", otherSpelling, headers), 422, "reused-key");
    // After a deployment that gives what is left out a value.
    const fields = { ...coursesFields, note: text({ max: 500 }).default("none") };
    const redeclared = defineCollection({ name: "courses", fields, example: courses.example });
    const { url } = await environment.startApi({ collections: [data, teachers, redeclared] });
    const later = await createClient(url).post("/api/courses", body, headers);
    assert.deepEqual([later.status, later.body.note], [200, undefined]);
    assert.equal(later.headers.get("etag"), first.headers.get("etag"));
  });

  it("have receipts of their own writes only, each below its own item", async () => {
    const replaced = await api.put("/api/data/own", { nombre: "first" }, WAIT);
    await api.put("/api/data/own", { nombre: "second" }, WAIT);
    await api.put("/api/data/other", { nombre: "other" }, WAIT);
    await api.put("/api/teachers/own", { name: "teacher" }, WAIT);
    const id = mintWriteId();
    const write = { id, kind: "put", collection: data, itemId: "own", item: {} } as const;
    await publishByHand(environment, [encodeWrite({ ...write, acceptedAt: getWriteTime(id) })]);
    assert.equal((await api.settled(`/api/data/own/writes/${id}`)).outcome, "dead");
    const version = replaced.headers.get("etag")?.replaceAll('"', "") ?? "";
    const current = (await api.get("/api/data/own")).headers.get("etag")?.replaceAll('"', "");
    for (const settled of [version, current, id]) {
      const read = (item: string) => api.get(`${item}/writes/${settled}`);
      assert.equal((await read("/api/data/own")).body.status, "settled");
      for (const item of ["/api/data/other", "/api/teachers/own", "/api/courses/own"]) {
        const { status, body } = await read(item);
        // The version of an item's row is found by its item only, so it may be in flight elsewhere.
        const isRow = settled === current;
        assert.equal(isRow ? body.status : status, isRow ? "accepted" : 404, `${item} ${settled}`);
      }
    }
  });

  it("check each field by its kind, and point to what is wrong", async () => {
    const wrong: Record<string, unknown[]> = {
      title: ["", "x".repeat(201), 1, null, "a\u0000"],
      teacherId: ["", "x".repeat(65), {}],
      credits: [-1, 1.5, 1e13, "6", null, true],
      price: ["19.99", null, [], false],
      active: [0, 1, "true", null],
      startsAt: [
        "",
        "2026-03-01",
        "2026-03-01T09:30:00",
        "2026-02-30T09:30:00Z",
        1_772_357_400_000,
        "0999-12-31T23:59:59Z",
        "2026-03-01T24:00:00Z",
        "2026-03-01T09:30:00.1234Z",
        null,
        "1000-01-01T00:00:00+01:00",
        "9999-12-31T23:59:59-01:00",
        "+12026-03-01T09:30:00Z",
        "2026-03-01 09:30:00Z",
        "2026-03-01T09:30:60Z",
        "2026-13-01T00:00:00Z",
      ],
      note: [null, "x".repeat(501), 1],
    };
    for (const [field, values] of Object.entries(wrong))
      for (const value of values) {
        const answer = await api.post("/api/courses", { ...courses.example, [field]: value });
        assertProblem(answer, 422, "invalid-item", [`/${field}`]);
      }
    const tags: [unknown, string][] = [
      ["maths", "/tags"],
      [{}, "/tags"],
      [Array.from({ length: 21 }, () => "x"), "/tags"],
      [["fine", 1], "/tags/1"],
      [["x".repeat(51)], "/tags/0"],
      [["fine", "a\u0000"], "/tags/1"],
      [["\ud800"], "/tags/0"],
    ];
    for (const [value, pointer] of tags) {
      const answer = await api.post("/api/courses", { ...courses.example, tags: value });
      assertProblem(answer, 422, "invalid-item", [pointer]);
    }
    const all = await api.post("/api/courses", {});
    const pointers = all.body.errors.map(({ pointer }) => pointer);
    const required = ["title", "teacherId", "credits", "price", "active", "startsAt", "tags"];
    assert.deepEqual(
      pointers,
      required.map((name) => `/${name}`),
    );
  });

  it("are in the OpenAPI document, with the filter", async () => {
    const { body } = await api.get("/openapi.json");
    const paths = body.paths as Record<string, { get: { parameters: { name?: string }[] } }>;
    const names = (path: string) => paths[path]?.get.parameters.flatMap(({ name }) => name ?? []);
    assert.deepEqual(names("/api/courses"), ["limit", "cursor", "order", "after", "teacherId"]);
    assert.deepEqual(names("/api/teachers"), ["limit", "cursor", "order", "after"]);
    const { schemas } = body.components as { schemas: Record<string, AnswerBody> };
    assert.deepEqual(schemas.courses?.required, [
      "title",
      "teacherId",
      "credits",
      "price",
      "active",
      "startsAt",
      "tags",
    ]);
  });

  it("normalise instants to UTC milliseconds", async () => {
    const instants: [string, string][] = [
      ["2026-03-01T09:30:00Z", "2026-03-01T09:30:00.000Z"],
      ["2026-03-01T09:30:00.5Z", "2026-03-01T09:30:00.500Z"],
      ["2026-03-01T23:59:59.999-05:30", "2026-03-02T05:29:59.999Z"],
      ["2026-03-01T00:00:00+03:00", "2026-02-28T21:00:00.000Z"],
      ["2024-02-29T12:00:00+00:00", "2024-02-29T12:00:00.000Z"],
      ["1000-01-01T00:00:00Z", "1000-01-01T00:00:00.000Z"],
      ["9999-12-31T23:59:59.999Z", "9999-12-31T23:59:59.999Z"],
      ["1969-12-31T23:59:59.999Z", "1969-12-31T23:59:59.999Z"],
    ];
    const records = instants.map(([startsAt]) => ({ ...courses.example, startsAt }));
    const { body } = await api.post("/api/courses", records, WAIT);
    for (const [index, { id }] of body.results.entries())
      assert.equal((await api.get(`/api/courses/${id}`)).body.startsAt, instants[index]?.[1]);
  });

  it("give back every valid item exactly as it was sent", async () => {
    const text = (minLength: number, maxLength: number) =>
      fc
        .oneof(
          fc.string({ unit: "binary", minLength, maxLength }),
          fc.string({ unit: "grapheme", minLength, maxLength }),
          fc.string({
            unit: fc.constantFrom(..." '\"\\`%_\n\t😀ñ\u0301\ufeff\u2028"),
            minLength,
            maxLength,
          }),
        )
        .map((value) => value.replaceAll("\0", "0"))
        .filter((value) => value.isWellFormed() && [...value].length <= maxLength);
    const double = fc.oneof(
      fc.double({ noNaN: true, noDefaultInfinity: true }),
      fc.constantFrom(0, -0, 0.1, 1 / 3, 5e-324, 2 ** 53 + 2, 1e21, 123456789012345680000, 1e-7),
      fc.constantFrom(Number.MAX_VALUE, -Number.MAX_VALUE, 2.2250738585072014e-308, 19.99),
      // 16 digits, more than a double counts exactly, with a point among them.
      fc.constant(90082285.81583075),
      fc
        .tuple(fc.bigInt({ min: 2n ** 53n, max: 10n ** 16n - 1n }), fc.nat({ max: 15 }))
        .map(([digits, places]) => Number(`${digits}e-${places}`)),
    );
    const course = fc.record(
      {
        title: text(1, 200),
        teacherId: text(1, 64),
        credits: fc.oneof(fc.nat(), fc.integer({ min: 0, max: 1_000_000_000_000 })),
        price: double,
        active: fc.boolean(),
        startsAt: fc
          .date({
            min: new Date("1000-01-01T00:00:00.000Z"),
            max: new Date("9999-12-31T23:59:59.999Z"),
            noInvalidDate: true,
          })
          .map((date) => date.toISOString()),
        tags: fc.array(text(0, 50), { maxLength: 20 }),
        note: text(0, 500),
      },
      { requiredKeys: ["title", "teacherId", "credits", "price", "active", "startsAt", "tags"] },
    );
    await fc.assert(
      fc.asyncProperty(fc.array(course, { minLength: 1, maxLength: 20 }), async (items) => {
        const records = items.filter(({ title, price }) => !(title === "Algebra" && price === 0));
        const sent = await api.post("/api/courses", records, WAIT);
        assert.equal(sent.status, 200, sent.text);
        for (const [index, { id }] of sent.body.results.entries()) {
          const got = await api.get(`/api/courses/${id}`);
          // JSON has no -0, so it is 0 on its way already.
          const expected = JSON.parse(JSON.stringify({ id, ...records[index] }));
          assert.deepEqual(got.body, expected);
        }
      }),
      { numRuns: 40 },
    );
    await fc.assert(
      fc.asyncProperty(course, async (item) => {
        const created = await api.post("/api/courses", item, WAIT);
        assert.equal(created.status, 201);
        assert.deepEqual((await api.get(`/api/courses/${created.body.id}`)).body, created.body);
        assert.deepEqual(
          created.body,
          JSON.parse(JSON.stringify({ id: created.body.id, ...item })),
        );
      }),
      { numRuns: 40 },
    );
  });

  it("filter on exactly the text that was stored", async () => {
    const names = ["a", "a ", "A", "á", "a\u0301", "😀", "'; DROP TABLE courses; --", "%", "\\"];
    const records = names.map((teacherId) => ({ ...courses.example, teacherId }));
    const sent = await api.post("/api/courses", records, WAIT);
    for (const [index, name] of names.entries()) {
      const { body } = await api.get(
        `/api/courses?limit=1000&teacherId=${encodeURIComponent(name)}`,
      );
      assert.ok(body.data.some(({ id }) => id === sent.body.results[index]?.id));
      assert.ok(body.data.every(({ teacherId }) => teacherId === name));
    }
  });
});

describe("a collection that is named, or whose fields are named, by words that SQL reserves", () => {
  const order = { ...standings, name: "order" };
  const collections = [standings, order];
  const { environment, api } = startApi({ collections, subscriber: true });

  before(async () => {
    await query(environment.pool, "CREATE TABLE `order` LIKE standings");
    await until("it is found", async () => (await api.get("/health/ready")).status === 200);
  });

  it("is written, read, filtered and swept like any other", async () => {
    for (const { name } of collections) {
      const path = `/api/${name}`;
      const created = await api.post(path, { group: "first", rank: 7 }, WAIT);
      assert.equal(created.status, 201);
      await api.post(path, { group: "second", rank: 8 }, WAIT);
      for (const filter of ["group=first", "rank=7", "group=first&rank=7", "order=desc&rank=7"]) {
        const { status, body } = await api.get(`${path}?${filter}`);
        assert.equal(status, 200, filter);
        assert.deepEqual(
          body.data.map(({ id }) => id),
          [created.body.id],
        );
      }
      const item = `${path}/${created.body.id}`;
      assert.equal((await api.put(item, { group: "third", rank: 9 }, WAIT)).status, 200);
      assert.equal((await api.delete(item, WAIT)).status, 204);
      assert.equal((await api.get(`${item}?after=${mintWriteId()}`)).status, 503);
    }
    const swept = await sweep({ pool: environment.pool, collections, retentionDays: -1 });
    // Of each: a tombstone, and the receipts of the two versions before it.
    assert.equal(swept, 6);
  });

  it("counts the characters of a text as code points, at least and at most", async () => {
    const short = await api.post("/api/standings", { group: "😀", rank: 1 });
    assertProblem(short, 422, "invalid-item", ["/group"]);
    assert.equal((await api.post("/api/standings", { group: "😀😀", rank: 1 })).status, 202);
  });

  it("says in one sentence what is wrong with a field", async () => {
    const details: [unknown, string][] = [
      [{ rank: 1 }, "group is required."],
      [{ group: "x", rank: 1 }, "group must have at least 2 characters."],
      [{ group: 1, rank: 1 }, "group must be of type string, not number."],
      [{ group: "first", rank: 0 }, "rank must be >=1."],
      [{ group: "first", rank: 1, x: 1 }, "x is not a field of this collection."],
      [1, "the body must be a JSON object."],
    ];
    for (const [item, detail] of details)
      assert.equal(
        (await api.post("/api/standings", item)).body.detail,
        `The item is not valid: ${detail}`,
      );
    const { body } = await api.post("/api/standings", {});
    assert.equal(body.detail, "The item is not valid: 2 fields have errors.");
  });
});
