import { createHash } from "node:crypto";
import cors from "cors";
import express, { type Express, type Request, type Response } from "express";
import { isLoopback } from "../../common/oidc-issuers.ts";
import { createSecret, deriveChallenge, type Grant, Logins } from "./logins.ts";
import { showCodePage, showEmailPage, showFault, showTokenPage } from "./pages.ts";
import { ALGORITHM, LIFETIME_SECONDS, type Signer } from "./signer.ts";

/** The audience of its access tokens. */
export const AUDIENCE = "constancia-local";
/** The client that the issuer's own page at `/` is. */
const OWN_CLIENT = "local-issuer";
/** An address that a form may lead to is the client's, which is on this machine. */
const HEADERS = new Map([
  [
    "Content-Security-Policy",
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none';" +
      " form-action 'self' http://localhost:* http://127.0.0.1:*",
  ],
  ["Cache-Control", "no-store"],
  ["Referrer-Policy", "no-referrer"],
]);

/** What the own login page proposes; the API gives the same to a token without a scope. */
const DEFAULT_SCOPE = "*:read *:write";

/**
 * A small OpenID Connect provider for development: discovery, keys, and the authorization code flow
 * with PKCE for public clients on this machine (RFC 6749, 7636, 8252; OpenID Connect Core). Whoever
 * reads the terminal can be anyone, so it is no use elsewhere.
 */
export function createIssuer(options: {
  issuer: string;
  signer: Signer;
  say: (line: string) => void;
}): Express {
  const { issuer, signer, say } = options;
  const logins = new Logins();
  const app = express().disable("x-powered-by").disable("etag");
  app.use((_request, response, next) => {
    response.setHeaders(HEADERS);
    next();
  });
  app.use(["/.well-known/openid-configuration", "/keys", "/token"], cors());
  app.use(express.urlencoded({ extended: false, limit: "16kb" }));
  app.get("/.well-known/openid-configuration", (_request, response) => {
    response.json(describeIssuer(issuer));
  });
  app.get("/keys", (_request, response) => void response.json({ keys: signer.keys }));
  app.get("/authorize", authorize);
  app.post("/email", (request, response) => {
    const { login, ...fields } = readFields(request.body);
    const email = fields.email?.trim().toLowerCase();
    const code = email && logins.createCode(login ?? "", email, fields.scope);
    if (!code) return endLogin(response);
    say(`the one-time code for ${email.replaceAll(/[^\x21-\x7e]/g, "?")} is ${code}`);
    response.send(showCodePage(login ?? ""));
  });
  app.post("/code", (request, response) => {
    const { login = "", code = "" } = readFields(request.body);
    const next = logins.confirm(login, code, issuer);
    if (next === undefined) return endLogin(response);
    if (next !== "wrong") return response.redirect(303, next);
    response.status(400).send(showCodePage(login, "This is not the code."));
  });
  app.post("/token", async (request, response) => {
    const fields = readFields(request.body);
    if (fields.grant_type !== "authorization_code")
      return void response.status(400).json({ error: "unsupported_grant_type" });
    const grant = logins.redeem(fields.code ?? "", {
      clientId: fields.client_id ?? "",
      redirectUri: fields.redirect_uri ?? "",
      verifier: fields.code_verifier ?? "",
    });
    if (!grant) return void response.status(400).json({ error: "invalid_grant" });
    response.json(await issueTokens(grant));
  });
  app.get("/", (_request, response) => {
    const verifier = createSecret();
    const challenge = deriveChallenge(verifier);
    const redirectUri = `${issuer}/done`;
    const login = { clientId: OWN_CLIENT, redirectUri, challenge, scope: "", state: verifier };
    response.send(showEmailPage(logins.begin(login), DEFAULT_SCOPE));
  });
  app.get("/done", async (request, response) => {
    const { code = "", state: verifier = "" } = readFields(request.query);
    const client = { clientId: OWN_CLIENT, redirectUri: `${issuer}/done`, verifier };
    const grant = logins.redeem(code, client);
    if (!grant) return endLogin(response);
    response.send(showTokenPage((await issueTokens(grant)).access_token));
  });
  return app;

  function authorize(request: Request, response: Response): void {
    const query = readFields(request.query);
    const { client_id: clientId = "", redirect_uri: redirectUri = "", state, nonce } = query;
    const { code_challenge: challenge = "", scope = "" } = query;
    // Without an address to trust, the fault is shown here (RFC 6749, section 4.1.2.1).
    if (!isLoopback(redirectUri) || clientId === "" || clientId === AUDIENCE)
      return void response
        .status(400)
        .send(
          showFault(
            "A client_id is required that is not the API's, and a redirect_uri on this machine.",
          ),
        );
    const isPkce = query.code_challenge_method === "S256" && /^[\w-]{43}$/.test(challenge);
    if (query.response_type === "code" && isPkce)
      return void response.send(
        showEmailPage(logins.begin({ clientId, redirectUri, challenge, scope, state, nonce })),
      );
    const address = new URL(redirectUri);
    address.searchParams.set("error", isPkce ? "unsupported_response_type" : "invalid_request");
    if (state !== undefined) address.searchParams.set("state", state);
    response.redirect(303, address.href);
  }

  /** An access token for the API (RFC 9068) and, where `openid` is asked for, an ID token. */
  async function issueTokens({ clientId, email, scope, nonce }: Grant) {
    const sub = createHash("sha256").update(email).digest("hex").slice(0, 20);
    const person = { iss: issuer, sub, email, email_verified: true };
    const access = { ...person, aud: AUDIENCE, client_id: clientId, scope, jti: createSecret() };
    const isAsked = scope.split(" ").includes("openid");
    return {
      access_token: await signer.sign(access, "at+jwt"),
      token_type: "Bearer",
      expires_in: LIFETIME_SECONDS,
      scope,
      ...(isAsked
        ? { id_token: await signer.sign({ ...person, aud: clientId, nonce }, "JWT") }
        : {}),
    };
  }
}

/** OpenID Connect Discovery 1.0, section 3. */
function describeIssuer(issuer: string): Record<string, unknown> {
  return {
    issuer,
    authorization_endpoint: `${issuer}/authorize`,
    token_endpoint: `${issuer}/token`,
    jwks_uri: `${issuer}/keys`,
    response_types_supported: ["code"],
    grant_types_supported: ["authorization_code"],
    code_challenge_methods_supported: ["S256"],
    token_endpoint_auth_methods_supported: ["none"],
    subject_types_supported: ["public"],
    id_token_signing_alg_values_supported: [ALGORITHM],
    authorization_response_iss_parameter_supported: true,
  };
}

function endLogin(response: Response): void {
  response.status(400).send(showFault("It has ended, or was used already."));
}

/** The fields of a form or a query; one that is repeated counts as missing. */
function readFields(fields: unknown): Record<string, string | undefined> {
  const all = Object.entries((fields ?? {}) as Record<string, unknown>);
  return Object.fromEntries(
    all.filter((field): field is [string, string] => typeof field[1] === "string"),
  );
}
