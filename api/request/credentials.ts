import { createHash } from "node:crypto";
import type { RequestHandler } from "express";
import { API_KEY_PREFIX } from "../../common/api-keys.ts";
import type { Config } from "../../common/config.ts";
import { TOKENS } from "../../common/limits.ts";
import { isCompactToken } from "../../common/token-form.ts";
import { invalidCredential } from "../answer/challenges.ts";
import { Problem } from "../answer/problem.ts";
import type { Caller } from "./caller.ts";
import { getAddress } from "./client-address.ts";
import type { Keyring } from "./keyring.ts";
import type { createTokenVerifier, VerifyToken } from "./tokens.ts";
import { WrongTokens } from "./wrong-tokens.ts";

/**
 * Fills `response.locals.caller` where the request shows a valid API key or token, and `refusal` where
 * it shows anything else. A credential is first compared with every key. One that is no key, does not
 * begin as our keys do and has the form of a JWT is verified as a token; where its address has sent too
 * many wrong ones, only if it is remembered.
 */
export function identifyCaller(
  config: Config,
  keyring: Keyring,
  verify?: VerifyToken,
): RequestHandler[] {
  const { API_KEYS, CLIENT_ADDRESS } = config;
  const wrongTokens = new WrongTokens(config);
  if (API_KEYS.length === 0 && !verify) return [];
  const handler: RequestHandler = (request, { locals }, next) => {
    const shown = request.headers.authorization;
    if (shown === undefined) return next();
    const credential = /^Bearer +(\S+)$/i.exec(shown)?.[1] ?? "";
    const sha256 = createHash("sha256").update(credential).digest();
    const caller = keyring.find(sha256);
    if (caller) {
      locals.caller = caller;
      return next();
    }
    if (!verify || credential.startsWith(API_KEY_PREFIX) || !isToken(credential)) {
      const conclude = (found: Caller | undefined) => {
        if (found) locals.caller = found;
        else locals.refusal = refuseKey(credential, verify !== undefined);
        next();
      };
      const again = keyring.findAgain(sha256);
      if (again) return again.then(conclude);
      return conclude(undefined);
    }
    const address = getAddress(request, CLIENT_ADDRESS);
    return verify(credential, sha256, { mayCompute: !wrongTokens.isExceeded(address) }).then(
      (known) => {
        locals.caller = known;
        next();
      },
      (error) => {
        if (!(error instanceof Problem)) return next(error);
        if (error.status === 401) wrongTokens.add(address);
        locals.refusal = error;
        next();
      },
    );
  };
  return [handler];
}

function refuseKey(credential: string, takesTokens: boolean): Problem {
  return invalidCredential(
    takesTokens && !credential.startsWith(API_KEY_PREFIX)
      ? "It is neither an API key nor a token."
      : "The API key is not valid.",
  );
}

/** Verifies the tokens of the issuers; only where there are any, what verifies them is loaded. */
export function createVerify(
  ...[issuers, options]: Parameters<typeof createTokenVerifier>
): VerifyToken | undefined {
  if (issuers.length === 0) return undefined;
  const loading = import("./tokens.ts").then((tokens) =>
    tokens.createTokenVerifier(issuers, options),
  );
  return async (...shown) => (await loading)(...shown);
}

/** Whether a credential has the form of a token. */
function isToken(credential: string): boolean {
  return credential.length <= TOKENS.bytes && isCompactToken(credential);
}
