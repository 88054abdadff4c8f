import type { IRouter, RequestHandler } from "express";
import { Problem } from "../answer/problem.ts";
import { listMethods } from "../request/allowed-methods.ts";

type Methods = { [Method in "get" | "post" | "put" | "delete"]?: RequestHandler[] };

/**
 * Adds a path to a router, with the handlers of each method, and the answer to OPTIONS. Notes which path
 * was matched, for metrics.
 */
export function addRoute(router: IRouter, path: string, methods: Methods): void {
  const route = router.route(path).all((request, response, next) => {
    // An error handler no longer knows the base URL of the router that failed.
    response.locals.route = request.baseUrl + path;
    next();
  });
  // By itself, Express would name the methods of this router only.
  route.options(answerOptions);
  const names = Object.keys(methods) as (keyof Methods)[];
  for (const name of names) route[name](...(methods[name] ?? []));
}

const answerOptions: RequestHandler = (request, response) => {
  response.set("Allow", listMethods(request, response).join(", ")).status(204).end();
};

/**
 * The last handler of an application: 404, or where the path has routes of other methods, 405 and the
 * answer to OPTIONS, with these methods (RFC 9110, 15.5.6).
 */
export const answerUnhandled: RequestHandler = (request, response, next) => {
  // The server as a whole (RFC 9110, 9.3.7).
  if (request.method === "OPTIONS" && request.url === "*") return void response.status(204).end();
  const methods = listMethods(request, response);
  // A route that has called next() has found nothing.
  if (methods.length === 0 || methods.includes(request.method))
    throw new Problem("not-found", "The resource does not exist.");
  if (request.method === "OPTIONS") return answerOptions(request, response, next);
  const allow = methods.join(", ");
  response.set("Allow", allow);
  throw new Problem("wrong-method", `This resource supports ${allow}, not ${request.method}.`);
};
