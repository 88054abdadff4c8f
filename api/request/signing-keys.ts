import type { CryptoKey, JWTVerifyGetKey } from "jose";
import { createLocalJWKSet } from "jose/jwks/local";
import { createRemoteJWKSet, customFetch } from "jose/jwks/remote";
import { isObject, parseJson } from "../../common/json.ts";
import { SIGNING_KEYS } from "../../common/limits.ts";
import { isLoopback } from "../../common/oidc-issuers.ts";
import type { Logger } from "../../common/telemetry/logger.ts";

/** The keys of an issuer cannot be had. */
export class KeysUnavailable extends Error {}

export type FindKey = JWTVerifyGetKey<CryptoKey>;

/**
 * The keys by which an issuer's tokens are verified, fetched when they are first needed and kept by
 * jose. Keys that are older than `freshMs` are used while new ones are fetched, for up to `staleMs`, so
 * that an issuer that does not answer holds up nobody whose token names a known key. A token that names
 * another key waits for one fetch, at most `deadlineMs`; between two fetches passes `coolDownMs`, or
 * `retryMs` after a failure. The function rejects with KeysUnavailable where it is not known which keys
 * the issuer has, and with jose's JWKSNoMatchingKey where it has no such key.
 */
export function createFindKey(options: {
  name: string;
  issuer: string;
  logger: Logger;
  stop: AbortSignal;
  limits?: typeof SIGNING_KEYS;
}): FindKey {
  const { name, issuer, logger, stop, limits = SIGNING_KEYS } = options;
  let fetchedMs: number | undefined;
  let failedMs = Number.NEGATIVE_INFINITY;
  const isPaused = () => performance.now() - failedMs < limits.retryMs;
  // The address of the keys is in the issuer's configuration, which is fetched with them each time.
  const find = createRemoteJWKSet(new URL(issuer), {
    cacheMaxAge: limits.staleMs,
    cooldownDuration: limits.coolDownMs,
    timeoutDuration: limits.deadlineMs,
    async [customFetch](_url, { signal }) {
      if (isPaused()) throw new KeysUnavailable();
      try {
        const keys = await fetchKeys(issuer, AbortSignal.any([stop, signal]), limits.bytes);
        fetchedMs = performance.now();
        return Response.json(keys);
      } catch (error) {
        failedMs = performance.now();
        const cause = describe(error as Error);
        if (!stop.aborted)
          logger.warn("the keys of an issuer cannot be fetched", { issuer: name, cause });
        throw new KeysUnavailable();
      }
    },
  });
  return (header, token) => {
    const isOld = fetchedMs !== undefined && performance.now() - fetchedMs > limits.freshMs;
    if (isOld && !isPaused()) find.reload().catch(() => {});
    return find(header, token);
  };
}

/** An issuer's keys (OpenID Connect Discovery 1.0, section 4; RFC 7517, section 5). */
async function fetchKeys(issuer: string, signal: AbortSignal, maxBytes: number) {
  const base = issuer.replace(/\/$/, "");
  const address = `${base}/.well-known/openid-configuration`;
  const configuration = await fetchJson(address, signal, maxBytes);
  if (configuration.issuer !== issuer) throw new Error("its configuration names another issuer");
  const keysAddress = String(configuration.jwks_uri);
  const isSecure = URL.parse(keysAddress)?.protocol === "https:";
  if (!isSecure && !(isLoopback(issuer) && isLoopback(keysAddress)))
    throw new Error("its jwks_uri is not https");
  const { keys } = await fetchJson(keysAddress, signal, maxBytes);
  const keySet = { keys } as Parameters<typeof createLocalJWKSet>[0];
  // Throws where they are no keys, so that this counts as a failure.
  createLocalJWKSet(keySet);
  return keySet;
}

/** Fetches a JSON object of at most `maxBytes`, without following redirects. */
async function fetchJson(
  url: string,
  signal: AbortSignal,
  maxBytes: number,
): Promise<Record<string, unknown>> {
  const headers = { accept: "application/json" };
  const response = await fetch(url, { signal, redirect: "error", headers });
  if (!response.ok) {
    await response.body?.cancel();
    throw new Error(`it answered ${response.status}`);
  }
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of response.body ?? []) {
    bytes += chunk.length;
    if (bytes > maxBytes) throw new Error(`it answered more than ${maxBytes} bytes`);
    chunks.push(chunk);
  }
  const value = parseJson(Buffer.concat(chunks).toString("utf8"));
  if (!isObject(value)) throw new Error("it did not answer a JSON object");
  return value;
}

/** An error of ours, or the code or name of any other; its message may quote what came. */
function describe(error: Error): string {
  const { code } = (error.cause ?? error) as { code?: unknown };
  return typeof code === "string" ? code : error.constructor === Error ? error.message : error.name;
}
