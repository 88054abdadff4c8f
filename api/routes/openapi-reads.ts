import type { Collection } from "../../common/collection.ts";
import type { AnswerHeader } from "../answer/headers.ts";
import { jsonResponse, problems, refHeaders } from "./openapi-answers.ts";
import {
  AFTER_RECEIPT,
  AFTER_SCHEMA,
  IF_MATCH,
  IF_MATCH_ANY,
  IF_NO_KNOWN_VERSION,
  IF_NONE_MATCH_ANY,
  IF_UNMODIFIED_SINCE,
  type Json,
  LIMIT,
  operation,
  PREFER,
  parameter,
  ref,
  toJsonSchema,
} from "./openapi-parts.ts";

const VALIDATORS: AnswerHeader[] = ["ETag", "Last-Modified"];

/** GET of a page of items. */
export function describeList(collection: Collection): Json {
  const page = {
    type: "object",
    required: ["data", "next"],
    properties: {
      data: { type: "array", items: ref(`${collection.name}-item`) },
      next: { type: ["string", "null"], description: "The cursor of the next page." },
    },
  };
  return {
    ...operation(collection, "list", "Lists the items in order of creation, one page at a time."),
    parameters: [...pageParameters(collection), IF_MATCH_ANY, IF_NONE_MATCH_ANY],
    responses: {
      200: jsonResponse("The page.", page, "Preference-Applied"),
      ...problems("missing-key", "wrong-scope", "failed-precondition", "too-many-requests"),
      ...problems("unavailable"),
    },
  };
}

function pageParameters({ filters }: Collection): Json[] {
  return [
    LIMIT,
    parameter("query", "cursor", { type: "string" }, "The `next` of the previous page."),
    parameter("query", "order", { type: "string", enum: ["asc", "desc"], default: "asc" }),
    AFTER_RECEIPT,
    ...filters.map((field) => {
      // A field's default is of what is written, not of what is asked for.
      const { default: _, ...schema } = toJsonSchema(field.schema);
      return parameter("query", field.name, schema, "Only items with exactly this value.");
    }),
    PREFER,
  ];
}

/** GET of an item. */
export function describeGet(collection: Collection): Json {
  const item = ref(`${collection.name}-item`);
  return {
    ...operation(collection, "get", "Retrieves an item."),
    parameters: [
      parameter(
        "query",
        "after",
        AFTER_SCHEMA,
        "The id of a write, or the path of its receipt. Responds only after that write is settled.",
      ),
      PREFER,
      IF_MATCH,
      IF_NO_KNOWN_VERSION,
      IF_UNMODIFIED_SINCE,
    ],
    responses: {
      200: jsonResponse("The item.", item, ...VALIDATORS, "Preference-Applied"),
      304: {
        description: "The item is still at a version in `If-None-Match`.",
        headers: refHeaders(...VALIDATORS, "Preference-Applied"),
      },
      ...problems("missing-key", "wrong-scope", "not-found", "deleted", "failed-precondition"),
      ...problems("too-many-requests", "unavailable"),
    },
  };
}

/** GET of a write's receipt. */
export function describeReceipt(collection: Collection): Json {
  return {
    ...operation(collection, "receipt", "Retrieves the receipt of a write."),
    parameters: [PREFER, IF_MATCH_ANY, IF_NONE_MATCH_ANY],
    responses: {
      200: jsonResponse("The receipt.", ref("write-receipt"), "Preference-Applied", "Retry-After"),
      ...problems("missing-key", "wrong-scope", "not-found", "failed-precondition"),
      ...problems("too-many-requests", "unavailable"),
    },
  };
}
