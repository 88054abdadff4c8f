import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { after, before, describe, it } from "node:test";
import { deriveItemId } from "../../common/write-id.ts";
import { createTestEnvironment, type TestEnvironment } from "../support/environment.ts";
import { type Answer, assertProblem, createClient } from "../support/http.ts";
import { startIssuer } from "../support/issuer.ts";
import { until } from "../support/until.ts";

const KEY = "constancia_0123456789abcdef";
const API_KEYS = `robot ${createHash("sha256").update(KEY).digest("hex")} *:read *:write`;
const ITEM = { nombre: "x" };
const show = (credential: string) => ({ authorization: `Bearer ${credential}` });

describe("bearer tokens", () => {
  let environment: TestEnvironment;
  let issuer: Awaited<ReturnType<typeof startIssuer>>;

  before(async () => {
    environment = await createTestEnvironment();
    issuer = await startIssuer();
  });
  after(async () => {
    await environment.close();
    issuer.close();
  });

  const start = async (more: Record<string, unknown> = {}, env: Record<string, string> = {}) => {
    const OIDC_ISSUERS = issuer.variable(more);
    return createClient((await environment.startApi({ env: { OIDC_ISSUERS, ...env } })).url);
  };
  const assertRefused = (answer: Answer, detail: RegExp) => {
    assertProblem(answer, 401, "missing-key");
    assert.match(answer.body.detail, detail);
    const challenge = answer.headers.get("www-authenticate") ?? "";
    assert.match(challenge, /^Bearer realm="constancia", error="invalid_token", error_desc/);
  };

  it("let their callers write, and are needed to, as keys are", async () => {
    const api = await start({}, { API_KEYS });
    assertProblem(await api.post("/api/data", ITEM), 401, "missing-key");
    for (const credential of [issuer.sign(), KEY])
      assert.equal((await api.post("/api/data", ITEM, show(credential))).status, 202);
    assert.equal((await api.get("/api/data")).status, 200);
    const expired = Math.floor(Date.now() / 1_000) - 3_600;
    assertRefused(await api.get("/api/data", show(issuer.sign({ exp: expired }))), /has expired/);
    assertRefused(await api.get("/api/data", show("x")), /neither an API key nor a token/);
    const token = issuer.sign({}, { kid: "x" });
    assertRefused(await api.get("/api/data", show(`constancia_${token}`)), /API key is not valid/);
  });

  it("have the scopes of their claim, or else those of their issuer", async () => {
    const more = { scopes: ["data:read"], scopeClaim: "scope" };
    const api = await start(more, { ACCESS: "keys", METRICS: "on" });
    // biome-ignore format: a row a line
    const cases: [scope: unknown, reads: number, writes: number, metrics: number][] = [
      [undefined, 200, 403, 403],
      ["", 200, 403, 403],
      ["openid profile e-mail", 200, 403, 403],
      ["openid data:write", 403, 202, 403],
      ["*:read data:write operate", 200, 202, 200],
      [["data:write", 7, null, "*:operate"], 403, 202, 403],
      [[], 403, 403, 403],
      [["data:wrte"], 403, 403, 403],
      ["teachers:read teachers:write", 403, 403, 403],
      [7, 200, 403, 403],
      [{ "data:write": true }, 200, 403, 403],
    ];
    for (const [scope, ...expected] of cases) {
      const headers = show(issuer.sign({ scope }));
      const answers = [
        await api.get("/api/data", headers),
        await api.post("/api/data", ITEM, headers),
        await api.get("/metrics", headers),
      ];
      assert.deepEqual(
        answers.map(({ status }) => status),
        expected,
        JSON.stringify(scope),
      );
    }
    const unnamed = await start({ scopes: [] }, { ACCESS: "keys" });
    const answer = await unnamed.get("/api/data", show(issuer.sign({ scope: "*:read" })));
    assertProblem(answer, 403, "wrong-scope");
  });

  it("meet their own retries, and nobody else's, under one idempotency key", async () => {
    const api = await start({}, { API_KEYS, ACCESS: "public" });
    await environment.startSubscriber();
    const post = async (credential: string | undefined, nombre: string) => {
      const shown = credential === undefined ? {} : show(credential);
      const headers = { ...shown, "idempotency-key": "1", prefer: "wait=20" };
      const { status, body } = await api.post("/api/data", { nombre }, headers);
      return { status, id: body.id, nombre: body.nombre };
    };
    // A caller's second token is not its first.
    const callers: [string, () => string | undefined][] = [
      ["ana", () => issuer.sign({ jti: `${Math.random()}` })],
      ["robot", () => issuer.sign({ sub: "robot" })],
      ["test:ana", () => issuer.sign({ sub: "test:ana" })],
      ["a key", () => KEY],
      ["anyone", () => undefined],
    ];
    const first = [];
    for (const [name, sign] of callers) first.push(await post(sign(), name));
    for (const { status } of first) assert.equal(status, 201);
    assert.equal(new Set(first.map(({ id }) => id)).size, callers.length);
    for (const [place, [name, sign]] of callers.entries())
      assert.deepEqual(await post(sign(), name), { ...first[place], status: 200 });
    // Releases before tokens have derived the ids of these two so.
    const derive = (holder: string) => deriveItemId(["data", holder, "1", -1]);
    assert.deepEqual([first[3]?.id, first[4]?.id], [derive("robot"), derive("")]);
  });

  it("are counted by principal, and wrong ones by the client's address", async () => {
    const api = await start({}, { RATE_LIMIT_PER_MINUTE: "3" });
    const post = async (credential: string) =>
      (await api.post("/api/data", ITEM, show(credential))).status;
    const sign = (sub: string) => issuer.sign({ sub, jti: `${Math.random()}` });
    for (const sub of ["ana", "eva"]) {
      const statuses = [];
      for (let time = 0; time < 4; time += 1) statuses.push(await post(sign(sub)));
      assert.deepEqual(statuses, [202, 202, 202, 429], sub);
    }
    const wrong = [];
    for (let time = 0; time < 4; time += 1)
      wrong.push(await post(issuer.sign({ sub: `x${time}` }, { kid: "stranger" })));
    assert.deepEqual(wrong, [401, 401, 401, 429]);
    assert.equal(await post(sign("zoe")), 202);
  });

  it("are not verified where their address has sent many wrong ones, unless they are known", async () => {
    const env = { API_KEYS, RATE_LIMIT_PER_MINUTE: "3", CLIENT_ADDRESS: "appengine" };
    const api = await start({}, env);
    const post = (credential: string, address = "192.0.2.1") =>
      api.post("/api/data", ITEM, { ...show(credential), "x-appengine-user-ip": address });
    const known = issuer.sign({ sub: "known" });
    assert.equal((await post(known)).status, 202);
    const statuses: number[] = [];
    for (let time = 0; time < 6; time += 1)
      statuses.push((await post(issuer.sign({ sub: `x${time}` }, { kid: "stranger" }))).status);
    assert.deepEqual(statuses, [401, 401, 401, 429, 429, 429]);
    const fresh = issuer.sign({ sub: "fresh" });
    assertProblem(await post(fresh), 429, "too-many-requests");
    for (const credential of [known, KEY]) assert.equal((await post(credential)).status, 202);
    assert.equal((await post(fresh, "192.0.2.2")).status, 202);
    assert.equal((await post(fresh)).status, 202, "it is known now");
  });

  it("are refused with 503 while it is not known whether they are good, and hold up no one else", async () => {
    const known = await start({}, { API_KEYS });
    const good = issuer.sign();
    assert.equal((await known.post("/api/data", ITEM, show(good))).status, 202);
    issuer.state.isSilent = true;
    try {
      const unknown = await start({}, { API_KEYS });
      const waiting = unknown.post("/api/data", ITEM, show(good));
      // Answered while the first one waits.
      assert.equal((await unknown.post("/api/data", ITEM, show(KEY))).status, 202);
      const another = issuer.sign({ sub: "eva" });
      assert.equal((await known.post("/api/data", ITEM, show(another))).status, 202);
      const answer = await waiting;
      assertProblem(answer, 503, "unavailable");
      assert.match(answer.headers.get("retry-after") ?? "", /^\d+$/);
      issuer.state.isSilent = false;
      await until(
        "the issuer's keys are fetched again",
        async () => (await unknown.post("/api/data", ITEM, show(good))).status === 202,
      );
    } finally {
      issuer.state.isSilent = false;
    }
  });

  it("are never logged, neither good nor wrong ones", async () => {
    const env = { OIDC_ISSUERS: issuer.variable(), LOG_FORMAT: "json", LOG_LEVEL: "debug" };
    const api = await environment.spawn("api", env);
    const client = createClient(api.url);
    const good = issuer.sign();
    const wrong = issuer.sign({ aud: "another" });
    assert.equal((await client.post("/api/data", ITEM, show(wrong))).status, 401);
    const { body } = await client.post("/api/data", ITEM, show(good));
    await until("the write is logged", () => api.output().includes(body.write));
    await api.end();
    for (const token of [good, wrong])
      for (const part of token.split(".")) assert.ok(!api.output().includes(part.slice(0, 30)));
  });
});
