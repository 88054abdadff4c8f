import type { Collection } from "../../common/collection.ts";
import { BULK_RECORDS, PAGE_BYTES, PAGE_ITEMS } from "../../common/limits.ts";
import type { AnswerHeader } from "../answer/headers.ts";
import {
  CREATE_HEADERS,
  jsonResponse,
  problems,
  refHeaders,
  WRITE_HEADERS,
} from "./openapi-answers.ts";
import {
  EXAMPLE_ITEM,
  IDEMPOTENCY_KEY,
  IF_MATCH,
  IF_NONE_MATCH,
  IF_UNMODIFIED_SINCE,
  ITEM,
  type Json,
  PREFER,
  parameter,
  REQUEST_ID,
  ref,
  TRACEPARENT,
  toJsonSchema,
  WRITE_SCHEMA,
} from "./openapi-parts.ts";

const CONDITIONS = [IF_MATCH, IF_NONE_MATCH, IF_UNMODIFIED_SINCE];
const AFTER_IN_FLIGHT = parameter(
  "query",
  "after",
  WRITE_SCHEMA,
  "The write in flight that creates the item: without it, a delete that finds no item is 404.",
);
const VALIDATORS: AnswerHeader[] = ["ETag", "Last-Modified"];

/** The paths of a collection, with their operations. */
export function describePaths(collection: Collection): Json {
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
          parameter(
            "query",
            "limit",
            {
              type: "integer",
              minimum: 1,
              maximum: PAGE_ITEMS.max,
              default: PAGE_ITEMS.default,
            },
            `The most items of the page, which also ends before it has more than ${PAGE_BYTES} bytes.`,
          ),
          parameter("query", "cursor", { type: "string" }, "The `next` of the previous page."),
          parameter("query", "order", { type: "string", enum: ["asc", "desc"], default: "asc" }),
          ...collection.filters.map((field) => {
            // A field's default is of what is written, not of what is asked for.
            const { default: _, ...schema } = toJsonSchema(field.schema);
            return parameter("query", field.name, schema, "Only items with exactly this value.");
          }),
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
          ...problems("missing-key", "wrong-scope", "too-many-requests", "unavailable"),
        },
      },
      post: {
        ...operation(collection, "create", "Creates one item or many."),
        parameters: [IDEMPOTENCY_KEY, PREFER, REQUEST_ID, TRACEPARENT],
        requestBody: requestBody(ref(name), example),
        responses: writeResponses(collection, "create"),
      },
      put: {
        ...operation(collection, "put", "Creates or replaces items, each identified by its `id`."),
        parameters: [...CONDITIONS, PREFER, REQUEST_ID, TRACEPARENT],
        requestBody: requestBody(ref(`${name}-item`), { id: EXAMPLE_ITEM, ...example }),
        responses: writeResponses(collection, "put"),
      },
    },
    [`${path}/{id}`]: {
      parameters: [ITEM],
      get: {
        ...operation(collection, "get", "Retrieves an item."),
        parameters: [
          parameter("query", "after", WRITE_SCHEMA, "Responds only after this write is settled."),
          PREFER,
          IF_MATCH,
          parameter("header", "If-None-Match", { type: "string" }, "The ETags that you have."),
          IF_UNMODIFIED_SINCE,
        ],
        responses: {
          200: jsonResponse("The item.", ref(`${name}-item`), ...VALIDATORS, "Preference-Applied"),
          304: {
            description: "The item is still at a version in `If-None-Match`.",
            headers: refHeaders(...VALIDATORS, "Preference-Applied"),
          },
          ...problems("missing-key", "wrong-scope", "not-found", "deleted"),
          ...problems("too-many-requests", "unavailable"),
        },
      },
      put: {
        ...operation(collection, "replace", "Creates or replaces an item."),
        parameters: [...CONDITIONS, PREFER, REQUEST_ID, TRACEPARENT],
        requestBody: {
          required: true,
          content: {
            "application/json": { schema: ref(name), examples: { item: { value: example } } },
          },
        },
        responses: writeResponses(collection, "replace"),
      },
      delete: {
        ...operation(collection, "delete", "Deletes an item. An older write cannot restore it."),
        parameters: [
          ...(collection.owner === undefined ? [] : [AFTER_IN_FLIGHT]),
          ...[IF_MATCH, IF_UNMODIFIED_SINCE, PREFER, REQUEST_ID, TRACEPARENT],
        ],
        responses: writeResponses(collection, "delete"),
      },
    },
    [`${path}/{id}/writes/{write}`]: {
      parameters: [ITEM, { ...parameter("path", "write", WRITE_SCHEMA), required: true }],
      get: {
        ...operation(collection, "receipt", "Retrieves the receipt of a write."),
        parameters: [PREFER],
        responses: {
          200: jsonResponse(
            "The receipt.",
            ref("write-receipt"),
            "Preference-Applied",
            "Retry-After",
          ),
          ...problems("missing-key", "wrong-scope", "not-found", "too-many-requests"),
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

/** Groups of problems of which a collection with an owner has others. */
const SHARED = ["wrong-scope", "not-found"] as const;
const OWNED = ["not-owner", "no-item"] as const;

type WriteOperation = "create" | "put" | "replace" | "delete";

/** `create` and `put` take many records too. */
function writeResponses({ name, owner }: Collection, operation: WriteOperation): Json {
  const isBulk = operation === "create" || operation === "put";
  const bulk = ref("write-results");
  const item = ref(`${name}-item`);
  const headers = operation === "create" ? CREATE_HEADERS : WRITE_HEADERS;
  const orMany = (one: Json) => (isBulk ? { anyOf: [one, bulk] } : one);
  return {
    200: jsonResponse(
      "The write is settled (with `Prefer: wait`).",
      orMany(item),
      ...headers,
      "ETag",
    ),
    ...(operation === "delete"
      ? {}
      : {
          201: jsonResponse(
            "The write is settled and created the item (with `Prefer: wait`).",
            item,
            ...headers,
            "ETag",
          ),
        }),
    202: jsonResponse(
      "The write is accepted: Pub/Sub holds it.",
      orMany(ref("write-accepted")),
      ...headers,
    ),
    204: {
      description: "The write is settled, without content to return (with `Prefer: wait`).",
      headers: refHeaders(...headers, "ETag"),
    },
    ...(isBulk
      ? {
          207: jsonResponse(
            "Some records were accepted, and some refused.",
            bulk,
            "Preference-Applied",
          ),
        }
      : {}),
    ...problems("malformed-write", "missing-key", "conflict"),
    ...problems(...(owner === undefined ? SHARED : OWNED)),
    ...problems("deleted", "failed-precondition", "too-large", "wrong-media-type", "invalid"),
    ...problems("too-many-requests", "unavailable"),
  };
}
