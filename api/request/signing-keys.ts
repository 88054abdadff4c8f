import type { CryptoKey, JWTVerifyGetKey } from "jose";
import * as errors from "jose/errors";
import { createLocalJWKSet } from "jose/jwks/local";
import { isObject, parseJson } from "../../common/json.ts";
import { SIGNING_KEYS } from "../../common/limits.ts";
import { isLoopback } from "../../common/oidc-issuers.ts";
import type { Logger } from "../../common/telemetry/logger.ts";

/** The keys of an issuer cannot be had; the message is for the log. */
export class KeysUnavailable extends Error {}

export type FindKey = JWTVerifyGetKey<CryptoKey>;

/**
 * The keys by which an issuer's tokens are verified (OpenID Connect Discovery 1.0, section 4; RFC 7517),
 * fetched when they are first needed. Keys that are older than `freshMs` are used while new ones are
 * fetched, for up to `staleMs`, so that an issuer that does not answer holds up nobody whose token names
 * a known key. A token that names another key waits for one fetch, at most `deadlineMs`; between two
 * fetches passes `coolDownMs`, or `retryMs` after a failure. The function rejects with KeysUnavailable
 * where it is not known which keys the issuer has, and with jose's JWKSNoMatchingKey where it has no
 * such key.
 */
export function createFindKey(options: {
  name: string;
  issuer: string;
  logger: Logger;
  stop: AbortSignal;
  limits?: typeof SIGNING_KEYS;
}): FindKey {
  const { name, issuer, logger, stop, limits = SIGNING_KEYS } = options;
  let find: ReturnType<typeof createLocalJWKSet> | undefined;
  let fetchedMs = Number.NEGATIVE_INFINITY;
  let tried = { ms: Number.NEGATIVE_INFINITY, failed: false };
  let pending: Promise<void> | undefined;

  return async (header, token) => {
    const ageMs = performance.now() - fetchedMs;
    if (!find || ageMs > limits.staleMs) await refresh();
    else if (ageMs > limits.freshMs) refresh().catch(() => {});
    try {
      return await (find as FindKey)(header, token);
    } catch (error) {
      if (!(error instanceof errors.JWKSNoMatchingKey)) throw error;
      await refresh();
      return (find as FindKey)(header, token);
    }
  };

  /** Fetches the keys; at once resolved or rejected, as the last time, where that was just now. */
  function refresh(): Promise<void> {
    if (pending) return pending;
    const pauseMs = tried.failed ? limits.retryMs : limits.coolDownMs;
    if (performance.now() - tried.ms < pauseMs)
      return tried.failed ? Promise.reject(new KeysUnavailable()) : Promise.resolve();
    pending = load()
      .then(
        (keys) => {
          find = keys;
          fetchedMs = performance.now();
          tried = { ms: fetchedMs, failed: false };
        },
        (error: Error) => {
          tried = { ms: performance.now(), failed: true };
          if (!stop.aborted)
            logger.warn("the keys of an issuer cannot be fetched", {
              issuer: name,
              cause: describe(error),
            });
          throw new KeysUnavailable();
        },
      )
      .finally(() => {
        pending = undefined;
      });
    return pending;
  }

  async function load() {
    const signal = AbortSignal.any([stop, AbortSignal.timeout(limits.deadlineMs)]);
    const base = issuer.replace(/\/$/, "");
    const found = await fetchJson(`${base}/.well-known/openid-configuration`, signal);
    if (found.issuer !== issuer) throw new Error("its configuration names another issuer");
    const address = String(found.jwks_uri);
    const isSafe =
      URL.parse(address)?.protocol === "https:" || (isLoopback(issuer) && isLoopback(address));
    if (!isSafe) throw new Error("its jwks_uri is not https");
    const { keys } = await fetchJson(address, signal);
    return createLocalJWKSet({ keys } as Parameters<typeof createLocalJWKSet>[0]);
  }

  /** Fetches a JSON object, of at most `bytes`, without following redirects. */
  async function fetchJson(url: string, signal: AbortSignal): Promise<Record<string, unknown>> {
    const response = await fetch(url, {
      signal,
      redirect: "error",
      headers: { accept: "application/json" },
    });
    if (!response.ok) {
      await response.body?.cancel();
      throw new Error(`it answered ${response.status}`);
    }
    const chunks: Uint8Array[] = [];
    let bytes = 0;
    for await (const chunk of response.body ?? []) {
      bytes += chunk.length;
      if (bytes > limits.bytes) throw new Error(`it answered more than ${limits.bytes} bytes`);
      chunks.push(chunk);
    }
    const value = parseJson(Buffer.concat(chunks).toString("utf8"));
    if (!isObject(value)) throw new Error("it did not answer a JSON object");
    return value;
  }
}

/** An error of ours, or the code or name of any other; its message may quote what came. */
function describe(error: Error): string {
  const { code } = (error.cause ?? error) as { code?: unknown };
  return typeof code === "string" ? code : error.constructor === Error ? error.message : error.name;
}
