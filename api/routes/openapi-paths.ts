import type { Collection } from "../../common/collection.ts";
import { describeChanges } from "./openapi-changes.ts";
import { ITEM, type Json, parameter, WRITE_SCHEMA } from "./openapi-parts.ts";
import { describeGet, describeList, describeReceipt } from "./openapi-reads.ts";
import { describeCreate, describeDelete, describePut, describeReplace } from "./openapi-writes.ts";

/** The paths of a collection, with their operations. */
export function describePaths(collection: Collection): Json {
  const path = `/api/${collection.name}`;
  return {
    ...(collection.feed ? describeChanges(collection) : {}),
    [path]: {
      get: describeList(collection),
      post: describeCreate(collection),
      put: describePut(collection),
    },
    [`${path}/{id}`]: {
      parameters: [ITEM],
      get: describeGet(collection),
      put: describeReplace(collection),
      delete: describeDelete(collection),
    },
    [`${path}/{id}/writes/{write}`]: {
      parameters: [ITEM, { ...parameter("path", "write", WRITE_SCHEMA), required: true }],
      get: describeReceipt(collection),
    },
  };
}
