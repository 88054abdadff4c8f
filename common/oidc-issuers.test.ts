import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { readConfig } from "./config.ts";
import { oidcIssuers } from "./oidc-issuers.ts";

const GOOGLE = {
  name: "google",
  issuer: "https://securetoken.google.com/some-project",
  audience: "some-project",
  algorithms: ["RS256"],
};
const read = (...issuers: unknown[]) => oidcIssuers.safeParse(JSON.stringify(issuers));

describe("the issuers", () => {
  it("are read with their defaults, and with the project's id filled in", () => {
    assert.deepEqual(read(GOOGLE).data, [
      { ...GOOGLE, audience: ["some-project"], scopes: new Set() },
    ]);
    const full = {
      ...GOOGLE,
      audience: ["a", "b"],
      scopes: ["*:read", "operate"],
      scopeClaim: "scp",
    };
    assert.deepEqual(read(full).data, [{ ...full, scopes: new Set(full.scopes) }]);
    assert.deepEqual(oidcIssuers.parse(""), []);
    const issuers = [
      { ...GOOGLE, issuer: "https://securetoken.google.com/${GOOGLE_CLOUD_PROJECT}" },
    ];
    const env = {
      GOOGLE_CLOUD_PROJECT: "p",
      MYSQL_URL: "mysql://u@h/d",
      ACCESS: "public-reads",
    };
    const config = readConfig({ ...env, OIDC_ISSUERS: JSON.stringify(issuers) }, "api");
    assert.equal(config.OIDC_ISSUERS[0]?.issuer, "https://securetoken.google.com/p");
  });

  it("are refused with the place of what is wrong, and without its value", () => {
    const wrong: [unknown[], RegExp][] = [
      [["s3cret"], /: 0 /],
      [[{ ...GOOGLE, name: "key" }], /: 0\.name must not be key$/],
      [[{ ...GOOGLE, name: "s3cret:x" }], /: 0\.name /],
      [[{ ...GOOGLE, issuer: "http://s3cret.example.com" }], /: 0\.issuer must be https, except/],
      [[{ ...GOOGLE, issuer: "s3cret" }], /: 0\.issuer /],
      [[GOOGLE, { ...GOOGLE, name: "other" }], /must not have one name or issuer twice$/],
      [
        [GOOGLE, { ...GOOGLE, issuer: "https://x.example" }],
        /must not have one name or issuer twice$/,
      ],
      [[{ ...GOOGLE, audience: "" }], /: 0\.audience /],
      [[{ ...GOOGLE, audience: [] }], /: 0\.audience /],
      [[{ ...GOOGLE, audience: undefined }], /: 0\.audience /],
      [[{ ...GOOGLE, algorithms: undefined }], /: 0\.algorithms /],
      [[{ ...GOOGLE, algorithms: [] }], /: 0\.algorithms /],
      ...["none", "HS256", "RSA1_5", "dir", "rs256"].map((algorithm): [unknown[], RegExp] => [
        [{ ...GOOGLE, algorithms: ["RS256", algorithm] }],
        /: 0\.algorithms\.1 /,
      ]),
      [[{ ...GOOGLE, scopes: ["read"] }], /: 0\.scopes\.0 must be X:read/],
      [[{ ...GOOGLE, scope: "*:read" }], /: 0 /],
      [
        Array.from({ length: 11 }, (_, place) => ({
          ...GOOGLE,
          name: `n${place}`,
          issuer: `https://i${place}.example`,
        })),
        /: {2}/,
      ],
    ];
    for (const [issuers, sentence] of wrong) {
      const [{ message = "" } = {}] = read(...issuers).error?.issues ?? [];
      assert.match(message, sentence, JSON.stringify(issuers));
      assert.match(message, /^must be a JSON array of /);
      assert.ok(!message.includes("s3cret"), message);
    }
    for (const text of ["s3cret", "{}", "null", '"s3cret"'])
      assert.match(
        oidcIssuers.safeParse(text).error?.issues[0]?.message ?? "",
        /^must be a JSON array/,
      );
  });

  it("may be on this machine, without https, only in development", () => {
    for (const host of ["localhost", "127.0.0.1", "[::1]"])
      assert.equal(read({ ...GOOGLE, issuer: `http://${host}:9000` }).success, true, host);
    for (const host of ["localhost.example.com", "127.0.0.2", "0.0.0.0", "[::2]"])
      assert.equal(read({ ...GOOGLE, issuer: `http://${host}:9000` }).success, false, host);
    const OIDC_ISSUERS = JSON.stringify([{ ...GOOGLE, issuer: "http://localhost:9000" }]);
    const env = { GOOGLE_CLOUD_PROJECT: "p", MYSQL_URL: "mysql://u@h/d", OIDC_ISSUERS };
    assert.throws(() => readConfig(env, "api"), /http issuer only with PUBSUB_EMULATOR_HOST/);
    assert.doesNotThrow(() => readConfig({ ...env, PUBSUB_EMULATOR_HOST: "h:1" }, "api"));
  });
});
