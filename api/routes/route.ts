import type { IRouter, RequestHandler } from "express";
import { Problem } from "../answer/problem.ts";

type Methods = { [Method in "get" | "post" | "put" | "delete"]?: RequestHandler[] };

/**
 * Adds a path to a router, with the handlers of each method. Notes which path was matched and which
 * methods it supports, for metrics and for {@link answerUnhandled}.
 */
export function addRoute(router: IRouter, path: string, methods: Methods): void {
  const names = Object.keys(methods) as (keyof Methods)[];
  const allow = names.map((name) => (name === "get" ? "GET, HEAD" : name.toUpperCase())).join(", ");
  const route = router.route(path).all((request, response, next) => {
    // An error handler no longer knows the base URL of the router that failed.
    response.locals.route = request.baseUrl + path;
    response.locals.allow = allow;
    next();
  });
  for (const name of names) route[name](...(methods[name] ?? []));
}

/**
 * The last handler of an application: 404, or on a path that {@link addRoute} has added, 405 and
 * the answer to OPTIONS, with the methods that apply (RFC 9110, 15.5.6).
 */
export const answerUnhandled: RequestHandler = (request, response) => {
  const { allow } = response.locals;
  // The server as a whole (RFC 9110, 9.3.7).
  if (request.method === "OPTIONS" && request.url === "*") return void response.status(204).end();
  if (allow === undefined) throw new Problem("not-found", "The resource does not exist.");
  response.set("Allow", allow);
  if (request.method === "OPTIONS") return void response.status(204).end();
  throw new Problem("wrong-method", `This resource supports ${allow}, not ${request.method}.`);
};
