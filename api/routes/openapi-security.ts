import type { Collection } from "../../common/collection.ts";
import type { Config } from "../../common/config.ts";
import { isOpen } from "../request/access.ts";
import type { Right } from "../request/caller.ts";
import type { Json } from "./openapi-parts.ts";

/** What of the configuration says who may call. */
export type Callers = Pick<Config, "ACCESS" | "OIDC_ISSUERS">;

/** How a caller can be known: by an API key, or by a token of one of the issuers. */
export function securitySchemes({ OIDC_ISSUERS }: Callers): Json {
  const issuers = OIDC_ISSUERS.map(({ name, issuer }) => [
    name,
    {
      type: "openIdConnect",
      openIdConnectUrl: `${issuer.replace(/\/$/, "")}/.well-known/openid-configuration`,
      description: "A token of this issuer, as `Authorization: Bearer`.",
    },
  ]);
  const description = "An API key, as `Authorization: Bearer`.";
  return {
    apiKey: { type: "http", scheme: "bearer", description },
    ...Object.fromEntries(issuers),
  };
}

/** Adds to each operation of a collection which scopes it requires, by each of the schemes. */
export function withSecurity(paths: Json, collection: Collection, callers: Callers): Json {
  for (const [path, item] of Object.entries(paths) as [string, Json][])
    for (const method of ["get", "post", "put", "delete"])
      if (item[method])
        (item[method] as Json).security = describeSecurity(
          getRights(path, method),
          collection,
          callers,
        );
  return paths;
}

/** The alternatives of one operation, each a scheme with its scopes; `{}` where none is needed. */
export function describeSecurity(
  rights: readonly Right[],
  { name }: Collection,
  callers: Callers,
): Json[] {
  const schemes = Object.keys(securitySchemes(callers));
  if (rights.some((right) => isOpen(callers, right)))
    return [{}, ...schemes.map((scheme) => ({ [scheme]: [] }))];
  return schemes.flatMap((scheme) => rights.map((right) => ({ [scheme]: [`${name}:${right}`] })));
}

/** The rights of which an operation requires one, as its route does (routes/collections.ts). */
function getRights(path: string, method: string): Right[] {
  if (path.endsWith("/writes/{write}")) return ["read", "write"];
  return method === "get" ? ["read"] : ["write"];
}
