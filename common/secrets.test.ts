import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type Server } from "node:http";
import { after, before, describe, it } from "node:test";
import { ConfigError, loadConfig } from "./config.ts";
import { accessSecret } from "./secrets.ts";

const PASSWORD = "projects/${GOOGLE_CLOUD_PROJECT}/secrets/password/versions/latest";
const KEYS = "projects/${GOOGLE_CLOUD_PROJECT}/secrets/keys/versions/7";
const KEY = `me ${"0".repeat(64)} *:read`;
const LEAST = {
  GOOGLE_CLOUD_PROJECT: "somewhere",
  ACCESS: "public",
  MYSQL_URL: "mysql://user@localhost/db?socketPath=/cloudsql/${GOOGLE_CLOUD_PROJECT}:r:i",
};

describe("the secrets that the environment names", () => {
  /** What Secret Manager holds, by path; and who asked. */
  const held = new Map([
    ["/v1/projects/somewhere/secrets/password/versions/latest:access", "p@ss w0rd\n"],
    ["/v1/projects/somewhere/secrets/keys/versions/7:access", KEY],
  ]);
  const BROKEN = "projects/somewhere/secrets/broken/versions/1";
  const asked: string[] = [];
  let server: Server;
  let address: string;

  before(async () => {
    // The metadata server and Secret Manager in one.
    server = createServer((request, response) => {
      response.setHeader("Metadata-Flavor", "Google").setHeader("Content-Type", "application/json");
      if (request.url?.startsWith("/computeMetadata/"))
        return void response.end(
          request.url.includes("/token")
            ? JSON.stringify({ access_token: "token-of-the-instance", expires_in: 3600 })
            : "somewhere",
        );
      asked.push(`${request.headers.authorization} ${request.url}`);
      if (request.url?.includes("/broken/")) return void response.end("hidden");
      const text = held.get(request.url ?? "");
      if (text === undefined) response.statusCode = 403;
      const data = Buffer.from(text ?? "").toString("base64");
      response.end(
        JSON.stringify(text === undefined ? { secret: "of no use" } : { payload: { data } }),
      );
    }).listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as { port: number };
    address = `http://127.0.0.1:${port}`;
    // What Google's library reads, to find the metadata server of the machine it runs on.
    process.env.GCE_METADATA_HOST = `127.0.0.1:${port}`;
    process.env.METADATA_SERVER_DETECTION = "assume-present";
    delete process.env.GOOGLE_APPLICATION_CREDENTIALS;
    process.env.CLOUDSDK_CONFIG = "/nowhere";
  });
  after(() => server.close());

  const load = (env: Record<string, string>, name: "api" | "subscriber" = "api") =>
    loadConfig(name, { ...LEAST, ...env }, (version) => accessSecret(version, address));
  const findFault = async (env: Record<string, string>) =>
    load(env).then(
      () => assert.fail("it was usable"),
      (error) => {
        assert.ok(error instanceof ConfigError);
        return error.message;
      },
    );

  it("are read with the instance's own token, and every value may contain the project", async () => {
    asked.length = 0;
    const config = await load({ MYSQL_PASSWORD_SECRET: PASSWORD, API_KEYS_SECRET: KEYS });
    assert.equal(decodeURIComponent(config.MYSQL_URL.password), "p@ss w0rd");
    assert.equal(config.MYSQL_URL.searchParams.get("socketPath"), "/cloudsql/somewhere:r:i");
    assert.equal(config.API_KEYS[0]?.name, "me");
    assert.deepEqual(
      asked.toSorted(),
      [...held.keys()].map((path) => `Bearer token-of-the-instance ${path}`).toSorted(),
    );
  });

  it("are read only by the process that needs them, and only where they are named", async () => {
    asked.length = 0;
    await load({});
    assert.deepEqual(asked, []);
    const config = await load({ API_KEYS_SECRET: KEYS }, "subscriber");
    assert.deepEqual([asked, config.API_KEYS], [[], []]);
  });

  it("stop the start where one cannot be had, with its variable and the status", async () => {
    const other = PASSWORD.replace("password", "other");
    const fault = await findFault({ MYSQL_PASSWORD_SECRET: other });
    assert.match(fault, /- MYSQL_PASSWORD_SECRET cannot be read: Secret Manager answered 403\.$/);
  });

  it("stop the start where the response is no JSON, which is not quoted", async () => {
    const fault = await findFault({ MYSQL_PASSWORD_SECRET: BROKEN });
    assert.match(fault, /- MYSQL_PASSWORD_SECRET cannot be read: .* answered nothing usable\.$/);
    assert.doesNotMatch(fault, /hidden/);
  });

  it("are refused in another form, and beside the value itself", async () => {
    for (const wrong of ["p@ss", "projects/p/secrets/s", "projects/p/secrets/../versions/1"])
      assert.match(
        await findFault({ MYSQL_PASSWORD_SECRET: wrong }),
        /- MYSQL_PASSWORD_SECRET must be/,
      );
    assert.match(
      await findFault({ MYSQL_PASSWORD_SECRET: PASSWORD, MYSQL_PASSWORD: "x" }),
      /- MYSQL_PASSWORD and MYSQL_PASSWORD_SECRET are both set; only one may be\.$/,
    );
  });
});
