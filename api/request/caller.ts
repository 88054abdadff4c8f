export type Right = "read" | "write" | "write-any" | "operate";

/** Who calls, as the key or the token shows: the principal is `key:NAME` or `ISSUER:sub`. */
export type Caller = { principal: string; scopes: ReadonlySet<string> };

/**
 * Whether the caller has a right to a collection: by its own scope, or by one for all (`*:`).
 * `write-any` includes `write`; `operate` is a right to the process, whatever the collection.
 */
export function hasRight({ scopes }: Caller, right: Right, collection: string): boolean {
  if (right === "operate") return scopes.has("operate");
  const has = (wanted: Right) => scopes.has(`${collection}:${wanted}`) || scopes.has(`*:${wanted}`);
  return has(right) || (right === "write" && has("write-any"));
}

/**
 * Whose idempotency key it is: the principal, or an API key's name alone, as releases before tokens
 * have derived ids, so that a retry across the upgrade meets its own item. A name has no colon, and
 * the principal of a token has one, so that the two never meet.
 */
export function getKeyHolder(caller: Caller | undefined): string {
  return caller?.principal.replace(/^key:/, "") ?? "";
}
