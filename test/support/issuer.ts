import { generateKeyPairSync, type KeyObject, sign } from "node:crypto";
import { once } from "node:events";
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

type Claims = Record<string, unknown>;

/** What it answers instead of the truth, and how often it was asked. */
type State = {
  isSilent: boolean;
  requests: number;
  status: number;
  configuration: Claims;
  keys?: unknown;
  body?: string | undefined;
};

export const AUDIENCE = "constancia-test";

/**
 * Stands for an identity provider: signs tokens as one does, and serves its OpenID configuration and
 * its keys, from an address of this machine. It can rotate its keys, fall silent and lie.
 */
export async function startIssuer(name = "test") {
  let keys = generateKeyPairSync("rsa", { modulusLength: 2048 });
  let kid = "first";
  let published = [toJwk(keys.publicKey, kid)];
  const silent = new Set<ServerResponse>();
  const state: State = { isSilent: false, requests: 0, status: 200, configuration: {} };
  const server = createServer((request, response) => {
    state.requests += 1;
    if (state.isSilent) return void silent.add(response);
    const configuration = { issuer, jwks_uri: `${issuer}/keys`, ...state.configuration };
    const isKeys = request.url === "/keys";
    response.statusCode = request.url === "/moved" ? 200 : state.status;
    response.setHeader("Content-Type", "application/json").setHeader("Location", "/moved");
    const answer = isKeys ? (state.keys ?? { keys: published }) : configuration;
    response.end(state.body ?? JSON.stringify(answer));
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

  return {
    state,
    issuer,
    get keys() {
      return keys;
    },
    get kid() {
      return kid;
    },
    /** The variable OIDC_ISSUERS with this issuer alone. */
    variable: (more: Claims = {}) => JSON.stringify([entry(more)]),
    entry,
    sign: signToken,
    /** A new key; without `isPublished`, tokens are signed with it before it can be fetched. */
    rotate({ isPublished = true } = {}) {
      keys = generateKeyPairSync("rsa", { modulusLength: 2048 });
      kid = `${kid}+`;
      if (isPublished) published = [toJwk(keys.publicKey, kid)];
    },
    close() {
      for (const response of silent) response.destroy();
      server.close();
    },
  };

  function entry(more: Claims = {}): Claims {
    return {
      name,
      issuer,
      audience: AUDIENCE,
      algorithms: ["RS256"],
      scopes: ["*:read", "*:write"],
      ...more,
    };
  }

  /** A valid token with these claims and headers; `undefined` takes one away. */
  function signToken(more: Claims = {}, moreHeader: Claims = {}): string {
    const now = Math.floor(Date.now() / 1_000);
    const claims = { iss: issuer, aud: AUDIENCE, sub: "ana", iat: now, exp: now + 3_600, ...more };
    return signText(
      JSON.stringify({ alg: "RS256", kid, typ: "JWT", ...moreHeader }),
      JSON.stringify(claims),
      keys.privateKey,
    );
  }
}

/** A compact JWS by RS256 of any texts as header and payload. */
export function signText(header: string, payload: string, key: KeyObject): string {
  const head = `${encode(header)}.${encode(payload)}`;
  return `${head}.${sign("RSA-SHA256", Buffer.from(head), key).toString("base64url")}`;
}

function toJwk(key: KeyObject, kid: string): Claims {
  return { ...key.export({ format: "jwk" }), kid, use: "sig", alg: "RS256" };
}

function encode(text: string): string {
  return Buffer.from(text).toString("base64url");
}
