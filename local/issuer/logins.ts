import { createHash, randomBytes, randomInt } from "node:crypto";

/** What a client asks for (RFC 6749, section 4.1.1; RFC 7636; OpenID Connect Core, section 3.1.2). */
export type LoginRequest = {
  clientId: string;
  redirectUri: string;
  challenge: string;
  scope: string;
  state?: string | undefined;
  nonce?: string | undefined;
};
/** Who has logged in, and for which client. */
export type Grant = LoginRequest & { email: string };

type Login = LoginRequest & { endsMs: number; email?: string; code?: string; attempts: number };

const LOGIN_MS = 10 * 60_000;
const GRANT_MS = 60_000;
/** Guesses at a one-time code of six digits. */
const MAX_ATTEMPTS = 5;
/** Logins and grants that wait at once; the oldest are dropped. */
const MAX_WAITING = 1_000;

/** Logins under way, in memory: a login page that is older than the process begins again. */
export class Logins {
  readonly #logins = new Map<string, Login>();
  readonly #grants = new Map<string, Grant & { endsMs: number }>();

  /** Returns the id of a new login. */
  begin(request: LoginRequest): string {
    return keep(this.#logins, { ...request, endsMs: Date.now() + LOGIN_MS, attempts: 0 });
  }

  /**
   * Returns the one-time code for an e-mail; undefined where the login has ended. `scope`, where the
   * page has asked for it, replaces that of the request.
   */
  createCode(id: string, email: string, scope?: string): string | undefined {
    const login = find(this.#logins, id);
    if (!login) return undefined;
    if (scope !== undefined) login.scope = scope;
    login.email = email;
    login.code = String(randomInt(1_000_000)).padStart(6, "0");
    return login.code;
  }

  /**
   * Returns the address to go on to, with an authorization code, where the one-time code is right;
   * `wrong` where it is not, and undefined where the login has ended.
   */
  confirm(id: string, code: string, issuer: string): string | "wrong" | undefined {
    const login = find(this.#logins, id);
    if (!login?.code || login.email === undefined) return undefined;
    if (code.replaceAll(/\s/g, "") !== login.code) {
      login.attempts += 1;
      if (login.attempts >= MAX_ATTEMPTS) this.#logins.delete(id);
      return this.#logins.has(id) ? "wrong" : undefined;
    }
    this.#logins.delete(id);
    const { email, state } = login;
    const grant = keep(this.#grants, { ...login, email, endsMs: Date.now() + GRANT_MS });
    const address = new URL(login.redirectUri);
    address.searchParams.set("code", grant);
    if (state !== undefined) address.searchParams.set("state", state);
    // RFC 9207: by which the client knows that the answer is not another issuer's.
    address.searchParams.set("iss", issuer);
    return address.href;
  }

  /** Gives the grant of an authorization code, once, to the client that can prove that it asked. */
  redeem(code: string, client: { clientId: string; redirectUri: string; verifier: string }) {
    const grant = find(this.#grants, code);
    this.#grants.delete(code);
    const isClient =
      grant?.clientId === client.clientId &&
      grant.redirectUri === client.redirectUri &&
      grant.challenge === deriveChallenge(client.verifier);
    return isClient ? grant : undefined;
  }
}

/** The challenge of a verifier, by the method S256 (RFC 7636, section 4.2). */
export function deriveChallenge(verifier: string): string {
  return createHash("sha256").update(verifier).digest("base64url");
}

/** A text that cannot be guessed. */
export function createSecret(): string {
  return randomBytes(32).toString("base64url");
}

function keep<Kept>(all: Map<string, Kept>, kept: Kept): string {
  const id = createSecret();
  if (all.size >= MAX_WAITING) all.delete(all.keys().next().value as string);
  all.set(id, kept);
  return id;
}

function find<Kept extends { endsMs: number }>(all: Map<string, Kept>, id: string) {
  const found = all.get(id);
  return found && found.endsMs > Date.now() ? found : undefined;
}
