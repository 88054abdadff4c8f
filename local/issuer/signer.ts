import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  calculateJwkThumbprint,
  exportJWK,
  generateKeyPair,
  importJWK,
  type JWK,
  type JWTPayload,
  SignJWT,
} from "jose";

export const ALGORITHM = "ES256";
/** As short as those of identity providers, so that clients that do not renew them are noticed. */
export const LIFETIME_SECONDS = 3_600;

export type Signer = {
  /** What is published: the key without its private part (RFC 7517). */
  keys: JWK[];
  /** Signs a token of this type that expires after {@link LIFETIME_SECONDS}. */
  sign(claims: JWTPayload, typ: string): Promise<string>;
};

/** Reads the key in the folder, or makes one. Tokens outlive a restart; without the file, they do not. */
export async function openSigner(folder: string): Promise<Signer> {
  const file = join(folder, "key.json");
  if (!existsSync(file)) {
    const { privateKey } = await generateKeyPair(ALGORITHM, { extractable: true });
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    writeFileSync(file, JSON.stringify(await exportJWK(privateKey)), { mode: 0o600 });
  }
  const { d, ...open } = JSON.parse(readFileSync(file, "utf8")) as JWK;
  const key = await importJWK({ ...open, d } as JWK, ALGORITHM);
  const kid = await calculateJwkThumbprint(open);
  return {
    keys: [{ ...open, kid, use: "sig", alg: ALGORITHM }],
    sign: (claims, typ) =>
      new SignJWT(claims)
        .setProtectedHeader({ alg: ALGORITHM, kid, typ })
        .setIssuedAt()
        .setExpirationTime(`${LIFETIME_SECONDS} s`)
        .sign(key),
  };
}
