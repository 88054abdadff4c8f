import type { IRouter, Request, RequestHandler, Response } from "express";

/** What Express's types leave out: the start of a path that a layer matches, or for a route all of it. */
type Layer = IRouter["stack"][number] & { match(path: string): { path: string } | false };

/** Ends the routes of a path that matches further ones, by their parameters, which are not meant for it. */
export const endRoutes: RequestHandler = (_request, _response, next) => next("router");

/**
 * The methods of the routes that match the request's path, in the order in which they were added: of
 * the API and of the application that now handles the request, in which the API may be mounted. (Express
 * keeps no reference to other mounted applications.) HEAD comes with GET. OPTIONS, which any path has,
 * is left out. It walks all routes, so it is for answers that are rare.
 */
export function listMethods({ app, baseUrl, path }: Request, { locals }: Response): string[] {
  const { api } = locals;
  const own = api ? findMethods(api.router, (baseUrl + path).slice(api.baseUrl.length)) : [];
  const others = app.router === api?.router ? [] : findMethods(app.router, path);
  return [...new Set([...own, ...others])];
}

function findMethods({ stack }: IRouter, path: string): string[] {
  const methods: string[] = [];
  for (const layer of stack as Layer[]) {
    const { route, handle } = layer;
    const match = layer.match(path || "/");
    if (!match) continue;
    if (route?.stack.some((one) => one.handle === endRoutes)) break;
    if (route) methods.push(...route.stack.flatMap(({ method }) => nameMethods(method)));
    else if ("stack" in handle)
      methods.push(...findMethods(handle as IRouter, path.slice(match.path.length)));
  }
  return methods;
}

/** Handlers of all methods, which Express gives none, may still pass on any of them. */
function nameMethods(method: string | undefined): string[] {
  if (method === undefined || method === "options") return [];
  return method === "get" ? ["GET", "HEAD"] : [method.toUpperCase()];
}
