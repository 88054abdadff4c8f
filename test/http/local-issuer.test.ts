import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { LIFETIME_SECONDS } from "../../local/issuer/signer.ts";
import { type LocalIssuer, startIssuer } from "../../local/issuer.ts";
import { findAnyPort } from "../../local/ports.ts";
import { findBarriers, findMissingBrowser, openBrowser } from "../support/browser.ts";
import { createTestEnvironment, type TestEnvironment } from "../support/environment.ts";
import { type Client, createClient } from "../support/http.ts";
import { until } from "../support/until.ts";

const CLIENT = "some-client";
const REDIRECT = "http://localhost:5173/done?kept=1";
const skip = await findMissingBrowser(console.log);
type Params = Record<string, string>;

describe("the local issuer", () => {
  const folder = mkdtempSync(join(tmpdir(), "issuer-"));
  const logFile = join(folder, "log");
  const readPrinted = () => readFileSync(logFile, "utf8");
  let environment: TestEnvironment;
  let issuer: LocalIssuer;
  let api: Client;
  let port: number;

  const startOne = async () => {
    const started = await startIssuer({ port, folder, logFile });
    await until("the issuer answers", () =>
      fetch(`${started.url}/keys`).then(
        ({ ok }) => ok,
        () => false,
      ),
    );
    return started;
  };
  const show = (token = "") => ({ authorization: `Bearer ${token}` });
  const post = (path: string, fields: Params) =>
    fetch(issuer.url + path, {
      method: "POST",
      body: new URLSearchParams(fields),
      redirect: "manual",
    });
  /** The one-time code that was printed last for an e-mail. */
  const findCode = async (email: string) => {
    const pattern = new RegExp(`code for ${email} is (\\d{6})`, "g");
    const list = () => [...readPrinted().matchAll(pattern)].map(([, code = ""]) => code);
    await until("the code is printed", () => list().length > 0);
    return list().at(-1) as string;
  };

  before(async () => {
    environment = await createTestEnvironment();
    port = await findAnyPort();
    issuer = await startOne();
    const env = { OIDC_ISSUERS: issuer.OIDC_ISSUERS, METRICS: "on" };
    api = createClient((await environment.startApi({ env })).url);
  });
  after(async () => {
    await environment.close();
    await issuer.process.stop();
    rmSync(folder, { recursive: true });
  });

  /** Begins a login as a client does; the hidden id of the form. */
  async function begin(more: Params = {}) {
    const verifier = randomBytes(32).toString("base64url");
    const query = new URLSearchParams({
      ...{ response_type: "code", client_id: CLIENT, redirect_uri: REDIRECT, state: "s&t" },
      ...{ scope: "openid", nonce: "n", code_challenge_method: "S256" },
      code_challenge: createHash("sha256").update(verifier).digest("base64url"),
      ...more,
    });
    const page = await fetch(`${issuer.url}/authorize?${query}`, { redirect: "manual" });
    const html = await page.text();
    const login = /name="login" value="([^"]+)"/.exec(html)?.[1] ?? "";
    return { verifier, page, html, login };
  }

  /** A whole login; what the client gets for the code in the address that it is sent to. */
  async function logIn(email: string, more: Params = {}) {
    const { verifier, login } = await begin(more);
    await post("/email", { login, email });
    const sent = await post("/code", { login, code: await findCode(email.toLowerCase()) });
    assert.equal(sent.status, 303);
    const address = new URL(sent.headers.get("location") ?? "");
    const code = address.searchParams.get("code") ?? "";
    const fields = { grant_type: "authorization_code", client_id: CLIENT, redirect_uri: REDIRECT };
    const redeem = async (changes: Params = {}) => {
      const answer = await post("/token", { ...fields, code, code_verifier: verifier, ...changes });
      return {
        status: answer.status,
        headers: answer.headers,
        body: (await answer.json()) as Params,
      };
    };
    return { address, redeem };
  }

  const readClaims = (token = "") =>
    JSON.parse(Buffer.from(token.split(".")[1] ?? "", "base64url").toString());

  it("logs a client's user in, whose token the API takes", async () => {
    const found = await fetch(`${issuer.url}/.well-known/openid-configuration`);
    const configuration = (await found.json()) as Params;
    assert.equal(configuration.issuer, issuer.url);
    assert.equal(configuration.token_endpoint, `${issuer.url}/token`);
    const { address, redeem } = await logIn("Ana@Example.com");
    assert.equal(address.origin + address.pathname, "http://localhost:5173/done");
    const { kept, state, iss } = Object.fromEntries(address.searchParams);
    assert.deepEqual([kept, state, iss], ["1", "s&t", issuer.url]);
    const { status, headers, body } = await redeem();
    assert.equal(status, 200);
    assert.equal(headers.get("cache-control"), "no-store");
    assert.equal(headers.get("access-control-allow-origin"), "*");
    assert.deepEqual([body.token_type, body.expires_in], ["Bearer", LIFETIME_SECONDS]);
    const { aud, nonce, email, sub } = readClaims(body.id_token);
    assert.deepEqual([aud, nonce, email], [CLIENT, "n", "ana@example.com"]);
    assert.equal(readClaims(body.access_token).sub, sub);
    assert.equal((await api.post("/api/data", { nombre: "x" })).status, 401);
    const written = await api.post("/api/data", { nombre: "x" }, show(body.access_token));
    assert.equal(written.status, 202);
    // The ID token is the client's, not the API's.
    assert.equal((await api.post("/api/data", {}, show(body.id_token))).status, 401);
    const again = await (await logIn("ana@example.com")).redeem();
    assert.equal(readClaims(again.body.access_token).sub, sub, "the same person");
    const other = await (await logIn("eva@example.com")).redeem();
    assert.notEqual(readClaims(other.body.access_token).sub, sub);
  });

  it("gives the scopes that a client asks for", async () => {
    const limited = await (await logIn("ana@example.com", { scope: "data:read operate" })).redeem();
    assert.equal(limited.body.id_token, undefined);
    const headers = show(limited.body.access_token);
    assert.equal((await api.post("/api/data", { nombre: "x" }, headers)).status, 403);
    assert.equal((await api.get("/metrics", headers)).status, 200);
  });

  it("gives the scopes that are typed into its own page", async () => {
    const html = await (await fetch(issuer.url)).text();
    assert.match(html, /name="scope" [^>]*value="\*:read \*:write"/);
    const [, login = ""] = /name="login" value="([^"]+)"/.exec(html) ?? [];
    await post("/email", { login, email: "op@example.com", scope: "*:write-any operate" });
    const sent = await post("/code", { login, code: await findCode("op@example.com") });
    const done = await (await fetch(sent.headers.get("location") ?? "")).text();
    const [, token = ""] = /<textarea[^>]*>([^<]+)</.exec(done) ?? [];
    assert.equal(readClaims(token).scope, "*:write-any operate");
    assert.equal((await api.get("/metrics", show(token))).status, 200);
  });

  it("redeems a code once, for the client that asked, with its verifier", async () => {
    for (const changes of [
      { client_id: "another" },
      { redirect_uri: "http://localhost:5173/other" },
      { code_verifier: "x".repeat(43) },
      { code_verifier: "" },
      { code: "x" },
    ] as Params[]) {
      const { redeem } = await logIn("ana@example.com");
      const refused = await redeem(changes);
      assert.deepEqual([refused.status, refused.body], [400, { error: "invalid_grant" }]);
    }
    const { redeem } = await logIn("ana@example.com");
    assert.equal((await redeem({ grant_type: "password" })).body.error, "unsupported_grant_type");
    assert.equal((await redeem()).status, 200);
    assert.equal((await redeem()).status, 400, "a second time");
  });

  it("refuses a login without PKCE, another answer than a code, and another machine", async () => {
    for (const [more, error] of [
      [{ code_challenge: "" }, "invalid_request"],
      [{ code_challenge_method: "plain" }, "invalid_request"],
      [{ response_type: "token" }, "unsupported_response_type"],
    ] as [Params, string][]) {
      const { page } = await begin(more);
      const address = new URL(page.headers.get("location") ?? "");
      assert.equal(address.searchParams.get("error"), error);
      assert.equal(address.searchParams.get("state"), "s&t");
    }
    for (const redirect_uri of ["https://example.com/", "http://localhost.example.com", "x", ""]) {
      const { page } = await begin({ redirect_uri });
      assert.deepEqual([page.status, page.headers.get("location")], [400, null], redirect_uri);
    }
    for (const client_id of ["", "constancia-local"])
      assert.equal((await begin({ client_id })).page.status, 400);
  });

  it("ends a login after five wrong codes, and writes nothing into its pages unescaped", async () => {
    const { login } = await begin();
    await post("/email", { login, email: "guess@example.com" });
    const right = await findCode("guess@example.com");
    const wrong = right === "000000" ? "000001" : "000000";
    for (let time = 1; time <= 5; time += 1) {
      const answer = await post("/code", { login, code: wrong });
      assert.equal(answer.status, 400);
      assert.match(await answer.text(), time < 5 ? /role="alert">This is not/ : /has ended/);
    }
    assert.equal((await post("/code", { login, code: right })).status, 400);
    const injected = await (await post("/code", { login: '"><script>', code: "1" })).text();
    assert.ok(!injected.includes("<script>"));
    const { login: other } = await begin();
    const page = await post("/email", { login: other, email: "a\u001b[0m@example.com" });
    assert.equal(page.status, 200);
    await until("the e-mail is printed", () => readPrinted().includes("a?[0m@example.com"));
  });

  it("keeps its key over a restart, for nobody else to read, and makes one where it is removed", async () => {
    const { body } = await (await logIn("ana@example.com")).redeem();
    const file = join(folder, "key.json");
    assert.equal(statSync(file).mode & 0o777, 0o600);
    const read = async () =>
      ((await (await fetch(`${issuer.url}/keys`)).json()) as { keys: Params[] }).keys;
    const [key, ...others] = await read();
    assert.ok(key && !("d" in key) && others.length === 0);
    await issuer.process.stop();
    issuer = await startOne();
    assert.deepEqual(await read(), [key]);
    const again = createClient(
      (await environment.startApi({ env: { OIDC_ISSUERS: issuer.OIDC_ISSUERS } })).url,
    );
    const headers = show(body.access_token);
    assert.equal((await again.post("/api/data", { nombre: "x" }, headers)).status, 202);
    await issuer.process.stop();
    rmSync(file);
    issuer = await startOne();
    assert.notEqual((await read())[0]?.kid, key.kid);
    const rotated = createClient(
      (await environment.startApi({ env: { OIDC_ISSUERS: issuer.OIDC_ISSUERS } })).url,
    );
    assert.equal((await rotated.post("/api/data", { nombre: "x" }, headers)).status, 401);
  });

  it("has pages that need no mouse, with labels, and that anyone can read", { skip }, async () => {
    const browser = await openBrowser(console.log);
    try {
      const { page, assertClean } = await browser.visit(issuer.url);
      assert.deepEqual(await findBarriers(page), []);
      await page.keyboard.type("keys@example.com");
      await page.keyboard.press("Enter");
      await page.getByLabel("One-time code").waitFor();
      assert.deepEqual(await findBarriers(page), []);
      await page.keyboard.type("wrong");
      await page.keyboard.press("Enter");
      await page.getByRole("alert").getByText("This is not the code.").waitFor();
      assert.deepEqual(await findBarriers(page), []);
      await page.keyboard.type(await findCode("keys@example.com"));
      await page.keyboard.press("Enter");
      const token = await page.getByLabel("Token").inputValue();
      assert.deepEqual(await findBarriers(page), []);
      assert.equal(readClaims(token).email, "keys@example.com");
      assertClean([400]);
    } finally {
      await browser.close();
    }
  });
});
