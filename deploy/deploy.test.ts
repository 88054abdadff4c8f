import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import { parse } from "yaml";
import { readConfig } from "../common/config.ts";

const SCRIPT = join(import.meta.dirname, "deploy.sh");
const PASSWORD = "the-password-that-there-is";
const APP_YAML = join(import.meta.dirname, "..", "app.yaml");
const PROJECT = "constancia-staging";
const STACK = "-chdir=.local/terraform/staging/service";
const WATCH = "-chdir=.local/terraform/staging/observability";

/** In the order of need; each stands in for a program, and ends badly where FAIL names its call. */
const CALLS = [
  "npm run --silent synth -- --environment staging",
  "gcloud secrets versions access latest --secret=constancia-mysql-password --project=constancia-staging",
  "gcloud app services list --project=constancia-staging --format=value(id)",
  `terraform ${STACK} init -input=false`,
  `terraform ${STACK} plan -input=false -out=plan.bin`,
  `terraform ${STACK} apply -input=false plan.bin`,
  "cloud-sql-proxy wait --max=60s",
  "npm run --silent migrate",
  "npm run --silent rollout -- --project=constancia-staging --hold=1",
  `terraform ${WATCH} init -input=false`,
  `terraform ${WATCH} plan -input=false -out=plan.bin`,
  `terraform ${WATCH} apply -input=false plan.bin`,
];
const PROXY =
  "cloud-sql-proxy --port=3307 --health-check constancia-staging:southamerica-east1:latam-database";

function deploy(
  t: TestContext,
  { fail = "none", services = ["default", "subscriber"], args = ["staging", "--hold=1"] } = {},
) {
  const folder = mkdtempSync(join(tmpdir(), "constancia-deploy-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const calls = join(folder, "calls");
  const standIn = `#!/bin/sh
call="$(basename "$0") $*"
echo "$call" >> ${calls}
echo "$call: $TF_VAR_services_deployed $TF_VAR_mysql_password $MYSQL_URL $MYSQL_PASSWORD_SECRET" >> ${calls}.env
if [ "$call" = "$FAIL" ]; then exit 1; fi
case "$call" in
  "gcloud secrets"*) echo ${PASSWORD} ;;
  "gcloud app services"*) printf '%s\\n' ${services.join(" ")} ;;
esac
`;
  for (const program of ["gcloud", "terraform", "cloud-sql-proxy", "npm"]) {
    writeFileSync(join(folder, program), standIn);
    chmodSync(join(folder, program), 0o755);
  }
  const { status, stdout, stderr } = spawnSync("bash", [SCRIPT, ...args], {
    encoding: "utf8",
    env: { PATH: `${folder}:${process.env.PATH}`, CI: "true", FAIL: fail },
  });
  const read = (file: string) => (existsSync(file) ? readFileSync(file, "utf8") : "");
  const all = read(calls).trim().split("\n");
  return { status, output: stdout + stderr, env: read(`${calls}.env`), all };
}

test("a deploy describes, applies, migrates, rolls out and watches, in this order", (t) => {
  const { status, output, env, all } = deploy(t);
  assert.equal(status, 0, output);
  // The proxy runs beside what follows.
  assert.ok(all.includes(PROXY));
  assert.deepEqual(
    all.filter((call) => call !== PROXY),
    CALLS,
  );
  assert.match(env, new RegExp(`apply.*: true ${PASSWORD}`));
  const [, mysqlUrl = "", secret] = /migrate: .* (mysql:\S+) (\S+)/.exec(env) ?? [];
  assertSameDatabase(new URL(mysqlUrl), secret);
  assert.ok(!output.includes(PASSWORD) && !all.join().includes(PASSWORD));
  assert.match(output, /the alerts are there, and notify nobody/);
});

test("a deploy whose new version runs unwatched says so", (t) => {
  const { status, output } = deploy(t, { fail: `terraform ${WATCH} apply -input=false plan.bin` });
  assert.equal(status, 1);
  assert.match(output, /the new version runs, but what watches it is not all there/);
});

/** What is migrated is what app.yaml names, by the user and the secret that it names. */
function assertSameDatabase(proxied: URL, secret: string | undefined): void {
  const api = parse(readFileSync(APP_YAML, "utf8")).env_variables;
  const env = { ...api, GOOGLE_CLOUD_PROJECT: PROJECT };
  const { MYSQL_URL } = readConfig(env, "api");
  assert.equal(proxied.username, MYSQL_URL.username);
  assert.equal(proxied.pathname, MYSQL_URL.pathname);
  const instance = MYSQL_URL.searchParams.get("socketPath")?.replace("/cloudsql/", "");
  assert.ok(PROXY.endsWith(` ${instance}`), instance);
  assert.equal(secret, api.MYSQL_PASSWORD_SECRET.replace(/\$\{GOOGLE_CLOUD_PROJECT\}/, PROJECT));
}

test("a deploy ends at the first step that fails, and does nothing after it", (t) => {
  for (const [index, call] of CALLS.entries()) {
    if (call.startsWith("gcloud secrets")) continue;
    const { status, all } = deploy(t, { fail: call });
    assert.notEqual(status, 0, call);
    assert.deepEqual(
      all.filter((made) => made !== PROXY),
      CALLS.slice(0, index + 1),
    );
  }
});

test("a first deploy makes a password, and leaves the settings of services that are not there", (t) => {
  const secret = CALLS[1] as string;
  const { status, env } = deploy(t, { fail: secret, services: ["default"] });
  assert.equal(status, 0);
  assert.match(env, /apply.*: false [0-9a-f]{48}/);
});

test("a deploy says what it needs", (t) => {
  const help = deploy(t, { args: ["--help"] });
  assert.equal(help.status, 0);
  assert.match(help.output, /npm run deploy -- ENVIRONMENT/);
  assert.equal(deploy(t, { args: [] }).status, 2);
  const unknown = deploy(t, {
    args: ["mars"],
    fail: "npm run --silent synth -- --environment mars",
  });
  assert.equal(unknown.status, 1);
  assert.deepEqual(unknown.all, ["npm run --silent synth -- --environment mars"]);
});
