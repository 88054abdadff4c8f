import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { describe, it } from "node:test";
import { ConfigError, describeVariables, readConfig, stripsCronHeader } from "./config.ts";
import { RATE_LIMIT_PER_MINUTE } from "./limits.ts";
import { VARIABLES } from "./variables.ts";

const LEAST = {
  GOOGLE_CLOUD_PROJECT: "project",
  MYSQL_URL: "mysql://user:p%40ss@db.example:3307/constancia",
  ACCESS: "public",
};
const DEVELOPMENT = { ...LEAST, ACCESS: "", PUBSUB_EMULATOR_HOST: "127.0.0.1:8085" };
const PUSH = {
  ...LEAST,
  DELIVERY: "push",
  PUSH_AUDIENCE: "https://subscriber.example/push",
  PUSH_SERVICE_ACCOUNT: "pusher@example.iam.gserviceaccount.com",
};
const SHA256 = "0".repeat(64);
const OTHER_SHA256 = "1".repeat(64);

/** The faults, a line each, that reading this environment ends in. */
function findFaults(env: Record<string, string>, process: "api" | "subscriber" = "api"): string[] {
  try {
    readConfig(env, process);
  } catch (error) {
    assert.ok(error instanceof ConfigError);
    const [first, ...faults] = error.message.split("\n");
    assert.equal(first, "The configuration is invalid:");
    return faults.map((fault) => fault.replace(/^ {2}- /, ""));
  }
  return [];
}

const listNames = (faults: readonly string[]) =>
  faults.map((fault) => fault.split(" ")[0]).toSorted();

describe("the configuration", () => {
  it("needs a project, a database and who may call, and has a default for the rest", () => {
    const config = readConfig(LEAST, "api");
    assert.equal(config.PORT, 8080);
    assert.equal(config.LOG_FORMAT, "json");
    assert.equal(config.METRICS, "off");
    assert.deepEqual(config.API_KEYS, []);
    assert.deepEqual(config.CORS_ORIGINS, []);
    assert.equal(config.MYSQL_URL.hostname, "db.example");
    assert.equal(readConfig(LEAST, "subscriber").DELIVERY, "pull");
  });

  it("takes an empty variable for one that is not set", () => {
    const empty = Object.fromEntries(Object.keys(VARIABLES).map((name) => [name, ""]));
    assert.deepEqual(readConfig({ ...empty, ...LEAST }, "api"), readConfig(LEAST, "api"));
    assert.deepEqual(listNames(findFaults(empty)), ["ACCESS", "GOOGLE_CLOUD_PROJECT", "MYSQL_URL"]);
  });

  it("names every missing and every wrong variable at once, without their values", () => {
    const secret = "s3cret";
    const wrong = {
      MYSQL_URL: `postgres://user:${secret}@host/db`,
      MYSQL_POOL_SIZE: `0${secret}`,
      PORT: `${secret}`,
      LOG_FORMAT: `xml-${secret}`,
      LOG_LEVEL: secret,
      METRICS: secret,
      METRICS_PORT: secret,
      RECEIPT_RETENTION_DAYS: `-1${secret}`,
      API_KEYS: secret,
      ACCESS: secret,
      CORS_ORIGINS: `https://example.com/${secret}`,
      RATE_LIMIT_PER_MINUTE: secret,
      CLIENT_ADDRESS: secret,
    };
    const faults = findFaults(wrong);
    assert.deepEqual(listNames(faults), ["GOOGLE_CLOUD_PROJECT", ...Object.keys(wrong)].toSorted());
    for (const fault of faults) {
      assert.match(fault, /^[A-Z_]+ (is missing: |must ).*\.$/);
      assert.ok(!fault.includes(secret), fault);
    }
  });

  it("refuses values out of their range or form", () => {
    const wrong: [string, string[]][] = [
      ["PORT", ["-1", "65536", "80.5", "0x50", " 80", "1e3", "99999999999999999999"]],
      ["MYSQL_POOL_SIZE", ["0", "101"]],
      ["MYSQL_URL", ["mysql://host", "mysql://host/", "host/db", "http://host/db", "mysql"]],
      [
        "API_KEYS",
        [
          ...["a", `a ${SHA256}`, `${SHA256} *:read`, `a:read:${SHA256}`, ":::"],
          ...[`a ${SHA256.slice(1)} *:read`, `a ${SHA256.replaceAll("0", "A")} *:read`],
          ...[`A ${SHA256} *:read`, `a_b ${SHA256} *:read`, `${"a".repeat(33)} ${SHA256} *:read`],
          ...[
            "read",
            "*:all",
            "*:operate",
            "*",
            ":read",
            "Courses:read",
            "*:read,*:write",
            "*:read:",
          ].map((scope) => `a ${SHA256} ${scope}`),
          ...[`a ${SHA256} *:read\nb`, `a ${SHA256} *:read;b ${OTHER_SHA256} *:read`],
          `a ${SHA256} *:read\nb ${SHA256} *:read`,
        ],
      ],
      ["ACCESS", ["writes", "everything", "Public", "public,keys"]],
      ["CORS_ORIGINS", ["example.com", "https://example.com/", "https://a.com https://b.com"]],
      ["RATE_LIMIT_PER_MINUTE", ["-1", "ten"]],
      ["RECEIPT_RETENTION_DAYS", ["0", "1", "28", "3651"]],
    ];
    for (const [name, values] of wrong)
      for (const value of values)
        assert.deepEqual(
          listNames(findFaults({ ...LEAST, [name]: value })),
          [name],
          `${name}=${value}`,
        );
  });

  it("reads keys, origins and the password that is kept apart", () => {
    const config = readConfig(
      {
        ...LEAST,
        API_KEYS: `a ${SHA256} *:read\r\n\n  b-2\t${OTHER_SHA256}  courses:write-any operate \n`,
        CORS_ORIGINS: "https://a.example,http://localhost:3000",
        MYSQL_PASSWORD: "p@ss/word",
      },
      "api",
    );
    assert.deepEqual(
      config.API_KEYS.map(({ name, scopes }) => [name, ...scopes]),
      [
        ["a", "*:read"],
        ["b-2", "courses:write-any", "operate"],
      ],
    );
    assert.equal(config.API_KEYS[0]?.sha256.length, 32);
    assert.deepEqual(config.CORS_ORIGINS, ["https://a.example", "http://localhost:3000"]);
    assert.equal(decodeURIComponent(config.MYSQL_URL.password), "p@ss/word");
  });

  it("does not concern a process with what only the other one reads", () => {
    assert.deepEqual(findFaults({ ...LEAST, DELIVERY: "x", PUSH_AUTH: "off" }, "api"), []);
    assert.deepEqual(findFaults({ ...LEAST, API_KEYS: "x" }, "subscriber"), []);
  });

  it("requires that somebody has said who may call, except with an emulator", () => {
    const { ACCESS: _, ...silent } = LEAST;
    for (const env of [silent, { ...silent, API_KEYS: `a ${SHA256} *:read` }])
      assert.deepEqual(findFaults(env), [
        "ACCESS is missing: public, public-reads or keys must say who may call the API.",
      ]);
    assert.deepEqual(findFaults({ ...DEVELOPMENT }), []);
    assert.deepEqual(findFaults(silent, "subscriber"), []);
  });

  it("decides who may call in development by what there is, and refuses what contradicts it", () => {
    const API_KEYS = `a ${SHA256} *:read`;
    const getAccess = (env: Record<string, string>) =>
      readConfig({ ...DEVELOPMENT, ...env }, "api").ACCESS;
    assert.equal(getAccess({}), "public");
    assert.equal(getAccess({ API_KEYS }), "public-reads");
    for (const ACCESS of ["public", "public-reads", "keys"])
      assert.equal(getAccess({ API_KEYS, ACCESS }), ACCESS);
    for (const ACCESS of ["public-reads", "keys"])
      assert.deepEqual(findFaults({ ...LEAST, ACCESS }), [
        `ACCESS is ${ACCESS}, which requires API_KEYS or OIDC_ISSUERS.`,
      ]);
  });

  it("says what has replaced API_KEYS_FOR and the form of its keys", () => {
    for (const API_KEYS_FOR of ["writes", "everything"])
      assert.match(
        findFaults({ ...LEAST, API_KEYS_FOR }).join(),
        /^API_KEYS_FOR was replaced by ACCESS: .*ACCESS=public-reads.*ACCESS=keys\.$/,
      );
    assert.deepEqual(findFaults({ ...LEAST, API_KEYS: `a:read:${SHA256},b:read:${SHA256}` }), [
      "API_KEYS must have NAME SHA256 SCOPE… in each line; line 1 has not (name:scope:sha256 was replaced).",
    ]);
    assert.match(
      findFaults({ ...LEAST, API_KEYS: `a ${SHA256} *:read\n\nb x *:read` }).join(),
      /; line 3 has not\.$/,
    );
  });

  it("limits the rate of an API that anyone may call, except with an emulator", () => {
    const API_KEYS = `a ${SHA256} *:read`;
    const emulator = { PUBSUB_EMULATOR_HOST: "127.0.0.1:8085" };
    const getLimit = (env: Record<string, string>) =>
      readConfig({ ...LEAST, ...env }, "api").RATE_LIMIT_PER_MINUTE;
    assert.equal(getLimit({}), RATE_LIMIT_PER_MINUTE);
    assert.equal(getLimit({ RATE_LIMIT_PER_MINUTE: "7" }), 7);
    assert.equal(getLimit(emulator), 0);
    const unlimited = { ...LEAST, RATE_LIMIT_PER_MINUTE: "0" };
    const open: Record<string, string>[] = [{}, { API_KEYS }, { API_KEYS, ACCESS: "public" }];
    for (const env of open)
      assert.deepEqual(findFaults({ ...unlimited, ...env }), [
        "RATE_LIMIT_PER_MINUTE may be 0 only with ACCESS=keys or PUBSUB_EMULATOR_HOST.",
      ]);
    assert.deepEqual(findFaults({ ...unlimited, API_KEYS, ACCESS: "keys" }), []);
    assert.deepEqual(findFaults({ ...unlimited, ...emulator }), []);
  });

  it("requires a token of every push, except with the emulator", () => {
    assert.deepEqual(findFaults(PUSH, "subscriber"), []);
    for (const [name, value] of [
      ["PUSH_AUTH", "off"],
      ["PUSH_CERTS_URL", "http://127.0.0.1:1/certs"],
    ] as const) {
      const env = { ...PUSH, [name]: value };
      assert.deepEqual(listNames(findFaults(env, "subscriber")), [name]);
      const withEmulator = { ...env, PUBSUB_EMULATOR_HOST: "127.0.0.1:8085" };
      assert.deepEqual(findFaults(withEmulator, "subscriber"), []);
    }
    assert.deepEqual(listNames(findFaults({ ...LEAST, DELIVERY: "push" }, "subscriber")), [
      "PUSH_AUDIENCE",
      "PUSH_SERVICE_ACCOUNT",
    ]);
  });

  it("names contradictions together with what is missing", () => {
    assert.deepEqual(listNames(findFaults({ DELIVERY: "push", PORT: "x" }, "subscriber")), [
      "GOOGLE_CLOUD_PROJECT",
      "MYSQL_URL",
      "PORT",
      "PUSH_AUDIENCE",
      "PUSH_SERVICE_ACCOUNT",
    ]);
  });

  it("stops either process with the one message that names all, and exit code 1", () => {
    for (const [process_, own] of [
      ["api", ["ACCESS"]],
      ["subscriber", []],
    ] as const) {
      const file = new URL(`../${process_}/main.ts`, import.meta.url);
      const env = { PATH: process.env.PATH, PORT: "s3cret", LOG_FORMAT: "s3cret" };
      const { status, stdout, stderr } = spawnSync(process.execPath, [file.pathname], {
        env,
        encoding: "utf8",
      });
      assert.equal(status, 1);
      assert.equal(stdout, "");
      const lines = stderr.trimEnd().split("\n");
      assert.equal(lines[0], "The configuration is invalid:");
      assert.deepEqual(
        lines
          .slice(1)
          .map((line) => line.trim().split(" ")[1])
          .toSorted(),
        [...own, "GOOGLE_CLOUD_PROJECT", "LOG_FORMAT", "MYSQL_URL", "PORT"],
      );
      assert.ok(!stderr.includes("s3cret"));
    }
  });

  it("trusts the cron's header on App Engine, and in development", () => {
    const strips = (env: Record<string, string>) =>
      stripsCronHeader(readConfig({ ...LEAST, PUBSUB_EMULATOR_HOST: "", ...env }, "api"));
    assert.equal(strips({}), false);
    assert.equal(strips({ GAE_SERVICE: "default" }), true);
    assert.equal(strips({ PUBSUB_EMULATOR_HOST: "localhost:8085" }), true);
  });

  it("describes every variable in the table", () => {
    const rows = describeVariables().split("\n").slice(2);
    const names = rows.map((row) => /^\| `([A-Z_]+)` \|/.exec(row)?.[1]);
    assert.deepEqual(names, Object.keys(VARIABLES));
    for (const row of rows) assert.equal(row.replaceAll("\\|", "").split("|").length, 6, row);
  });
});
