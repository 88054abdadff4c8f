import { z } from "zod";
import { HOLDER, isScope } from "./api-keys.ts";
import { parseJson } from "./json.ts";

/** An issuer whose tokens are taken. The principal of a token is `NAME:sub`. */
export type Issuer = {
  name: string;
  /** Its address, as in the claim `iss`; the OpenID configuration is below it. */
  issuer: string;
  /** The claim `aud` must have one of them. */
  audience: readonly string[];
  algorithms: readonly string[];
  /** What a token permits that says nothing of our scopes. */
  scopes: ReadonlySet<string>;
  /** The claim that has scopes: a text with spaces between, or an array. */
  scopeClaim?: string | undefined;
};

const MAX_ISSUERS = 10;
/** Signatures by a private key only: no one who can verify a token can make one (RFC 8725, 3.1). */
const ALGORITHMS = [
  ...["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"],
  ...["ES256", "ES384", "ES512", "EdDSA", "Ed25519"],
];
const LOOPBACK = new Set(["localhost", "127.0.0.1", "[::1]"]);

/** Whether a URL is on this machine. */
export function isLoopback(url: string): boolean {
  return LOOPBACK.has(URL.parse(url)?.hostname ?? "");
}

const text = z.string().min(1).max(1_000);
const issuer = z.strictObject({
  name: z
    .string()
    .regex(HOLDER)
    .refine((name) => name !== "key", "must not be key"),
  issuer: z
    .url({ protocol: /^https?$/ })
    .refine(
      (url) => url.startsWith("https:") || isLoopback(url),
      "must be https, except on this machine",
    ),
  audience: z.union([text.transform((one) => [one]), z.array(text).min(1)]),
  algorithms: z.array(z.enum(ALGORITHMS)).min(1),
  scopes: z
    .array(z.string().refine(isScope, "must be X:read, X:write, X:write-any or operate"))
    .default([])
    .transform((scopes) => new Set(scopes)),
  scopeClaim: text.optional(),
});
const issuers = z
  .array(issuer)
  .max(MAX_ISSUERS)
  .refine(
    (all) =>
      [all.map(({ name }) => name), all.map(({ issuer }) => issuer)].every(
        (values) => new Set(values).size === values.length,
      ),
    "must not have one name or issuer twice",
  );

/** `OIDC_ISSUERS`: a JSON array of issuers. */
export const oidcIssuers = z.string().transform((value, context): Issuer[] => {
  if (value === "") return [];
  const { data, error } = issuers.safeParse(tryParseJson(value));
  const { path = [], message = "" } = error?.issues[0] ?? {};
  if (error)
    context.addIssue(
      'must be a JSON array of {"name", "issuer", "audience", "algorithms", "scopes", "scopeClaim"}:' +
        ` ${path.join(".")} ${message}`,
    );
  return data ?? [];
});

function tryParseJson(text: string): unknown {
  try {
    return parseJson(text);
  } catch {
    return undefined;
  }
}
