import fc from "fast-check";
import { AUDIENCE, SERVICE_ACCOUNT } from "../../test/support/pusher.ts";
import type { WrongClaims } from "./forged-tokens.ts";

/** Google's library lets clocks differ by five minutes. */
const CLOCKS_SECONDS = 300;

/** Of Google's tokens, for another account, another audience or another time. */
export function wrongPushClaims(): WrongClaims {
  const nowSeconds = () => Math.floor(Date.now() / 1_000);
  const far = fc.integer({ min: CLOCKS_SECONDS + 60, max: 10_000_000 });
  const audience = fc.oneof(
    fc.string(),
    fc.constantFrom(`${AUDIENCE}/`, AUDIENCE.toUpperCase(), ` ${AUDIENCE}`, AUDIENCE.slice(0, -1)),
    fc.constantFrom<unknown>(undefined, null, [], {}, 0, [AUDIENCE, "x"], { 0: AUDIENCE }),
  );
  const email = fc.oneof(
    fc.emailAddress(),
    fc.constantFrom(`x${SERVICE_ACCOUNT}`, `${SERVICE_ACCOUNT}.example.com`, `${SERVICE_ACCOUNT} `),
    fc.constantFrom(SERVICE_ACCOUNT.toUpperCase(), SERVICE_ACCOUNT.replace("e", "е")),
    fc.constantFrom<unknown>(undefined, null, [SERVICE_ACCOUNT], {}, true),
  );
  const verified = fc.constantFrom<unknown>(false, undefined, null, "true", 1, [true], {});
  const issuer = fc.oneof(
    fc.webUrl(),
    fc.constantFrom<unknown>("https://accounts.google.com.example.com", "", undefined, null),
    fc.constantFrom("http://accounts.google.com", "https://accounts.google.com/"),
  );
  return {
    audience: audience.filter((aud) => aud !== AUDIENCE).map((aud) => () => ({ aud })),
    email: email.filter((one) => one !== SERVICE_ACCOUNT).map((one) => () => ({ email: one })),
    verified: verified.map((email_verified) => () => ({ email_verified })),
    issuer: issuer.map((iss) => () => ({ iss })),
    expired: far.map((ago) => () => ({ iat: nowSeconds() - ago - 3_600, exp: nowSeconds() - ago })),
    early: far.map((to) => () => ({ iat: nowSeconds() + to, exp: nowSeconds() + to + 3_600 })),
    endless: far.map((more) => () => ({ exp: nowSeconds() + 100_000 + more })),
    timeless: fc
      .constantFrom<unknown>(undefined, null, "x", [], Number.NaN)
      .map((exp) => () => ({ exp })),
  };
}
