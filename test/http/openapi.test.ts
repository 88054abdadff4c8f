import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { Validator } from "@seriousme/openapi-schema-validator";
import fc from "fast-check";
import { z } from "zod";
import { describeApi } from "../../api/routes/openapi.ts";
import { ID_SCHEMA } from "../../api/routes/openapi-parts.ts";
import { data } from "../../collections/data.ts";
import { type Collection, dateTime, defineCollection, text } from "../../common/collection.ts";
import { ITEM_ID } from "../../common/item-id.ts";
import { courses } from "../collections/courses.ts";
import { seats } from "../collections/seats.ts";
import { teachers } from "../collections/teachers.ts";
import { createTestEnvironment, type TestEnvironment } from "../support/environment.ts";
import { type Client, createClient } from "../support/http.ts";

type Example = { value: unknown };
type Media = { schema: unknown; examples?: Record<string, Example> };
type Operation = {
  operationId: string;
  summary: string;
  requestBody?: { required: boolean; content: Record<string, Media> };
  responses: Record<string, unknown>;
};
type Document = { openapi: string; paths: Record<string, Record<string, Operation>> };

const METHODS = ["get", "put", "post", "delete"];
const WRITE = "01968b3e-7c00-7000-8000-0123456789ab";

describe("the OpenAPI document of collections with the names of its own parts", () => {
  const names = ["accepted", "results", "receipt", "problem", "item", "id", "home", "openapi"];
  const named = names.map((name) =>
    defineCollection({
      name,
      fields: { [`${name}Title`]: text({ max: 50 }) },
      example: { [`${name}Title`]: "x" },
    }),
  );
  type Schemas = Record<string, { properties: Record<string, unknown> }>;
  const readSchemas = (of: readonly Collection[]) =>
    (describeApi(of).components as { schemas: Schemas }).schemas;

  it("says of items that expire by which field, and how far ahead it may be", () => {
    const schemas = readSchemas([seats]);
    for (const name of ["seats", "seats-item"]) {
      const field = schemas[name]?.properties?.heldUntil as { description: string };
      assert.match(
        field.description,
        /the item is gone\. At most PT5M ahead; that where it is left out\.$/,
      );
    }
  });

  it("has the schemas of each, and loses none of its own", async () => {
    const schemas = readSchemas(named);
    for (const name of names) {
      assert.deepEqual(Object.keys(schemas[name]?.properties ?? {}), [`${name}Title`]);
      const item = Object.keys(schemas[`${name}-item`]?.properties ?? {});
      assert.deepEqual(item, ["id", `${name}Title`]);
    }
    const own = Object.entries(readSchemas([data])).filter(([name]) => !name.startsWith("data"));
    assert.ok(own.length > 0);
    for (const [name, schema] of own) assert.deepEqual(schemas[name], schema, name);
    const document = describeApi(named) as unknown as Document;
    assert.equal((await new Validator().validate(structuredClone(document))).valid, true);
    const ids = Object.values(document.paths).flatMap((item) =>
      Object.values(item).flatMap(({ operationId }) => operationId ?? []),
    );
    assert.equal(new Set(ids).size, ids.length);
  });
});

describe("the schemas of the OpenAPI document", () => {
  const tickets = defineCollection({
    name: "tickets",
    fields: {
      state: text({ max: 20 }).default("open"),
      kind: z.enum(["bug", "wish"]),
      dueAt: dateTime().optional(),
      slug: z
        .string()
        .max(50)
        .regex(/^(?!-)[a-z-]+$/)
        .optional(),
      team: z
        .string()
        .max(50)
        .regex(/^[a-z]+$/)
        .optional(),
    },
    filters: ["state", "kind", "dueAt"],
    example: { kind: "bug" },
  });
  const document = describeApi([tickets, courses]);

  /** Every schema, with its place: what has one of the keywords that only schemas have. */
  function* listSchemas(part: unknown, place = ""): Generator<[string, Schema]> {
    if (typeof part !== "object" || part === null) return;
    const isSchema = ["const", "enum", "pattern", "format", "properties"].some(
      (key) => key in part,
    );
    if (isSchema && !place.endsWith("/properties")) yield [place, part as Schema];
    for (const [key, value] of Object.entries(part))
      if (key !== "examples" && key !== "example") yield* listSchemas(value, `${place}/${key}`);
  }

  it("have a type each, and patterns that RE2 knows", () => {
    const patterns: string[] = [];
    for (const [place, { type, $ref, pattern }] of listSchemas(document)) {
      // A problem's name beside the reference to its schema.
      const isName = $ref !== undefined || /\/problem\+json\/schema\/properties\/type$/.test(place);
      assert.ok(type !== undefined || isName, place);
      if (pattern) patterns.push(pattern);
    }
    assert.ok(patterns.includes("^[a-z]+$"));
    // Look-around and back references.
    for (const pattern of patterns) assert.doesNotMatch(pattern, /\(\?(?:[=!]|<[=!])|\\[1-9]/);
  });

  it("say of an item's id what the API takes", () => {
    const pattern = new RegExp(ID_SCHEMA.pattern);
    const id = fc.string({ unit: fc.constantFrom(..."..a-_~9 /"), maxLength: 66 });
    fc.assert(
      fc.property(id, (text) => {
        const isLong = text.length <= ID_SCHEMA.maxLength && text.length >= ID_SCHEMA.minLength;
        assert.equal(pattern.test(text) && isLong, ITEM_ID.test(text), text);
      }),
      { numRuns: 1_000, examples: [["."], [".."], ["..."], [".a"], ["..a"], ["a."], [""]] },
    );
  });

  it("have no default on a filter: it is of what is written", () => {
    const paths = document.paths as Record<string, { get: { parameters: Parameter[] } }>;
    const parameters = paths["/api/tickets"]?.get.parameters ?? [];
    for (const name of ["state", "kind", "dueAt"]) {
      const filter = parameters.find((parameter) => parameter.name === name);
      assert.ok(filter && !("default" in filter.schema), name);
      assert.equal(filter.schema.type, "string");
    }
  });
});

type Schema = { type?: unknown; $ref?: string; pattern?: string };
type Parameter = { name?: string; schema: Schema };

describe("the OpenAPI document", () => {
  let environment: TestEnvironment;

  before(async () => {
    environment = await createTestEnvironment({
      migrations: [new URL("../migrations/", import.meta.url)],
    });
  });
  after(() => environment.close());

  for (const collections of [[data], [data, teachers, courses]])
    describe(`of ${collections.map(({ name }) => name).join(", ")}`, () => {
      let api: Client;
      let document: Document;

      before(async () => {
        api = createClient((await environment.startApi({ collections })).url);
        const { status, headers, text } = await api.get("/openapi.json");
        assert.equal(status, 200);
        assert.match(headers.get("content-type") ?? "", /^application\/json\b/);
        document = JSON.parse(text);
      });

      /** Every operation with a path that is filled in. */
      const operations = () =>
        Object.entries(document.paths).flatMap(([path, item]) =>
          METHODS.flatMap((method) => {
            const operation = item[method];
            const filled = path.replace("{id}", "example-1").replace("{write}", WRITE);
            return operation ? [{ method: method.toUpperCase(), path, filled, operation }] : [];
          }),
        );

      it("is valid OpenAPI 3.1", async () => {
        assert.match(document.openapi, /^3\.1\./);
        const result = await new Validator().validate(structuredClone(document));
        assert.deepEqual(result.errors, undefined);
        assert.equal(result.valid, true);
      });

      it("refers to nothing that it does not have, and names each operation once", () => {
        const references = JSON.stringify(document).matchAll(/"\$ref":"#\/([^"]+)"/g);
        for (const [, place = ""] of references) {
          const found = place
            .split("/")
            .reduce<unknown>((part, key) => (part as Record<string, unknown>)?.[key], document);
          assert.ok(found, place);
        }
        const ids = operations().map(({ operation }) => operation.operationId);
        assert.equal(new Set(ids).size, ids.length);
      });

      it("has the paths of every collection, and no others", () => {
        const own = collections.flatMap(({ name }: Collection) => [
          `/api/${name}`,
          `/api/${name}/{id}`,
          `/api/${name}/{id}/writes/{write}`,
        ]);
        const fixed = ["/", "/openapi.json", "/health/live", "/health/ready"];
        assert.deepEqual(Object.keys(document.paths).toSorted(), [...fixed, ...own].toSorted());
      });

      it("has an example of every request body, and the API accepts each", async () => {
        let count = 0;
        for (const { method, path, filled, operation } of operations()) {
          if (method === "GET" || method === "DELETE") continue;
          assert.ok(operation.requestBody?.required, `${method} ${path}`);
          for (const [type, { examples }] of Object.entries(operation.requestBody.content)) {
            const values = Object.values(examples ?? {});
            assert.notEqual(values.length, 0, `${method} ${path} as ${type}`);
            for (const { value } of values) {
              const body = typeof value === "string" ? value : JSON.stringify(value);
              const headers = { "content-type": type };
              const { status, text } = await api.send(method, filled, { body, headers });
              assert.equal(status, 202, `${method} ${path} ${body}: ${text}`);
              count += 1;
            }
          }
        }
        // POST and PUT of one, an array and lines; PUT of one at its own address.
        assert.equal(count, 7 * collections.length);
      });

      it("has no path or method that the API does not answer", async () => {
        for (const { method, filled, operation } of operations()) {
          const { status, headers, text, body } = await api.send(method, filled);
          assert.notEqual(status, 405, `${method} ${filled}`);
          if (status === 404) assert.match(body.detail, /(item|receipt) does not exist/, text);
          assert.ok(status in operation.responses, `${method} ${filled} gave ${status}`);
          assert.equal(headers.get("allow"), null);
        }
      });

      it("describes the answers that writes get", async () => {
        for (const { method, filled, operation } of operations()) {
          if (method === "GET") continue;
          const statuses = [202, 400, 401, 403, 404, 412, 413, 415, 422, 429, 503];
          for (const status of statuses)
            assert.ok(status in operation.responses, `${status} of ${method} ${filled}`);
        }
      });
    });
});
