import { type RequestHandler, Router } from "express";
import type { Readiness } from "../../common/readiness.ts";
import { Problem } from "../answer/problem.ts";
import { requireRight } from "../request/access.ts";
import { endRoutes } from "../request/allowed-methods.ts";
import { readBody, skipBody } from "../request/body.ts";
import type { Right } from "../request/caller.ts";
import { findCollection } from "../request/parameters.ts";
import { createGetChanges } from "./changes.ts";
import { createReads, type ReadsOptions } from "./reads.ts";
import { createGetReceipt } from "./receipts.ts";
import { addRoute } from "./route.ts";
import { createWrites, type WritesOptions } from "./writes.ts";

/** The routes of the collections; `guards` run before them all. */
export function createCollections(
  options: WritesOptions & ReadsOptions & { readiness: Readiness },
  guards: RequestHandler[],
): Router {
  const router = Router({ caseSensitive: true });
  if (guards.length > 0) router.use(...guards);
  const may = (...rights: Right[]) =>
    requireRight(options.config, rights, (request) => findCollection(options.collections, request));
  const checkTables = requireTables(options.readiness);
  const { RECEIPT_RETENTION_DAYS } = options.config;
  const { create, put, putItem, deleteItem } = createWrites(options);
  const { getPage, getItem } = createReads(options, RECEIPT_RETENTION_DAYS);
  const getReceipt = createGetReceipt(options, RECEIPT_RETENTION_DAYS);
  const changes = "/changes/:collection";
  addRoute(router, changes, {
    get: [...may("read"), checkTables, createGetChanges(options, RECEIPT_RETENTION_DAYS)],
  });
  // It has the form of an item's path, too.
  router.all(changes, endRoutes);
  addRoute(router, "/:collection", {
    get: [...may("read"), checkTables, getPage],
    post: [...may("write"), checkTables, readBody, create],
    put: [...may("write"), checkTables, readBody, put],
  });
  addRoute(router, "/:collection/:id", {
    get: [...may("read"), checkTables, getItem],
    put: [...may("write"), checkTables, readBody, putItem],
    delete: [...may("write"), checkTables, skipBody, deleteItem],
  });
  addRoute(router, "/:collection/:id/writes/:write", {
    // Whoever writes may know what became of it.
    get: [...may("read", "write"), checkTables, getReceipt],
  });
  return router;
}

/** Tables that lack a column can store nothing. A database that is away comes back, so writes go on. */
function requireTables(readiness: Readiness): RequestHandler {
  return (_request, _response, next) => {
    if (readiness.cause !== "schema") return next();
    throw new Problem("unavailable", "The tables do not match the collections; see /health/ready.");
  };
}
