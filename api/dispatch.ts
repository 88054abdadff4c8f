import type { RequestListener } from "node:http";
import type { ErrorRequestHandler, Express, Request, RequestHandler, Response } from "express";
import { findCollectionRoute } from "./routes.ts";

/** Handlers in their order, by method and route: `POST /api/:collection`. */
export type Routes = Map<string, RequestHandler[]>;

/**
 * Serves the collections' routes in one look, and gives every other request to Express, which would
 * ask layer after layer for each. The handlers find the same request and response as there.
 */
export function dispatch(
  app: Express,
  routes: Routes,
  answerProblem: ErrorRequestHandler,
): RequestListener {
  return (incoming, outgoing) => {
    const found = findCollectionRoute(incoming.url as string);
    const method = incoming.method === "HEAD" ? "GET" : incoming.method;
    const handlers = found && routes.get(`${method} ${found.route}`);
    if (!handlers) return void app(incoming, outgoing);
    const request: Request = Object.setPrototypeOf(incoming, app.request);
    const response: Response = Object.setPrototypeOf(outgoing, app.response);
    request.res = response;
    request.originalUrl = request.url;
    const fail = (error: unknown) =>
      answerProblem(error, request, response, () => void response.destroy());
    request.params = found.params;
    run(handlers, request, response, fail);
  };
}

/** Runs one handler after the other, as each calls `next`; what they throw goes to `fail`. */
function run(
  handlers: readonly RequestHandler[],
  request: Request,
  response: Response,
  fail: (error: unknown) => void,
): void {
  let place = 0;
  const next = (error?: unknown) => {
    if (error) return fail(error);
    const handler = handlers[place];
    place += 1;
    try {
      const ending: unknown = handler?.(request, response, next);
      if (ending instanceof Promise) ending.catch(fail);
    } catch (thrown) {
      fail(thrown);
    }
  };
  next();
}
