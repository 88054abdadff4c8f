import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import type { Request, Response } from "express";
import fc from "fast-check";
import { createVerify, identifyCaller } from "../../api/request/credentials.ts";
import { createKeyring } from "../../api/request/keyring.ts";
import { readConfig } from "../../common/config.ts";
import { TOKENS } from "../../common/limits.ts";
import type { Logger } from "../../common/telemetry/logger.ts";
import { forgeries, type WrongClaims } from "../../proof/fuzz/forged-tokens.ts";
import { AUDIENCE, signText, startIssuer } from "../support/issuer.ts";
import { createTestLogger } from "../support/logger.ts";

const FORGED = Number(process.env.FORGED_TOKENS || 10_000);
const SEED = Number(process.env.FUZZ_SEED || 1);
/** As API_KEYS needs one; it is no one's. */
const API_KEYS = `nobody ${"0".repeat(64)} *:read`;

type Issuer = Awaited<ReturnType<typeof startIssuer>>;

describe("a caller's token", () => {
  const stop = new AbortController();
  let issuer: Issuer;
  let logger: Logger;
  let identify: ReturnType<typeof createOne>;

  const createOne = (more: Record<string, unknown> = {}) => {
    const env = {
      ...{ GOOGLE_CLOUD_PROJECT: "p", MYSQL_URL: "mysql://u@h/d", PUBSUB_EMULATOR_HOST: "h" },
      ...{ API_KEYS, OIDC_ISSUERS: issuer.variable(more), RATE_LIMIT_PER_MINUTE: "0" },
    };
    const config = readConfig(env, "api");
    const options = { logger, stop: stop.signal };
    const keyring = createKeyring(config, options);
    const [handler] = identifyCaller(config, keyring, createVerify(config.OIDC_ISSUERS, options));
    /** The principal that is identified, or the sentence of the refusal. */
    return async (authorization: string) => {
      const { promise, resolve } = Promise.withResolvers<unknown>();
      const response = { locals: {} } as Response;
      handler?.({ headers: { authorization }, socket: {} } as Request, response, resolve);
      assert.equal(await promise, undefined);
      const { caller, refusal } = response.locals;
      assert.ok(!caller || !refusal);
      return caller ? caller.principal : `${refusal?.status} ${refusal?.message}`;
    };
  };

  before(async () => {
    logger = await createTestLogger();
    issuer = await startIssuer();
    identify = createOne();
  });
  after(() => {
    stop.abort();
    issuer.close();
  });

  it(`is refused in each of ${FORGED} forgeries, and taken as it was signed`, async () => {
    const valid = issuer.sign();
    // It is known from here on, so that what is remembered is put to the test, too.
    assert.equal(await identify(`Bearer ${valid}`), "test:ana");
    const tried = new Set<string>();
    const all = fc.oneof(
      { weight: 4, arbitrary: forgeries(wrongClaims(issuer.issuer)) },
      { weight: 1, arbitrary: oddities(issuer) },
    );
    await fc.assert(
      fc.asyncProperty(all, async ({ what, make }) => {
        const authorization = make(valid, issuer);
        // The scheme may be followed by any number of spaces (RFC 7235, section 2.1).
        fc.pre(!/^bearer +/i.test(authorization) || authorization.trim().split(/ +/)[1] !== valid);
        fc.pre(!tried.has(authorization));
        tried.add(authorization);
        const answer = await identify(authorization);
        assert.match(answer, /^401 /, what);
        assert.ok(!answer.includes(valid.slice(0, 20)), answer);
      }),
      { numRuns: FORGED, seed: SEED, endOnFailure: true, maxSkipsPerRun: 100 },
    );
    assert.equal(tried.size, FORGED);
    assert.equal(await identify(`Bearer ${valid}`), "test:ana");
    assert.equal(await createOne()(`Bearer ${valid}`), "test:ana");
  });

  it("is itself in one spelling only, though the last character has bits to spare", async () => {
    const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    const valid = issuer.sign();
    const answers = new Map<string, string>();
    for (const letter of letters)
      answers.set(letter, await identify(`Bearer ${valid.slice(0, -1)}${letter}`));
    const taken = [...answers].filter(([, answer]) => answer === "test:ana");
    assert.deepEqual(taken, [[valid.at(-1), "test:ana"]]);
  });

  it("may be early or late by the tolerance, and says by which claim it is refused", async () => {
    const now = () => Math.floor(Date.now() / 1_000);
    const { clockToleranceSeconds: most } = TOKENS;
    const cases: [claims: Record<string, unknown>, answer: string][] = [
      [{ exp: now() - most + 30 }, "test:ana"],
      [{ exp: now() - most - 1 }, "401 The token has expired."],
      [{ nbf: now() + most - 30 }, "test:ana"],
      [{ nbf: now() + most + 30 }, "401 The token's claim nbf is not valid here."],
      [{ aud: "another" }, "401 The token's claim aud is not valid here."],
      [{ aud: ["another", AUDIENCE] }, "test:ana"],
      [{ iss: "https://example.com" }, "401 The token is of an unknown issuer."],
    ];
    for (const [claims, answer] of cases)
      assert.equal(await identify(`Bearer ${issuer.sign(claims)}`), answer, JSON.stringify(claims));
  });

  it("has a principal of at most 255 visible ASCII characters", async () => {
    const longest = "s".repeat(TOKENS.principalCharacters - "test:".length);
    assert.equal(await identify(`Bearer ${issuer.sign({ sub: longest })}`), `test:${longest}`);
    for (const sub of [`${longest}s`, "", "a b", "é", "a\n", 7, null, undefined, ["ana"]])
      assert.match(await identify(`Bearer ${issuer.sign({ sub })}`), /^401 /, JSON.stringify(sub));
  });
});

/** Signed by the issuer, and not for us, not now, or of nobody. */
function wrongClaims(issuer: string): WrongClaims {
  const nowSeconds = () => Math.floor(Date.now() / 1_000);
  const far = fc.integer({ min: TOKENS.clockToleranceSeconds + 60, max: 10_000_000 });
  const audience = fc.oneof(
    fc.string(),
    fc.constantFrom(`${AUDIENCE}/`, AUDIENCE.toUpperCase(), ` ${AUDIENCE}`, AUDIENCE.slice(0, -1)),
    fc.constantFrom<unknown>(undefined, null, [], {}, 0, ["x", [AUDIENCE]], { 0: AUDIENCE }),
  );
  const address = fc.oneof(
    fc.webUrl(),
    fc.constantFrom(`${issuer}/`, issuer.toUpperCase(), `${issuer}.example.com`, ""),
    fc.constantFrom<unknown>(undefined, null, [issuer], {}, true),
  );
  const subject = fc.oneof(
    fc.string({ minLength: TOKENS.principalCharacters, maxLength: 400 }),
    fc.constantFrom("", " ", "a b", "\u0000", "Ana\u00eda", "\u0430na", "ana\r\n"),
    fc.constantFrom<unknown>(undefined, null, [], ["ana"], {}, 0, true),
  );
  const time = fc.constantFrom<unknown>(undefined, null, "x", [], Number.NaN, "9999999999", true);
  return {
    audience: audience.filter((aud) => aud !== AUDIENCE).map((aud) => () => ({ aud })),
    issuer: address.map((iss) => () => ({ iss })),
    subject: subject.map((sub) => () => ({ sub })),
    expired: far.map((ago) => () => ({ iat: nowSeconds() - ago - 3_600, exp: nowSeconds() - ago })),
    early: far.map((to) => () => ({ nbf: nowSeconds() + to })),
    timeless: time.map((exp) => () => ({ exp })),
    "not yet of a time": time.filter((nbf) => nbf !== undefined).map((nbf) => () => ({ nbf })),
  };
}

/** Signed by the issuer, in ways that a JWT cannot be, or not as ours. */
function oddities(issuer: Issuer): ReturnType<typeof forgeries> {
  const header = (more: object) => ({ alg: "RS256", kid: issuer.kid, typ: "JWT", ...more });
  const byHeader = fc
    .constantFrom<object>(
      { crit: ["exp"], exp: 1 },
      { crit: [] },
      { crit: ["b64"], b64: false },
      { crit: ["b64"], b64: true },
      { crit: "x" },
      { b64: false },
      { typ: "logout+jwt" },
      { typ: "secevent+jwt" },
      { typ: 5 },
      { typ: null },
      { kid: "another" },
      { kid: null },
      { kid: 7 },
      { kid: ["first"] },
      { alg: "none" },
      { alg: "RS384" },
      { alg: ["RS256"] },
      { alg: null },
    )
    .map((more) => ({
      what: `a header with ${JSON.stringify(more)}`,
      header: JSON.stringify(header(more)),
    }));
  const twice = fc.constantFrom("iss", "sub", "aud", "exp", "\\u0073ub", "scope").map((name) => ({
    what: `the claim ${name} twice`,
    more: `,"${name}":1,"${name}":2`,
  }));
  const twiceInHeader = fc.constantFrom("alg", "kid", "typ").map((name) => ({
    what: `the header ${name} twice`,
    header: `{"${name}":"none",${JSON.stringify(header({})).slice(1)}`,
  }));
  const huge = fc.integer({ min: TOKENS.bytes, max: 3 * TOKENS.bytes }).map((size) => ({
    what: `${size} bytes more`,
    more: `,"x":"${"x".repeat(size)}"`,
  }));
  const payload = fc
    .oneof(
      fc.constantFrom("", "null", "[]", "7", '"x"', "{", "{}}", "\ufeff{}", "{'sub':1}"),
      fc.json({ maxDepth: 1 }),
    )
    .map((text) => ({ what: `the payload ${text}`, payload: text }));
  type Oddity = { what: string; header?: string; more?: string; payload?: string };
  const salt = fc.nat();
  return fc
    .tuple(fc.oneof<fc.Arbitrary<Oddity>[]>(byHeader, twice, twiceInHeader, huge, payload), salt)
    .map(([oddity, jti]) => ({
      what: oddity.what,
      make(valid, { keys }) {
        const claims = Buffer.from(valid.split(".")[1] ?? "", "base64url").toString();
        const whole = `{"jti":"${jti}",${claims.slice(1, -1)}${oddity.more ?? ""}}`;
        const text = oddity.header ?? JSON.stringify(header({}));
        return `Bearer ${signText(text, oddity.payload ?? whole, keys.privateKey)}`;
      },
    }));
}
