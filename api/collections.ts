import type { Request } from "express";
import type { Collection } from "../common/collection.ts";
import { ITEM_ID } from "../common/write.ts";
import { malformed } from "./headers.ts";
import { Problem } from "./problem.ts";

/** The collection that the path names. Throws 404 where none is declared by that name. */
export function findCollection(collections: readonly Collection[], request: Request): Collection {
  const name = request.params.collection;
  const collection = collections.find((candidate) => candidate.name === name);
  if (collection) return collection;
  const names = collections.map((known) => known.name).join(", ");
  throw new Problem("not-found", `There is no such collection; there are: ${names}.`);
}

/** The item id that the path names. Throws 400 where it cannot be one. */
export function readItemId(request: Request): string {
  const id = request.params.id as string;
  if (ITEM_ID.test(id)) return id;
  throw malformed("An item id has 1 to 64 of the characters A-Z a-z 0-9 . _ ~ -");
}
