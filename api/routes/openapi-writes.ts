import type { Collection } from "../../common/collection.ts";
import { BULK_RECORDS } from "../../common/limits.ts";
import {
  CREATE_HEADERS,
  jsonResponse,
  problems,
  refHeaders,
  WRITE_HEADERS,
} from "./openapi-answers.ts";
import {
  AFTER_SCHEMA,
  EXAMPLE_ITEM,
  IDEMPOTENCY_KEY,
  IF_MATCH,
  IF_NONE_MATCH,
  IF_UNMODIFIED_SINCE,
  type Json,
  operation,
  PREFER,
  parameter,
  ref,
} from "./openapi-parts.ts";

const CONDITIONS = [IF_MATCH, IF_NONE_MATCH, IF_UNMODIFIED_SINCE];
const AFTER_IN_FLIGHT = parameter(
  "query",
  "after",
  AFTER_SCHEMA,
  "The write in flight that creates the item, by its id or the path of its receipt: without it, a" +
    " delete that finds no item is 404.",
);

/** POST of one item or many. */
export function describeCreate(collection: Collection): Json {
  const { name, example } = collection;
  return {
    ...operation(collection, "create", "Creates one item or many."),
    parameters: [IDEMPOTENCY_KEY, PREFER],
    requestBody: requestBody(ref(name), example),
    responses: writeResponses(collection, "create"),
  };
}

/** PUT of items at the collection's path. */
export function describePut(collection: Collection): Json {
  const { name, example } = collection;
  return {
    ...operation(collection, "put", "Creates or replaces items, each identified by its `id`."),
    parameters: [...CONDITIONS, PREFER],
    requestBody: requestBody(ref(`${name}-item`), { id: EXAMPLE_ITEM, ...example }),
    responses: writeResponses(collection, "put"),
  };
}

/** PUT of an item at its own path. */
export function describeReplace(collection: Collection): Json {
  const { name, example } = collection;
  return {
    ...operation(collection, "replace", "Creates or replaces an item."),
    parameters: [...CONDITIONS, PREFER],
    requestBody: {
      required: true,
      content: {
        "application/json": { schema: ref(name), examples: { item: { value: example } } },
      },
    },
    responses: writeResponses(collection, "replace"),
  };
}

/** DELETE of an item. */
export function describeDelete(collection: Collection): Json {
  return {
    ...operation(collection, "delete", "Deletes an item. An older write cannot restore it."),
    parameters: [
      ...(collection.owner === undefined ? [] : [AFTER_IN_FLIGHT]),
      ...CONDITIONS,
      PREFER,
    ],
    responses: writeResponses(collection, "delete"),
  };
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
