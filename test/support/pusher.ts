import { createHmac, generateKeyPairSync, type KeyObject, sign } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:http";
import type { MessageContent } from "../../common/write.ts";

export const AUDIENCE = "https://subscriber.example/push";
export const SERVICE_ACCOUNT = "pusher@constancia-test.iam.gserviceaccount.com";

type Claims = Record<string, unknown>;

/**
 * Stands for Pub/Sub and for Google's accounts: signs tokens as they do, and serves the
 * certificates by which the subscriber's real verifier checks them.
 */
export async function startPusher() {
  const google = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const stranger = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const pem = google.publicKey.export({ type: "spki", format: "pem" }).toString();
  const server = createServer((_request, response) => {
    response.setHeader("Cache-Control", "public, max-age=3600");
    response.setHeader("Content-Type", "application/json");
    response.end(JSON.stringify({ google: pem }));
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  const certsUrl = `http://127.0.0.1:${port}/certs`;
  return {
    env: {
      DELIVERY: "push",
      PUSH_AUDIENCE: AUDIENCE,
      PUSH_SERVICE_ACCOUNT: SERVICE_ACCOUNT,
      PUSH_CERTS_URL: certsUrl,
    },
    keys: google,
    kid: "google",
    sign: (claims: Claims) => signToken(claims, {}, google.privateKey),
    token: (claims?: Claims) => signToken(claims, {}, google.privateKey),
    forgedTokens: () => forgedTokens(google.privateKey, stranger.privateKey, pem),
    close: () => void server.close(),
  };
}

/** A message in the envelope that Pub/Sub pushes. */
export function wrap(
  { attributes, data, publishedAt = Date.now() }: MessageContent,
  messageId: string,
): string {
  const publishTime = new Date(publishedAt).toISOString();
  const message = {
    attributes,
    data: data.toString("base64"),
    publishTime,
    publish_time: publishTime,
    messageId,
    message_id: messageId,
  };
  return JSON.stringify({
    message,
    subscription: "projects/x/subscriptions/y",
    deliveryAttempt: 1,
  });
}

/** Invalid `Authorization` headers, by what is wrong with them. */
function forgedTokens(google: KeyObject, stranger: KeyObject, pem: string) {
  const now = Math.floor(Date.now() / 1_000);
  const valid = signToken({}, {}, google);
  const [header, claims, signature = ""] = valid.split(".");
  const [otherHeader, otherClaims] = signToken({ email: "x@example.com" }, {}, google).split(".");
  const hmacHead = `${encode({ alg: "HS256", kid: "google" })}.${claims}`;
  const hmac = createHmac("sha256", pem).update(hmacHead).digest("base64url");
  const by = (more: Claims) => `Bearer ${signToken(more, {}, google)}`;
  return {
    "wrong audience": by({ aud: "https://elsewhere.example" }),
    "no audience": by({ aud: undefined }),
    "wrong e-mail": by({ email: "somebody@example.com" }),
    "no e-mail": by({ email: undefined }),
    "e-mail not verified": by({ email_verified: false }),
    "e-mail verified by a word": by({ email_verified: "true" }),
    expired: by({ iat: now - 7_200, exp: now - 3_600 }),
    "of the future": by({ iat: now + 3_600, exp: now + 7_200 }),
    "valid for years": by({ exp: now + 100_000_000 }),
    "no expiry": by({ exp: undefined }),
    "foreign issuer": by({ iss: "https://accounts.example.com" }),
    "signed by a stranger": `Bearer ${signToken({}, {}, stranger)}`,
    "of an unknown key": `Bearer ${signToken({}, { kid: "other" }, google)}`,
    "of no key": `Bearer ${signToken({}, { kid: undefined }, google)}`,
    "bad signature": `Bearer ${header}.${claims}.${signature.split("").reverse().join("")}`,
    "another token's signature": `Bearer ${otherHeader}.${otherClaims}.${signature}`,
    "no signature": `Bearer ${header}.${claims}.`,
    "alg none": `Bearer ${encode({ alg: "none", typ: "JWT" })}.${claims}.`,
    "alg none with a key": `Bearer ${encode({ alg: "none", kid: "google" })}.${claims}.AAAA`,
    "an HMAC of the certificate": `Bearer ${hmacHead}.${hmac}`,
    garbage: "Bearer garbage.garbage.garbage",
    "half a token": `Bearer ${header}.${claims}`,
    "another scheme": `Basic ${valid}`,
    "no scheme": valid,
    empty: "Bearer ",
  };
}

/** A token as Google's accounts sign them; `undefined` takes a claim away. */
export function signToken(more: Claims = {}, moreHeader: Claims, key: KeyObject): string {
  const now = Math.floor(Date.now() / 1_000);
  const claims = {
    iss: "https://accounts.google.com",
    aud: AUDIENCE,
    azp: "1234",
    sub: "1234",
    email: SERVICE_ACCOUNT,
    email_verified: true,
    iat: now,
    exp: now + 3_600,
    ...more,
  };
  const head = `${encode({ alg: "RS256", kid: "google", typ: "JWT", ...moreHeader })}.${encode(claims)}`;
  return `${head}.${sign("RSA-SHA256", Buffer.from(head), key).toString("base64url")}`;
}

function encode(value: Claims): string {
  return Buffer.from(JSON.stringify(value)).toString("base64url");
}
