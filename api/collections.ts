import type { Request } from "express";
import type { Collection } from "../common/collection.ts";
import { ITEM_ID } from "../common/write.ts";
import { malformed } from "./headers.ts";
import { Problem } from "./problem.ts";

/** The collection that the path names. Throws 404 where none is declared by that name. */
export function findCollection(collections: readonly Collection[], request: Request): Collection {
  const name = readPathParameter(request, "collection");
  const collection = collections.find((candidate) => candidate.name === name);
  if (collection) return collection;
  const names = collections.map((known) => known.name).join(", ");
  throw new Problem("not-found", `There is no such collection; there are: ${names}.`);
}

/** The item id that the path names. Throws 400 where it cannot be one. */
export function readItemId(request: Request): string {
  const id = readPathParameter(request, "id");
  if (ITEM_ID.test(id)) return id;
  throw malformed("An item id has 1 to 64 of the characters A-Z a-z 0-9 . _ ~ -");
}

/** A place of the path. Throws a URIError where it is not percent-encoded UTF-8. */
export function readPathParameter(request: Request, name: string): string {
  return decodeURIComponent(request.params[name] as string);
}
