import type { Collection } from "../../common/collection.ts";
import type { Config } from "../../common/config.ts";
import type { Logger } from "../../common/telemetry/logger.ts";

/**
 * Warns of each scope of a key or an issuer that names no collection: it permits nothing. It is not
 * refused, because the keys are the same for two releases, of which only one may have the collection.
 */
export function warnOfUnknownScopes(
  { API_KEYS, OIDC_ISSUERS }: Pick<Config, "API_KEYS" | "OIDC_ISSUERS">,
  collections: readonly Collection[],
  logger: Logger,
): void {
  const known = ["operate", "*", ...collections.map(({ name }) => name)];
  for (const { name: holder, scopes } of [...API_KEYS, ...OIDC_ISSUERS]) {
    const unknown = [...scopes].filter((scope) => !known.includes(scope.split(":")[0] ?? ""));
    if (unknown.length > 0)
      logger.warn("scopes name a collection that there is not; they permit nothing", {
        holder,
        scopes: unknown,
      });
  }
}
