import * as errors from "jose/errors";
import { jwtVerify } from "jose/jwt/verify";
import { isScope } from "../../common/api-keys.ts";
import { isObject, parseJson, RepeatedKey } from "../../common/json.ts";
import { SIGNING_KEYS, TOKENS } from "../../common/limits.ts";
import type { Issuer } from "../../common/oidc-issuers.ts";
import { PRINCIPAL } from "../../common/owner-field.ts";
import type { Logger } from "../../common/telemetry/logger.ts";
import { invalidCredential } from "../answer/challenges.ts";
import { Problem } from "../answer/problem.ts";
import type { Caller } from "./caller.ts";
import { createFindKey, type FindKey, KeysUnavailable } from "./signing-keys.ts";

/**
 * Resolves to who shows a token; rejects with the Problem to answer. `sha256` is the token's. Only where
 * `mayCompute` is set, a token that is not remembered is verified.
 */
export type VerifyToken = (
  token: string,
  sha256: Buffer,
  options: { mayCompute: boolean },
) => Promise<Caller>;

/** Access tokens (RFC 9068, section 4) and ID tokens; not, for example, a logout token. */
const TYPES: ReadonlySet<unknown> = new Set([undefined, "jwt", "at+jwt", "application/at+jwt"]);

/**
 * Verifies the tokens of the issuers by jose: signature, by an algorithm that the issuer is listed
 * with, issuer, audience and times (RFC 7519; RFC 8725). A verified token is remembered by its
 * SHA-256 until it expires, and for `SIGNING_KEYS.freshMs` at most, in which a key may be withdrawn.
 */
export function createTokenVerifier(
  issuers: readonly Issuer[],
  options: { logger: Logger; stop: AbortSignal },
): VerifyToken {
  const trusted = new Map(
    issuers.map((issuer) => [
      issuer.issuer,
      { ...issuer, findKey: createFindKey({ ...options, ...issuer }) },
    ]),
  );
  const known = new Map<string, { caller: Caller; untilMs: number }>();
  return async (token, sha256, { mayCompute }) => {
    const digest = sha256.toString("latin1");
    const remembered = known.get(digest);
    if (remembered && Date.now() < remembered.untilMs) return remembered.caller;
    if (!mayCompute) throw invalidCredential("Too many wrong tokens came from this address.");
    const [header, claims] = token.split(".", 2).map(decode);
    if (!header || !claims || !isPlain(header)) throw invalidCredential("The token is not valid.");
    const issuer = trusted.get(claims.iss as string);
    if (!issuer) throw invalidCredential("The token is of an unknown issuer.");
    const expiresAt = await verify(token, issuer, claims);
    const caller = toCaller(issuer, claims);
    if (known.size >= TOKENS.known) known.delete(known.keys().next().value as string);
    const untilMs = Math.min(expiresAt * 1_000, Date.now() + SIGNING_KEYS.freshMs);
    known.set(digest, { caller, untilMs });
    return caller;
  };
}

/** Returns when the token expires, in seconds since 1970. */
async function verify(
  token: string,
  { issuer, audience, algorithms, findKey }: Issuer & { findKey: FindKey },
  claims: Record<string, unknown>,
): Promise<number> {
  try {
    const { payload } = await jwtVerify(token, findKey, {
      issuer,
      audience: [...audience],
      algorithms: [...algorithms],
      requiredClaims: ["exp", "sub"],
      clockTolerance: TOKENS.clockToleranceSeconds,
    });
    // JSON.parse, which jose uses, confuses some keys that have escapes (common/json.ts).
    if (Object.keys(payload).join() === Object.keys(claims).join()) return payload.exp as number;
  } catch (error) {
    throw explain(error);
  }
  throw invalidCredential("The token is not valid.");
}

/** The answer for an error of jose's, whose messages are not for a client. */
function explain(error: unknown): unknown {
  if (error instanceof KeysUnavailable)
    return new Problem("unavailable", "The keys of the token's issuer cannot be fetched.");
  if (error instanceof errors.JWTExpired) return invalidCredential("The token has expired.");
  if (error instanceof errors.JWTClaimValidationFailed)
    return invalidCredential(`The token's claim ${error.claim} is not valid here.`);
  if (error instanceof errors.JOSEError || error instanceof TypeError)
    return invalidCredential("The token is not valid.");
  return error;
}

function toCaller({ name, scopes, scopeClaim }: Issuer, claims: Record<string, unknown>): Caller {
  const principal = `${name}:${claims.sub}`;
  if (typeof claims.sub !== "string" || claims.sub === "" || !PRINCIPAL.test(principal))
    throw invalidCredential(
      `The token's sub must have visible ASCII characters, with its issuer's name at most ${TOKENS.principalCharacters}.`,
    );
  const value = scopeClaim === undefined ? undefined : claims[scopeClaim];
  const listed = typeof value === "string" ? value.split(" ") : Array.isArray(value) ? value : [];
  const own = listed.filter((scope) => typeof scope === "string" && isScope(scope));
  // An array is a claim of its own, so that an empty one means no scopes.
  const isOwn = own.length > 0 || Array.isArray(value);
  return { principal, scopes: isOwn ? new Set(own) : scopes };
}

/** A part's JSON object; undefined where it is none, or has a name twice (RFC 7519, section 4). */
function decode(part: string): Record<string, unknown> | undefined {
  try {
    const value = parseJson(Buffer.from(part, "base64url").toString("utf8"));
    if (!isObject(value)) return undefined;
    return Object.values(value).some((one) => one instanceof RepeatedKey) ? undefined : value;
  } catch {
    return undefined;
  }
}

/** Whether a header is that of a token as we know them, without an extension (RFC 7515, 4.1.11). */
function isPlain({ typ, crit, b64 }: Record<string, unknown>): boolean {
  const type = typeof typ === "string" ? typ.toLowerCase() : typ;
  return TYPES.has(type) && crit === undefined && b64 === undefined;
}
