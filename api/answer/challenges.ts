import { Problem } from "./problem.ts";

/** The refusals of RFC 6750, section 3. None of them has a credential in it, nor a part of one. */
const CHALLENGE = 'Bearer realm="constancia"';

/** 401: the request shows no credential. */
export function missingCredential(): Problem {
  const detail = "This request needs an API key or a token: Authorization: Bearer CREDENTIAL.";
  return new Problem("missing-key", detail, { headers: { "WWW-Authenticate": CHALLENGE } });
}

/** 401: the request shows a credential that is not valid. */
export function invalidCredential(detail: string): Problem {
  const challenge = `${CHALLENGE}, error="invalid_token", error_description="${detail}"`;
  return new Problem("missing-key", detail, { headers: { "WWW-Authenticate": challenge } });
}

/** 403: the caller has none of these scopes, of which any would do. */
export function missingScope(scope: string, ...others: readonly string[]): Problem {
  const detail = `This request needs the scope ${[scope, ...others].join(" or ")}.`;
  const challenge = `${CHALLENGE}, error="insufficient_scope", scope="${scope}"`;
  return new Problem("wrong-scope", detail, { headers: { "WWW-Authenticate": challenge } });
}
