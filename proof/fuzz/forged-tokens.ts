import {
  createHmac,
  generateKeyPairSync,
  type KeyObject,
  type KeyPairKeyObjectResult,
  sign,
} from "node:crypto";
import fc from "fast-check";

/** An `Authorization` header that must be refused, and what is wrong with it. */
type Forgery = { what: string; make: (valid: string, sound: Sound) => string };
type Claims = Record<string, unknown>;
/** The keys that tokens are really signed with, and what signs a token that has these claims too. */
export type Sound = { keys: KeyPairKeyObjectResult; kid: string; sign(claims: Claims): string };
/** By what is wrong with them. */
export type WrongClaims = Record<string, fc.Arbitrary<() => Claims>>;

/** Stands for the id of the issuer's own key. */
const OWN = "{own}";
const BASE64URL = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
const ALGORITHMS = [
  "",
  "RS256 ",
  ..."none None NONE nOnE HS256 HS384 HS512 RS384 RS512 PS256".split(" "),
  ..."ES256 ES384 EdDSA rs256 RSA1_5 null".split(" "),
];
const strangers = {
  rsa: generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey,
  ec: generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey,
  ed25519: generateKeyPairSync("ed25519").privateKey,
};

/** Tokens that are wrong in every way that is known here. */
export function forgeries(wrong: WrongClaims): fc.Arbitrary<Forgery> {
  return fc.oneof(
    algorithms(),
    confusions(),
    otherKeys(),
    changedClaims(),
    wrongClaims(wrong),
    changedCharacters(),
    cuts(),
    repeats(),
    insertions(),
    otherSchemes(),
  );
}

/** Another algorithm in the header, with the signature as it was, with none, or with any. */
function algorithms(): fc.Arbitrary<Forgery> {
  const end = fc.oneof(fc.constantFrom("kept", "", "AAAA"), fc.base64String({ maxLength: 40 }));
  return fc.tuple(fc.constantFrom(...ALGORITHMS), end).map(([alg, ending]) => ({
    what: `alg ${alg}, signature ${ending}`,
    make(valid, { kid }) {
      const [, claims, signature] = splitToken(valid);
      return `Bearer ${encode({ alg, kid, typ: "JWT" })}.${claims}.${ending === "kept" ? signature : ending}`;
    },
  }));
}

/** The public key used as the secret of an HMAC. */
function confusions(): fc.Arbitrary<Forgery> {
  const forms = {
    pem: (key: KeyObject) => key.export({ type: "spki", format: "pem" }),
    "pem, trimmed": (key: KeyObject) => `${key.export({ type: "spki", format: "pem" })}`.trim(),
    "pkcs1 pem": (key: KeyObject) => key.export({ type: "pkcs1", format: "pem" }),
    der: (key: KeyObject) => key.export({ type: "spki", format: "der" }),
    jwk: (key: KeyObject) => JSON.stringify(key.export({ format: "jwk" })),
    modulus: (key: KeyObject) => Buffer.from(`${key.export({ format: "jwk" }).n}`, "base64url"),
    nothing: () => "",
  };
  const form = fc.constantFrom(...(Object.keys(forms) as (keyof typeof forms)[]));
  const bits = fc.constantFrom(256, 384, 512);
  const alg = fc.constantFrom("HS", "RS", "hs");
  return fc.tuple(form, bits, alg).map(([of, size, name]) => ({
    what: `${name}${size} by the public key as ${of}`,
    make(valid, { keys, kid }) {
      const header = encode({ alg: `${name}${size}`, kid, typ: "JWT" });
      const head = `${header}.${splitToken(valid)[1]}`;
      const secret = forms[of](keys.publicKey);
      return `Bearer ${head}.${createHmac(`sha${size}`, secret).update(head).digest("base64url")}`;
    },
  }));
}

/** Signed by another key; some name that key in the header. */
function otherKeys(): fc.Arbitrary<Forgery> {
  const kind = fc.constantFrom("rsa" as const, "ec" as const, "ed25519" as const);
  const alg = fc.constantFrom("RS256", "ES256", "EdDSA");
  const more = fc.constantFrom("none", "jwk", "jku", "x5u", "kid");
  const kid = fc.constantFrom(OWN, OWN, "stranger", "", "__proto__", "constructor", `../${OWN}`);
  return fc.tuple(kind, alg, more, kid).map(([by, name, with_, key]) => ({
    what: `signed by a strange ${by} as ${name}, kid ${key}, with ${with_}`,
    make(valid, { kid: own }) {
      const stranger = strangers[by];
      const keyHeaders = {
        ...(with_ === "jwk" ? { jwk: stranger.export({ format: "jwk" }) } : {}),
        ...(with_ === "jku" || with_ === "x5u" ? { [with_]: "http://127.0.0.1:1/certs" } : {}),
      };
      const head = `${encode({ alg: name, kid: key.replace(OWN, own), typ: "JWT", ...keyHeaders })}.${splitToken(valid)[1]}`;
      const hash = by === "ed25519" ? null : "sha256";
      const dsaEncoding = "ieee-p1363" as const;
      const signature = sign(hash, Buffer.from(head), { key: stranger, dsaEncoding });
      return `Bearer ${head}.${signature.toString("base64url")}`;
    },
  }));
}

/** Claims changed after they were signed. */
function changedClaims(): fc.Arbitrary<Forgery> {
  const name = fc.constantFrom("exp", "iat", "sub", "azp", "admin", "nbf", "jti");
  return fc.tuple(name, fc.jsonValue({ maxDepth: 1 })).map(([claim, value]) => ({
    what: `${claim} changed to ${JSON.stringify(value)}`,
    make(valid) {
      const [header, claims = "", signature] = splitToken(valid);
      const before = JSON.parse(Buffer.from(claims, "base64url").toString());
      return `Bearer ${header}.${encode({ ...before, [claim]: value })}.${signature}`;
    },
  }));
}

/** Signed by the issuer, with claims that make the token no good here. */
function wrongClaims(wrong: WrongClaims): fc.Arbitrary<Forgery> {
  const one = Object.entries(wrong).map(([name, claims]) => claims.map((make) => ({ name, make })));
  return fc.oneof(...one).map(({ name, make }) => ({
    what: `a wrong claim, ${name}: ${JSON.stringify(make())}`,
    make: (_valid, { sign }) => `Bearer ${sign(make())}`,
  }));
}

/** One character, and so one to six bits, anywhere. */
function changedCharacters(): fc.Arbitrary<Forgery> {
  return fc.tuple(fc.nat(), fc.nat({ max: 62 })).map(([place, to]) => ({
    what: `character ${place} changed by ${to}`,
    make(valid) {
      const at = place % valid.length;
      const before = BASE64URL.indexOf(valid[at] as string);
      const other = BASE64URL[(before + 1 + to) % BASE64URL.length] as string;
      return `Bearer ${valid.slice(0, at)}${other}${valid.slice(at + 1)}`;
    },
  }));
}

function cuts(): fc.Arbitrary<Forgery> {
  return fc.tuple(fc.nat(), fc.boolean()).map(([place, isStart]) => ({
    what: `cut at ${place}, ${isStart ? "the start" : "the end"} kept`,
    make(valid) {
      const at = 1 + (place % (valid.length - 1));
      return `Bearer ${isStart ? valid.slice(0, at) : valid.slice(at)}`;
    },
  }));
}

/** Parts more than once, in another order, or of another token. */
function repeats(): fc.Arbitrary<Forgery> {
  const order = fc.array(fc.nat({ max: 3 }), { minLength: 1, maxLength: 6 });
  const separator = fc.constantFrom(".", ".", ".", "..", ",", " ");
  return fc
    .tuple(order, separator)
    .filter(([places, by]) => by !== "." || places.join() !== "0,1,2")
    .map(([places, by]) => ({
      what: `the parts ${places} with "${by}" between`,
      make(valid, { sign }) {
        const [, claims] = splitToken(sign({ sub: "5678" }));
        const parts = [...splitToken(valid), claims];
        return `Bearer ${places.map((place) => parts[place]).join(by)}`;
      },
    }));
}

/** Characters that do not belong into a token, inserted anywhere. */
function insertions(): fc.Arbitrary<Forgery> {
  const odd = fc.oneof(
    fc.constantFrom(" ", "\t", "\n", "\r\n", "\0", "=", "==", "+", "/", ".", "%2e", ",", ";", '"'),
    fc.constantFrom("\u00a0", "\u200b", "\ufeff", "\u202e", "\u212a", "\uff21", "\u0130", "é"),
    fc.string({ unit: "binary", minLength: 1, maxLength: 3 }),
  );
  return fc.tuple(fc.nat(), odd).map(([place, what]) => ({
    what: `${JSON.stringify(what)} put at ${place}`,
    make(valid) {
      const at = place % (valid.length + 1);
      return `Bearer ${valid.slice(0, at)}${what}${valid.slice(at)}`;
    },
  }));
}

function otherSchemes(): fc.Arbitrary<Forgery> {
  const scheme = fc.oneof(
    fc.constantFrom("", "Basic ", "Token ", "Bearer", "Bearer  ", "Bearer\t", " Bearer ", "JWT "),
    fc.constantFrom("Bearer Bearer ", "Bearer=", "Bearer: ", "\u0412earer ", "Be\u0430rer "),
    fc.string({ maxLength: 8 }).filter((text) => !/^bearer $/i.test(text)),
  );
  return scheme.map((before) => ({
    what: `${JSON.stringify(before)} before it`,
    make: (valid) => `${before}${valid}`,
  }));
}

function splitToken(token: string): string[] {
  return token.split(".");
}

function encode(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString("base64url");
}
