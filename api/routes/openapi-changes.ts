import type { Collection } from "../../common/collection.ts";
import { jsonResponse, problems } from "./openapi-answers.ts";
import {
  AFTER_RECEIPT,
  ID_SCHEMA,
  IF_MATCH_ANY,
  IF_NONE_MATCH_ANY,
  type Json,
  LIMIT,
  operation,
  PREFER,
  parameter,
  ref,
  WRITE_SCHEMA,
} from "./openapi-parts.ts";

/** The path of a collection's feed, with its operation. */
export function describeChanges(collection: Collection): Json {
  const { name } = collection;
  const summary = "Lists the items in the order in which they were last changed, deletes too.";
  const change = {
    type: "object",
    required: ["position", "id", "version", "item"],
    properties: {
      position: { type: "integer", minimum: 0 },
      id: ID_SCHEMA,
      version: WRITE_SCHEMA,
      item: {
        description: "Null where the item was deleted.",
        anyOf: [ref(`${name}-item`), { type: "null" }],
      },
    },
  };
  const place = { type: "string", description: "The place after this page, also at the end." };
  return {
    [`/api/changes/${name}`]: {
      get: {
        ...operation(collection, "changes", summary),
        parameters: [
          parameter("query", "since", { type: "string" }, "The `next` of the previous page."),
          LIMIT,
          AFTER_RECEIPT,
          PREFER,
          IF_MATCH_ANY,
          IF_NONE_MATCH_ANY,
        ],
        responses: {
          200: jsonResponse(
            "The page; at the end it is empty.",
            {
              type: "object",
              required: ["data", "next"],
              properties: { data: { type: "array", items: change }, next: place },
            },
            "Preference-Applied",
          ),
          ...problems(
            "missing-key",
            "wrong-scope",
            "lost-place",
            "failed-precondition",
            "too-many-requests",
            "unavailable",
          ),
        },
      },
    },
  };
}
