import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  sign,
} from "node:crypto";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** As long as Google's own tokens are valid. */
const LIFETIME_SECONDS = 3_600;
/** How long a token is reused, so that one signature serves very many pushes. */
const REUSE_SECONDS = 1_800;

type Signed = { token: string; issuedAt: number };

/** Signs OIDC tokens as Google's accounts do, with a key of its own, which it publishes. */
export class TokenSigner {
  readonly #folder: string | undefined;
  readonly #signed = new Map<string, Signed>();
  #key: { secret: KeyObject; pem: string; id: string } | undefined;

  /** With a folder the key is kept there, so that cached certificates outlive a restart. */
  constructor(folder?: string) {
    this.#folder = folder;
  }

  /** By key id, in PEM; what google-auth-library reads from its certificates' address. */
  get certificates(): Record<string, string> {
    const { id, pem } = this.#loadKey();
    return { [id]: pem };
  }

  token(email: string, audience: string): string {
    const now = Math.floor(Date.now() / 1_000);
    const name = `${email} ${audience}`;
    const known = this.#signed.get(name);
    if (known && now - known.issuedAt < REUSE_SECONDS) return known.token;
    const token = this.#sign({
      iss: "https://accounts.google.com",
      aud: audience,
      email,
      email_verified: true,
      azp: deriveSubject(email),
      sub: deriveSubject(email),
      iat: now,
      exp: now + LIFETIME_SECONDS,
    });
    this.#signed.set(name, { token, issuedAt: now });
    return token;
  }

  #sign(claims: Record<string, unknown>): string {
    const { id, secret } = this.#loadKey();
    const head = `${encode({ alg: "RS256", kid: id, typ: "JWT" })}.${encode(claims)}`;
    return `${head}.${sign("RSA-SHA256", Buffer.from(head), secret).toString("base64url")}`;
  }

  /** OpenFile when it is first needed: it takes a tenth of a second. */
  #loadKey() {
    if (this.#key) return this.#key;
    const secret = createPrivateKey(this.#readOrMakeKey());
    const pem = createPublicKey(secret).export({ type: "spki", format: "pem" }).toString();
    const id = createHash("sha256").update(pem).digest("hex").slice(0, 40);
    this.#key = { secret, pem, id };
    return this.#key;
  }

  #readOrMakeKey(): string {
    const path = this.#folder && join(this.#folder, "key.pem");
    if (path && existsSync(path)) return readFileSync(path, "utf8");
    const { privateKey } = generateKeyPairSync("rsa", {
      modulusLength: 2_048,
      publicKeyEncoding: { type: "spki", format: "pem" },
      privateKeyEncoding: { type: "pkcs8", format: "pem" },
    });
    if (path) {
      mkdirSync(this.#folder as string, { recursive: true, mode: 0o700 });
      writeFileSync(path, privateKey, { mode: 0o600 });
    }
    return privateKey;
  }
}

/** An account's number, always the same for the same e-mail. */
function deriveSubject(email: string): string {
  return BigInt(`0x${createHash("sha256").update(email).digest("hex").slice(0, 16)}`).toString();
}

function encode(value: Record<string, unknown>): string {
  return Buffer.from(JSON.stringify(value)).toString("base64url");
}
