import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { text as readText } from "node:stream/consumers";
import test, { type TestContext } from "node:test";
import { parse } from "yaml";
import { readConfig } from "../common/config.ts";

const SCRIPT = join(import.meta.dirname, "deploy.sh");
const PASSWORD = "the-password-that-there-is";
const KEY = "constancia_the-key-of-the-deploys";
const REGISTRY =
  "southamerica-east1-docker.pkg.dev/constancia-staging/constancia-images/subscriber";
const IMAGE = `${REGISTRY}@sha256:2`;
const POOL = "-chdir=.local/terraform/staging/worker-pool";
const APP_YAML = join(import.meta.dirname, "..", "app.yaml");
const PROJECT = "constancia-staging";
const BUILDER = `${PROJECT}@appspot.gserviceaccount.com`;
const SECRET = "constancia-mysql-password";
const STACK = "-chdir=.local/terraform/staging/service";
const WATCH = "-chdir=.local/terraform/staging/observability";

/** The calls of a deploy, in order. */
const CALLS = [
  "npm run --silent synth -- --environment staging",
  "gcloud app describe --project=constancia-staging --format=value(serviceAccount)",
  "gcloud secrets list --project=constancia-staging --format=value(name)",
  "gcloud secrets versions list constancia-mysql-password --project=constancia-staging --filter=state=enabled --format=value(name)",
  "gcloud secrets versions access latest --secret=constancia-mysql-password --project=constancia-staging",
  "gcloud app services list --project=constancia-staging --format=value(id)",
  `terraform ${STACK} init -input=false`,
  `terraform ${STACK} plan -input=false -out=plan.bin`,
  `terraform ${STACK} apply -input=false plan.bin`,
  "cloud-sql-proxy wait --http-port=PORT --max=60s",
  "npm run --silent migrate",
  "npm run --silent ops -- keys staging rollout",
  "npm run --silent rollout -- --project=constancia-staging --delivery=push --hold=1",
  "gcloud app deploy cron.yaml --project=constancia-staging --quiet",
  `terraform ${WATCH} init -input=false`,
  `terraform ${WATCH} plan -input=false -out=plan.bin`,
  `terraform ${WATCH} apply -input=false plan.bin`,
];
const PROXY =
  "cloud-sql-proxy --port=PORT --health-check --http-port=PORT constancia-staging:southamerica-east1:latam-database";

/** Runs deploy.sh with stand-ins for its programs; the call that equals `fail` fails. */
async function deploy(
  t: TestContext,
  {
    fail = "none",
    failStatus = 1,
    services = ["default", "subscriber"],
    secrets = ["projects/42/secrets/another", `projects/42/secrets/${SECRET}`],
    versions = ["2", "1"],
    builder = BUILDER,
    args = ["staging", "--hold=1"],
    delivery = "push",
    runningImage = "",
  } = {},
) {
  const folder = mkdtempSync(join(tmpdir(), "constancia-deploy-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const calls = join(folder, "calls");
  const standIn = `#!/bin/sh
call="$(basename "$0") $*"
echo "$call" >> ${calls}
echo "$call: $TF_VAR_services_deployed $TF_VAR_mysql_password $MYSQL_URL $MYSQL_PASSWORD_SECRET$CONSTANCIA_API_KEY $TF_VAR_subscriber_image" >> ${calls}.env
case "$call" in
  $FAIL) exit ${failStatus} ;;
  "gcloud app describe"*) echo ${builder} ;;
  "gcloud secrets list"*) printf '%s\\n' ${secrets.join(" ")} ;;
  "gcloud secrets versions list"*) printf '%s\\n' ${versions.join(" ")} ;;
  "gcloud secrets"*) echo ${PASSWORD} ;;
  *"keys staging rollout") echo ${KEY} ;;
  *"output -raw subscriber_image") echo "${runningImage}" ;;
  "docker inspect"*) echo other/name@sha256:1; echo ${IMAGE} ;;
  "gcloud app services"*) printf '%s\\n' ${services.join(" ")} ;;
esac
`;
  for (const program of ["gcloud", "terraform", "cloud-sql-proxy", "npm", "docker"])
    writeFileSync(join(folder, program), standIn, { mode: 0o755 });
  // Reads the environment, of which only the delivery is another.
  const node = `#!/bin/sh\nexec "${process.execPath}" "$@" | sed 's/ push/ ${delivery}/'\n`;
  if (delivery !== "push") writeFileSync(join(folder, "node"), node, { mode: 0o755 });
  const child = spawn("bash", [SCRIPT, ...args], {
    // The script runs `node`, which must be the version of this test.
    env: {
      PATH: [folder, dirname(process.execPath), process.env.PATH].join(":"),
      CI: "true",
      FAIL: fail.replace("PORT", "*"),
    },
  });
  const closed = new Promise<number | null>((resolve) => child.once("close", resolve));
  const output = await Promise.all([readText(child.stdout), readText(child.stderr)]);
  const status = await closed;
  const read = (file: string) => (existsSync(file) ? readFileSync(file, "utf8") : "");
  // The proxy gets free ports.
  const all = read(calls)
    .trim()
    .replaceAll(/(port=)\d+/g, "$1PORT")
    .split("\n");
  return { status, output: output.join(""), env: read(`${calls}.env`), all };
}

test("a deploy synthesises, applies, migrates, rolls out and applies observability, in this order", async (t) => {
  const { status, output, env, all } = await deploy(t);
  assert.equal(status, 0, output);
  // The proxy runs in the background.
  assert.ok(all.includes(PROXY));
  assert.deepEqual(
    all.filter((call) => call !== PROXY),
    CALLS,
  );
  assert.match(env, new RegExp(`apply.*: true ${PASSWORD}`));
  const [, mysqlUrl = "", secret] = /migrate: .* (mysql:\S+) (\S+)/.exec(env) ?? [];
  assertSameDatabase(new URL(mysqlUrl), secret);
  assert.match(env, new RegExp(`rollout -- --project.*: .*${KEY}`));
  for (const secret of [PASSWORD, KEY])
    assert.ok(!output.includes(secret) && !all.join().includes(secret));
  assert.match(output, /the alerts notify nobody/);
});

test("a deploy reports that the stack observability was not applied", async (t) => {
  const { status, output } = await deploy(t, {
    fail: `terraform ${WATCH} apply -input=false plan.bin`,
  });
  assert.equal(status, 1);
  assert.match(output, /the new version runs, but the stack observability was not applied/);
});

/** The migrations use the database, the user and the secret of app.yaml. */
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

test("a deploy ends at the first step that fails", async (t) => {
  const attempts = CALLS.map(async (call, index) => {
    const { status, all } = await deploy(t, { fail: call });
    assert.notEqual(status, 0, call);
    assert.deepEqual(
      all.filter((made) => made !== PROXY),
      CALLS.slice(0, index + 1),
    );
  });
  await Promise.all(attempts);
});

test("a first deploy generates a password, and skips the settings of services that do not exist", async (t) => {
  const { status, env } = await deploy(t, { secrets: [], services: ["default"] });
  assert.equal(status, 0);
  assert.match(env, /apply.*: false [0-9a-f]{48}/);
  // Named alike; and a secret that has no version yet, where an earlier run was cut.
  for (const options of [{ secrets: [`projects/42/secrets/${SECRET}-2`] }, { versions: [] }])
    assert.match((await deploy(t, options)).env, /apply.*: true [0-9a-f]{48}/);
});

test("a deploy keeps the settings of its services where the project has others too", async (t) => {
  const { status, env } = await deploy(t, { services: ["another", "default", "subscriber"] });
  assert.equal(status, 0);
  assert.match(env, /apply.*: true /);
});

test("a service whose name only contains that of ours does not count as ours", async (t) => {
  const { status, env } = await deploy(t, { services: ["default", "subscriber-2"] });
  assert.equal(status, 0);
  assert.match(env, /apply.*: false /);
});

test("a deploy with a worker pool builds its image, and applies it between the migration and the API", async (t) => {
  const { status, all, env, output } = await deploy(t, { delivery: "worker-pool" });
  assert.equal(status, 0, output);
  const calls = all.map((call) => call.replace(/[0-9a-f]{40}/, "COMMIT"));
  const find = (call: string) => calls.indexOf(call);
  const steps = [
    `docker build --tag ${REGISTRY}:COMMIT .`,
    `docker push ${REGISTRY}:COMMIT`,
    `terraform ${STACK} apply -input=false plan.bin`,
    "npm run --silent migrate",
    `terraform ${POOL} apply -input=false plan.bin`,
    "npm run --silent rollout -- --project=constancia-staging --delivery=worker-pool --hold=1",
    `terraform ${WATCH} apply -input=false plan.bin`,
  ].map(find);
  assert.ok(!steps.includes(-1), String(steps));
  assert.deepEqual(
    steps,
    steps.toSorted((one, other) => one - other),
  );
  assert.match(env, new RegExp(`terraform ${POOL} apply .* ${IMAGE}`));
});

test("a failed rollout is followed by the worker pool, unless the new API still has traffic", async (t) => {
  const fail =
    "npm run --silent rollout -- --project=constancia-staging --delivery=worker-pool --hold=1";
  const runningImage = `${REGISTRY}@sha256:1`;
  const count = (all: readonly string[]) =>
    all.filter((call) => call === `terraform ${POOL} apply -input=false plan.bin`).length;
  const back = await deploy(t, { delivery: "worker-pool", fail, runningImage });
  assert.equal(back.status, 1);
  assert.equal(count(back.all), 2);
  assert.match(back.env, new RegExp(`terraform ${POOL} apply .* ${runningImage}\n$`));
  const stuck = await deploy(t, { delivery: "worker-pool", fail, failStatus: 3, runningImage });
  assert.equal(stuck.status, 3);
  assert.equal(count(stuck.all), 1);
  assert.match(stuck.output, /the worker pool keeps the new image/);
});

test("a deploy changes nothing where App Engine builds as an account that may not", async (t) => {
  const builder = "42-compute@developer.gserviceaccount.com";
  const { status, output, all } = await deploy(t, { builder });
  assert.equal(status, 1);
  assert.match(
    output,
    new RegExp(`builds versions as ${builder}, .*Set buildAccount: "${builder}"`),
  );
  assert.deepEqual(all, CALLS.slice(0, 2));
  // An application that has no account of its own is built as the usual one.
  assert.equal((await deploy(t, { builder: "" })).status, 0);
});

test("a deploy explains its usage", async (t) => {
  const help = await deploy(t, { args: ["--help"] });
  assert.equal(help.status, 0);
  assert.match(help.output, /npm run deploy -- ENVIRONMENT/);
  assert.equal((await deploy(t, { args: [] })).status, 2);
  const unknown = await deploy(t, {
    args: ["mars"],
    fail: "npm run --silent synth -- --environment mars",
  });
  assert.equal(unknown.status, 1);
  assert.deepEqual(unknown.all, ["npm run --silent synth -- --environment mars"]);
});
