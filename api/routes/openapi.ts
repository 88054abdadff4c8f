import type { RequestHandler } from "express";
import type { Collection } from "../../common/collection.ts";
import { BULK_RECORDS, PAGE_ITEMS } from "../../common/limits.ts";
import {
  EXAMPLE_ITEM,
  HEADER,
  ID_SCHEMA,
  IDEMPOTENCY_KEY,
  IF_MATCH,
  IF_NONE_MATCH,
  ITEM,
  type Json,
  jsonResponse,
  PARAMETERS,
  PREFER,
  parameter,
  problemResponses,
  problems,
  REQUEST_ID,
  ref,
  sharedSchemas,
  TRACEPARENT,
  toJsonSchema,
  WRITE_SCHEMA,
  withCommonResponses,
} from "./openapi-parts.ts";

/** GET of the OpenAPI document, which is written once. */
export function answerDescription(collections: readonly Collection[]): RequestHandler {
  const description = JSON.stringify(describeApi(collections));
  return (_request, response) => void response.type("application/json").send(description);
}

/** The OpenAPI 3.1 document, made from the same zod schemas that check the requests. */
export function describeApi(collections: readonly Collection[]): Json {
  const paths = collections.map((collection) => describePaths(collection));
  const schemas = collections.map((collection) => describeSchemas(collection));
  return {
    openapi: "3.1.1",
    info: {
      title: "Constancia",
      version: "1",
      summary: "A data API that gives a receipt for every write.",
      license: { name: "Apache-2.0", identifier: "Apache-2.0" },
    },
    servers: [{ url: "/" }],
    security: [{}, { apiKey: [] }],
    tags: collections.map(({ name }) => ({ name })),
    paths: withCommonResponses(Object.assign({}, homePaths(), ...paths)),
    components: {
      securitySchemes: { apiKey: { type: "http", scheme: "bearer" } },
      schemas: Object.assign({}, sharedSchemas(), ...schemas),
      parameters: PARAMETERS,
      responses: problemResponses(),
    },
  };
}

function describeSchemas(collection: Collection): Json {
  const body = toJsonSchema(collection.schema);
  const { properties, required = [] } = body as { properties: Json; required?: string[] };
  const id = { ...ID_SCHEMA, description: "The item's id." };
  return {
    [collection.name]: body,
    [`${collection.name}-item`]: {
      ...body,
      properties: { id, ...properties },
      required: ["id", ...required],
    },
  };
}

function describePaths(collection: Collection): Json {
  const { name, example } = collection;
  const path = `/api/${name}`;
  return {
    [path]: {
      get: {
        ...operation(
          collection,
          "list",
          "Lists the items in order of creation, one page at a time.",
        ),
        parameters: [
          parameter("query", "limit", {
            type: "integer",
            minimum: 1,
            maximum: PAGE_ITEMS.max,
            default: PAGE_ITEMS.default,
          }),
          parameter("query", "cursor", { type: "string" }, "The `next` of the previous page."),
          parameter("query", "order", { enum: ["asc", "desc"], default: "asc" }),
          ...collection.filters.map((field) =>
            parameter("query", field.name, toJsonSchema(field.schema)),
          ),
        ],
        responses: {
          200: jsonResponse("The page.", {
            type: "object",
            required: ["data", "next"],
            properties: {
              data: { type: "array", items: ref(`${name}-item`) },
              next: { type: ["string", "null"], description: "The cursor of the next page." },
            },
          }),
          ...problems("malformed-request", "missing-key", "too-many-requests", "unavailable"),
        },
      },
      post: {
        ...operation(collection, "create", "Creates one item or many."),
        parameters: [IDEMPOTENCY_KEY, PREFER, REQUEST_ID, TRACEPARENT],
        requestBody: requestBody(ref(name), example),
        responses: writeResponses(collection, true),
      },
      put: {
        ...operation(collection, "put", "Creates or replaces items, each identified by its `id`."),
        parameters: [IF_MATCH, IF_NONE_MATCH, PREFER, REQUEST_ID, TRACEPARENT],
        requestBody: requestBody(ref(`${name}-item`), { id: EXAMPLE_ITEM, ...example }),
        responses: writeResponses(collection, true),
      },
    },
    [`${path}/{id}`]: {
      parameters: [ITEM],
      get: {
        ...operation(collection, "get", "Retrieves an item."),
        parameters: [
          parameter("query", "after", WRITE_SCHEMA, "Responds only after this write is settled."),
          PREFER,
          parameter("header", "If-None-Match", { type: "string" }),
        ],
        responses: {
          200: {
            ...jsonResponse("The item.", ref(`${name}-item`)),
            headers: { ETag: HEADER, "Last-Modified": HEADER },
          },
          304: { description: "The item is still at the version in `If-None-Match`." },
          ...problems("malformed-request", "missing-key", "not-found", "deleted"),
          ...problems("too-many-requests", "unavailable"),
        },
      },
      put: {
        ...operation(collection, "replace", "Creates or replaces an item."),
        parameters: [IF_MATCH, IF_NONE_MATCH, PREFER, REQUEST_ID, TRACEPARENT],
        requestBody: {
          required: true,
          content: {
            "application/json": { schema: ref(name), examples: { item: { value: example } } },
          },
        },
        responses: writeResponses(collection, false),
      },
      delete: {
        ...operation(collection, "delete", "Deletes an item. An older write cannot restore it."),
        parameters: [IF_MATCH, PREFER, REQUEST_ID, TRACEPARENT],
        responses: writeResponses(collection, false),
      },
    },
    [`${path}/{id}/writes/{write}`]: {
      parameters: [ITEM, { ...parameter("path", "write", WRITE_SCHEMA), required: true }],
      get: {
        ...operation(collection, "receipt", "Retrieves the receipt of a write."),
        parameters: [PREFER],
        responses: {
          200: jsonResponse("The receipt.", ref("write-receipt")),
          ...problems("malformed-request", "missing-key", "not-found", "too-many-requests"),
          ...problems("unavailable"),
        },
      },
    },
  };
}

function operation({ name }: Collection, verb: string, summary: string): Json {
  const operationId = `${verb}${name.charAt(0).toUpperCase()}${name.slice(1)}`;
  return { operationId, summary, tags: [name] };
}

/** One record, an array of records, or a record on each line, with examples. */
function requestBody(schema: Json, example: Json): Json {
  const many = { type: "array", minItems: 1, maxItems: BULK_RECORDS, items: schema };
  const line = JSON.stringify(example);
  return {
    required: true,
    content: {
      "application/json": {
        schema: { anyOf: [schema, many] },
        examples: { one: { value: example }, many: { value: [example, example] } },
      },
      "application/x-ndjson": {
        schema: { type: "string", description: "One JSON object on each line." },
        examples: { lines: { value: `${line}\n${line}\n` } },
      },
    },
  };
}

function writeResponses({ name }: Collection, isBulk: boolean): Json {
  const bulk = ref("write-results");
  const item = ref(`${name}-item`);
  const headers = { Link: HEADER, "Preference-Applied": HEADER };
  const withHeaders = (response: Json) => ({ ...response, headers });
  return {
    200: withHeaders(
      jsonResponse(
        "The write is settled (with `Prefer: wait`).",
        isBulk ? { anyOf: [item, bulk] } : item,
      ),
    ),
    201: withHeaders(
      jsonResponse("The write is settled and created the item (with `Prefer: wait`).", item),
    ),
    202: withHeaders(
      jsonResponse(
        "The write is accepted: Pub/Sub holds it.",
        isBulk ? { anyOf: [ref("write-accepted"), bulk] } : ref("write-accepted"),
      ),
    ),
    204: { description: "The write is settled, without content to return (with `Prefer: wait`)." },
    ...(isBulk ? { 207: jsonResponse("Some records were accepted, and some refused.", bulk) } : {}),
    ...problems("malformed-body", "missing-key", "wrong-scope", "not-found", "conflict", "deleted"),
    ...problems("failed-precondition", "too-large", "wrong-media-type", "invalid-item"),
    ...problems("too-many-requests", "unavailable"),
  };
}

function homePaths(): Json {
  const get = (operationId: string, summary: string, responses: Json) => ({
    get: { operationId, summary, tags: [], security: [], responses },
  });
  const any = { type: "object" };
  const newest = {
    type: "object",
    required: ["data"],
    properties: { data: { type: "array", items: { type: "array", minItems: 2, maxItems: 2 } } },
  };
  return {
    "/": {
      get: {
        operationId: "home",
        summary: "Retrieves the newest items; for browsers, the console page.",
        tags: [],
        responses: {
          200: {
            description: "The newest items: the id and the first field of each.",
            content: { "application/json": { schema: newest }, "text/html": {} },
          },
          ...problems("missing-key", "too-many-requests", "unavailable"),
        },
      },
    },
    "/openapi.json": get("openapi", "Retrieves this document.", {
      200: jsonResponse("The OpenAPI document.", any),
    }),
    "/health/live": get("live", "Reports whether the process runs.", {
      200: jsonResponse("The process runs.", any),
    }),
    "/health/ready": get("ready", "Reports whether the tables match the collections.", {
      200: jsonResponse("The tables match.", any),
      503: jsonResponse("The tables do not match, or MySQL does not respond.", any),
    }),
  };
}
