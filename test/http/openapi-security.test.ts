import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { after, before, describe, it } from "node:test";
import { Validator } from "@seriousme/openapi-schema-validator";
import { data } from "../../collections/data.ts";
import { teachers } from "../collections/teachers.ts";
import { createTestEnvironment, type TestEnvironment } from "../support/environment.ts";
import { createClient } from "../support/http.ts";
import { startIssuer } from "../support/issuer.ts";

type Alternative = Record<string, string[]>;
type Operation = { security: Alternative[] };
type Document = {
  paths: Record<string, Record<string, Operation>>;
  components: { securitySchemes: Record<string, Record<string, string>> };
};

const METHODS = ["get", "put", "post", "delete"];
const WRITE = "01968b3e-7c00-7000-8000-0123456789ab";
const SCOPES = ["data", "teachers", "*"].flatMap((name) => [`${name}:read`, `${name}:write`]);
const sha256 = (key: string) => createHash("sha256").update(key).digest("hex");
const API_KEYS = SCOPES.map((scope, place) => `k${place} ${sha256(scope)} ${scope}`).join("\n");

describe("the security of the OpenAPI document", () => {
  let environment: TestEnvironment;
  let issuer: Awaited<ReturnType<typeof startIssuer>>;

  before(async () => {
    environment = await createTestEnvironment({
      migrations: [new URL("../migrations/", import.meta.url)],
    });
    issuer = await startIssuer();
  });
  after(async () => {
    await environment.close();
    issuer.close();
  });

  for (const ACCESS of ["public", "public-reads", "keys"])
    it(`says of every operation who may, and the API answers so: ACCESS=${ACCESS}`, async () => {
      const env = { ACCESS, API_KEYS, OIDC_ISSUERS: issuer.variable({ scopeClaim: "scope" }) };
      const collections = [data, teachers];
      const api = createClient((await environment.startApi({ env, collections })).url);
      const document: Document = JSON.parse((await api.get("/openapi.json")).text);
      assert.equal((await new Validator().validate(structuredClone(document))).valid, true);
      assert.deepEqual(Object.keys(document.components.securitySchemes), ["apiKey", "test"]);
      assert.equal(
        document.components.securitySchemes.test?.openIdConnectUrl,
        `${issuer.issuer}/.well-known/openid-configuration`,
      );
      for (const [path, item] of Object.entries(document.paths))
        for (const method of METHODS) {
          const security = item[method]?.security;
          if (!item[method]) continue;
          assert.ok(security, `${method} ${path}`);
          const isRefused = async (authorization?: string) => {
            const filled = path.replace("{id}", "x").replace("{write}", WRITE);
            const headers: Record<string, string> = authorization ? { authorization } : {};
            const { status } = await api.send(method.toUpperCase(), filled, { headers });
            return status === 401 || status === 403;
          };
          const isOpen = security.length === 0 || security.some((one) => !Object.keys(one).length);
          assert.equal(await isRefused(), !isOpen, `${method} ${path} by anyone`);
          for (const scope of SCOPES) {
            // A scope for all collections is one for each.
            const names = (wanted = "") =>
              wanted === scope || `*:${wanted.split(":")[1]}` === scope;
            const permits = (scheme: string): boolean =>
              isOpen || security.some((one: Alternative) => one[scheme]?.some(names));
            const says = `${method} ${path} with ${scope}`;
            assert.equal(await isRefused(`Bearer ${scope}`), !permits("apiKey"), says);
            const token = issuer.sign({ scope });
            assert.equal(await isRefused(`Bearer ${token}`), !permits("test"), says);
          }
        }
    });
});
