import { createHash, timingSafeEqual } from "node:crypto";
import type { RequestHandler } from "express";
import type { ApiKey } from "../../common/api-keys.ts";
import type { Config } from "../../common/config.ts";
import { Problem } from "../answer/problem.ts";
import type { Caller } from "./caller.ts";

const CHALLENGE = 'Bearer realm="constancia"';
const NEEDS = "an API key: Authorization: Bearer KEY";

/**
 * Fills `response.locals.caller` where the request shows a valid credential, and `refusal` where it
 * shows another. Neither a credential nor a part of one is ever in an answer or in a log.
 */
export function identifyCaller({ API_KEYS }: Config): RequestHandler[] {
  if (API_KEYS.length === 0) return [];
  const keys = API_KEYS.map((key) => ({ ...key, caller: toCaller(key) }));
  const handler: RequestHandler = (request, { locals }, next) => {
    const shown = request.headers.authorization;
    if (shown === undefined) return next();
    const credential = /^Bearer +(\S+)$/i.exec(shown)?.[1] ?? "";
    const caller = findKey(keys, createHash("sha256").update(credential).digest())?.caller;
    if (caller) locals.caller = caller;
    else locals.refusal = invalidCredential("The API key is not valid.");
    next();
  };
  return [handler];
}

/** 401 with a challenge: the request shows no credential (RFC 6750, section 3). */
export function missingCredential(): Problem {
  return new Problem("missing-key", `This request needs ${NEEDS}.`, {
    headers: { "WWW-Authenticate": CHALLENGE },
  });
}

/** 401: the request shows a credential that is not valid. */
function invalidCredential(detail: string): Problem {
  const challenge = `${CHALLENGE}, error="invalid_token", error_description="${detail}"`;
  return new Problem("missing-key", detail, { headers: { "WWW-Authenticate": challenge } });
}

/** 403: the caller has none of these scopes, of which any would do (RFC 6750, section 3.1). */
export function missingScope(...scopes: [string, ...string[]] | string[]): Problem {
  const challenge = `${CHALLENGE}, error="insufficient_scope", scope="${scopes[0]}"`;
  return new Problem("wrong-scope", `This request needs the scope ${scopes.join(" or ")}.`, {
    headers: { "WWW-Authenticate": challenge },
  });
}

function toCaller({ name, scopes }: ApiKey): Caller {
  return { principal: `key:${name}`, scopes };
}

/** Compares with every key in constant time, so that timing reveals nothing about any of them. */
function findKey<Key extends ApiKey>(keys: readonly Key[], sha256: Buffer): Key | undefined {
  let found: Key | undefined;
  for (const key of keys) if (timingSafeEqual(key.sha256, sha256)) found = key;
  return found;
}
