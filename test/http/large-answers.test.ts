import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { ERROR_CHARACTERS, ITEM_BYTES, LISTED_ERRORS, PAGE_BYTES } from "../../common/limits.ts";
import { documents } from "../collections/documents.ts";
import { createTestEnvironment, type TestEnvironment } from "../support/environment.ts";
import {
  type Answer,
  assertProblem,
  assertProblemBody,
  type Client,
  createClient,
} from "../support/http.ts";
import { insertLargeItems, LARGE_ITEMS } from "../support/large-items.ts";

describe("answers", () => {
  let environment: TestEnvironment;
  let api: Client;
  before(async () => {
    environment = await createTestEnvironment({
      migrations: [new URL("../migrations/", import.meta.url)],
    });
    await insertLargeItems(environment);
    api = createClient((await environment.startApi({ collections: [documents] })).url);
  });
  after(() => environment.close());

  it("with a page end by its bytes, and the pages have each item once", async () => {
    const ids: string[] = [];
    for (let path: string | undefined = "/api/documents?limit=1000&order=desc"; path; ) {
      const { status, text, body }: Answer = await api.get(path);
      assert.equal(status, 200);
      assert.ok(text.length < PAGE_BYTES + 1_000 && text.length > LARGE_ITEMS.textBytes);
      ids.push(...body.data.map(({ id }) => id));
      if (body.next) assert.ok(text.length > PAGE_BYTES - ITEM_BYTES, "it is as full as it can be");
      path = body.next ? `/api/documents?limit=1000&order=desc&cursor=${body.next}` : undefined;
    }
    assert.deepEqual(ids.length, LARGE_ITEMS.count);
    assert.equal(new Set(ids).size, LARGE_ITEMS.count);
  });

  it("with many large items that are asked for at once are each right", async () => {
    const numbers = Array.from({ length: 120 }, (_, index) => index + 1);
    const paths = [...numbers.map((number) => `large-${number}`), "absent"];
    const answers = await Promise.all(paths.map((id) => api.get(`/api/documents/${id}`)));
    assertProblem(answers.pop() as Answer, 404, "not-found");
    for (const [index, { status, body }] of answers.entries()) {
      assert.equal(status, 200);
      assert.equal(body.id, paths[index]);
      assert.equal((body.content as string[])[0]?.length, LARGE_ITEMS.textBytes);
    }
  });

  it("with errors list the first of them, cut to a size, and say how many there are", async () => {
    const fields = Object.fromEntries(
      Array.from({ length: 24_000 }, (_, index) => [`f${index}`, 1]),
    );
    const single = await api.post("/api/documents", { content: [], ...fields });
    assertProblem(single, 422, "invalid-item");
    assert.equal(single.body.detail, "The item is not valid: 24000 fields have errors.");
    assert.equal(single.body.errors.length, LISTED_ERRORS.problem);
    const records = [
      ...Array.from({ length: 16 }, () => fields),
      ...Array.from({ length: 9_000 }, () => ({ a: 1, b: 2 })),
    ];
    const bulk = await api.post("/api/documents", records);
    assertProblem(bulk, 422, "invalid-item");
    assert.equal(bulk.body.results.length, records.length);
    const listed = bulk.body.results.flatMap(({ errors }) => errors);
    assert.equal(listed.length, LISTED_ERRORS.bulk);
    for (const result of bulk.body.results) {
      assertProblemBody(result, 422, "invalid-item");
      assert.match(result.detail, /(24001|3) fields have errors\.$/);
    }
    const deep = `{"content":${`{"${"k".repeat(90)}":`.repeat(29)}1${"}".repeat(29)}}`;
    const { errors } = (await api.send("POST", "/api/documents", { body: deep })).body;
    for (const { pointer, detail } of errors) {
      assert.ok(pointer.length <= ERROR_CHARACTERS + 1);
      assert.ok(detail.length <= ERROR_CHARACTERS + 1);
    }
  });
});
