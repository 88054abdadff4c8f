import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import { type CryptoKey, errors, type FlattenedJWSInput } from "jose";
import { SIGNING_KEYS } from "../../common/limits.ts";
import type { Logger } from "../../common/telemetry/logger.ts";
import { startIssuer } from "../../test/support/issuer.ts";
import { until } from "../../test/support/until.ts";
import { createFindKey, KeysUnavailable } from "./signing-keys.ts";

const FOREVER = Number.POSITIVE_INFINITY;
/** A deadline that an issuer which answers keeps, on a busy machine, too. */
const ANSWERED_MS = 3_000;

describe("the keys of an issuer", () => {
  const logged: unknown[] = [];
  const logger = { warn: (...line: unknown[]) => logged.push(line) } as unknown as Logger;
  let stop: AbortController;
  let issuer: Awaited<ReturnType<typeof startIssuer>>;

  beforeEach(async () => {
    stop = new AbortController();
    logged.length = 0;
    issuer = await startIssuer();
  });
  afterEach(() => {
    stop.abort();
    issuer.close();
  });

  /** Resolves to the id of the key that is found. */
  const create = (limits: Partial<typeof SIGNING_KEYS> = {}, address = issuer.issuer) => {
    const find = createFindKey({
      ...{ name: "test", issuer: address, logger, stop: stop.signal },
      limits: { ...SIGNING_KEYS, ...limits },
    });
    return async (kid: string | undefined) => {
      const key = await find({ alg: "RS256", kid }, {} as FlattenedJWSInput);
      return (key as CryptoKey).algorithm.name;
    };
  };
  const FOUND = "RSASSA-PKCS1-v1_5";
  const refusesKey = (work: Promise<unknown>) => assert.rejects(work, errors.JWKSNoMatchingKey);
  const isUnavailable = (work: Promise<unknown>) => assert.rejects(work, KeysUnavailable);

  it("are fetched once for all who need them, and not before", async () => {
    const find = create();
    assert.equal(issuer.state.requests, 0);
    const all = await Promise.all(Array.from({ length: 50 }, () => find("first")));
    assert.deepEqual(new Set(all), new Set([FOUND]));
    assert.equal(await find("first"), FOUND);
    assert.equal(await find(undefined), FOUND, "a token need not name the only key");
    assert.equal(issuer.state.requests, 2, "the configuration and the keys");
  });

  it("are fetched again for a key that is unknown, not more often than the pause allows", async () => {
    const find = create({ coolDownMs: 0 });
    assert.equal(await find("first"), FOUND);
    issuer.rotate();
    assert.equal(await find("first+"), FOUND);
    await refusesKey(find("first"));
    const paused = create({ coolDownMs: FOREVER });
    assert.equal(await paused("first+"), FOUND);
    const before = issuer.state.requests;
    await Promise.all(Array.from({ length: 50 }, (_, place) => refusesKey(paused(`x${place}`))));
    assert.equal(issuer.state.requests, before);
  });

  it("are used for as long as an issuer does not answer, up to a day", async () => {
    const find = create({ freshMs: 0, coolDownMs: 0, retryMs: 0, deadlineMs: 600_000 });
    assert.equal(await find("first"), FOUND);
    issuer.state.isSilent = true;
    // Each of these has found the keys old; none waits for the fetch, which does not end.
    for (let time = 0; time < 5; time += 1) assert.equal(await find("first"), FOUND);
    await until("one fetch is under way", () => issuer.state.requests === 3);
    const strict = create({ staleMs: 0, deadlineMs: 50 });
    await isUnavailable(strict("first"));
  });

  it("that nobody knows are waited for until the deadline, and then it is not known", async () => {
    const find = create({ coolDownMs: 0, deadlineMs: ANSWERED_MS, retryMs: FOREVER });
    assert.equal(await find("first"), FOUND);
    issuer.state.isSilent = true;
    await Promise.all([isUnavailable(find("x")), isUnavailable(find("y"))]);
    const { requests } = issuer.state;
    await isUnavailable(find("x"));
    assert.equal(issuer.state.requests, requests, "the pause holds after a failure, too");
    assert.equal(await find("first"), FOUND);
    assert.deepEqual(logged, [
      ["the keys of an issuer cannot be fetched", { issuer: "test", cause: "TimeoutError" }],
    ]);
  });

  it("are waited for until the deadline that is set", async () => {
    issuer.state.isSilent = true;
    const fail = (deadlineMs: number) =>
      assert.rejects(create({ deadlineMs })("first")).then(() => deadlineMs);
    assert.equal(await Promise.race([fail(4_000), fail(50)]), 50);
  });

  it("are fetched after a failure, once the issuer answers again", async () => {
    const find = create({ retryMs: 0, deadlineMs: ANSWERED_MS });
    issuer.state.isSilent = true;
    await isUnavailable(find("first"));
    issuer.state.isSilent = false;
    assert.equal(await find("first"), FOUND);
  });

  it("are taken neither from elsewhere nor in another form, and the log quotes none of it", async () => {
    const { state } = issuer;
    const cases: [lie: () => void, cause: RegExp][] = [
      [() => (state.configuration = { issuer: "https://example.com" }), /another issuer/],
      [() => (state.configuration = { jwks_uri: "http://example.com/keys" }), /not https/],
      [() => (state.configuration = { jwks_uri: "file:///etc/passwd" }), /not https/],
      [() => (state.configuration = { jwks_uri: undefined }), /not https/],
      [() => (state.configuration = { x: "secret".repeat(20_000) }), /more than 65536 bytes/],
      [() => (state.body = "[]"), /did not answer a JSON object/],
      [() => (state.body = "secret"), /^SyntaxError$/],
      [() => (state.body = "{}"), /another issuer/],
      [() => (state.keys = { keys: "secret" }), /ERR_JWKS_INVALID/],
      [() => (state.keys = {}), /ERR_JWKS_INVALID/],
      [() => (state.status = 500), /it answered 500/],
      [() => (state.status = 302), /TypeError|fetch/],
    ];
    for (const [lie, cause] of cases) {
      Object.assign(state, { configuration: {}, body: undefined, keys: undefined, status: 200 });
      lie();
      logged.length = 0;
      await isUnavailable(create()("first"));
      const [[, fields]] = logged as [[string, { cause: string }]];
      assert.match(fields.cause, cause);
      assert.ok(!fields.cause.includes("secret"));
    }
    const unreachable = create({}, "http://127.0.0.1:1");
    await isUnavailable(unreachable("first"));
  });
});
