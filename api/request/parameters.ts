import type { Request } from "express";
import type { Collection } from "../../common/collection.ts";
import { ITEM_ID } from "../../common/write.ts";
import { malformed, Problem } from "../answer/problem.ts";

/** The collection in the path. Throws 404 where none is declared by that name. */
export function findCollection(collections: readonly Collection[], request: Request): Collection {
  const name = request.params.collection;
  const collection = collections.find((candidate) => candidate.name === name);
  if (collection) return collection;
  const names = collections.map((known) => known.name).join(", ");
  throw new Problem("not-found", `The collection does not exist. Collections: ${names}.`);
}

/** The item id in the path. Throws 400 where it cannot be one. */
export function readItemId(request: Request): string {
  const id = request.params.id as string;
  if (ITEM_ID.test(id)) return id;
  throw malformed("An item id has 1 to 64 of the characters A-Z a-z 0-9 . _ ~ -");
}

/** A query parameter. Throws 400 where it is repeated. */
export function readParameter(request: Request, name: string): string | undefined {
  const value = request.query[name];
  if (value === undefined || typeof value === "string") return value;
  throw malformed(`The parameter ${name} must not be repeated.`);
}

/** Throws 400 where the query has a parameter that is not among the known ones. */
export function refuseUnknownParameters(request: Request, known: readonly string[] = []): void {
  // Express parses the address anew each time that `request.query` is read.
  if (!request.url.includes("?")) return;
  const unknown = Object.keys(request.query).find((name) => !known.includes(name));
  if (unknown !== undefined)
    throw malformed(
      `Unknown parameter ${JSON.stringify(unknown.slice(0, 50))}. ` +
        (known.length > 0
          ? `This resource supports ${known.join(", ")}.`
          : "This resource supports no parameters."),
    );
}
