import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import {
  existsSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { parse } from "yaml";
import { readConfig } from "../common/config.ts";
import { VARIABLES } from "../common/variables.ts";
import { findProgram } from "../local/programs.ts";

const ROOT = join(import.meta.dirname, "..");
const SERVICES = [
  { file: "app.yaml", service: "default", process: "api" },
  { file: "subscriber.yaml", service: "subscriber", process: "subscriber" },
] as const;
/** Of App Engine's instance classes. */
const MEMORY_MB: Record<string, number> = { F1: 384, F2: 768, F4: 1536, F4_1G: 3072 };

/** The parser that `gcloud app deploy` uses: it refuses what it does not know. */
const SDK_PARSER = `
import sys
sys.path[:0] = [sys.argv[1] + "/lib", sys.argv[1] + "/lib/third_party"]
from googlecloudsdk.api_lib.app import yaml_parsing
if sys.argv[2].endswith("cron.yaml"):
  from googlecloudsdk.api_lib.tasks import app_deploy_migration_util
  info = yaml_parsing.ConfigYamlInfo.FromFile(sys.argv[2])
  app_deploy_migration_util.ValidateCronYamlFileConfig(info)
  print(info.name, len(info.parsed.cron))
else:
  info = yaml_parsing.ServiceYamlInfo.FromFile(sys.argv[2])
  print(info.module, info.runtime, info.env.name)
`;

const read = (file: string) => parse(readFileSync(join(ROOT, file), "utf8"));

describe("app.yaml and subscriber.yaml", () => {
  for (const { file, service, process } of SERVICES) {
    const yaml = read(file);

    it(`${file} configures its process with variables that it reads, in any project`, () => {
      for (const [name, value] of Object.entries(yaml.env_variables)) {
        assert.ok(name in VARIABLES, name);
        const reader = VARIABLES[name as keyof typeof VARIABLES].for;
        assert.ok(reader === "both" || reader === process, `${name} is not read by the ${process}`);
        // App Engine's env_variables are texts.
        assert.equal(typeof value, "string", name);
      }
      const config = readConfig({ GOOGLE_CLOUD_PROJECT: "any", ...yaml.env_variables }, process);
      assert.match(
        config.MYSQL_URL.searchParams.get("socketPath") ?? "",
        /^\/cloudsql\/any:[a-z]+-[a-z]+\d:latam-database$/,
      );
      assert.match(config.MYSQL_PASSWORD_SECRET, /^projects\/any\/secrets\//);
      assert.equal(config.MYSQL_URL.password, "");
      assert.equal(config.METRICS, "off");
    });

    it(`${file} bounds what it may use, and is asked over TLS only`, () => {
      assert.deepEqual([yaml.service, yaml.runtime], [service, "nodejs24"]);
      assert.deepEqual(yaml.inbound_services, ["warmup"]);
      assert.deepEqual(yaml.handlers, [{ url: "/.*", secure: "always", script: "auto" }]);
      for (const bound of ["min_instances", "max_instances", "max_concurrent_requests"])
        assert.equal(typeof yaml.automatic_scaling[bound], "number", bound);
      assert.equal(
        yaml.service_account,
        `constancia-${process}@\${GOOGLE_CLOUD_PROJECT}.iam.gserviceaccount.com`,
      );
      const [, heapMb] = /--max-old-space-size=(\d+)/.exec(yaml.entrypoint) ?? [];
      assert.ok(Number(heapMb) <= 0.75 * (MEMORY_MB[yaml.instance_class] ?? 0));
      assert.ok(yaml.entrypoint.endsWith(`dist/${process}.js`));
    });
  }

  it("lets the subscriber take pushes only with a token made for it in this project", () => {
    const env = { GOOGLE_CLOUD_PROJECT: "any", ...read("subscriber.yaml").env_variables };
    const config = readConfig(env, "subscriber");
    assert.deepEqual([config.DELIVERY, config.PUSH_AUTH], ["push", "on"]);
    assert.ok(config.PUSH_AUDIENCE.includes("any"));
    assert.equal(config.PUSH_SERVICE_ACCOUNT, "constancia-push@any.iam.gserviceaccount.com");
  });

  it("app.yaml shows how callers are known, in settings that are valid once they are no comments", () => {
    const text = readFileSync(join(ROOT, "app.yaml"), "utf8");
    const lines = text.replace(/^ {2}# (?=[A-Z_]+: |\s)/gm, "  ");
    const env = { GOOGLE_CLOUD_PROJECT: "any", ...parse(lines).env_variables };
    const config = readConfig({ ...env, ACCESS: "keys" }, "api");
    assert.equal(config.OIDC_ISSUERS[0]?.issuer, "https://securetoken.google.com/any");
    assert.match(config.API_KEYS_SECRET, /^projects\/any\/secrets\//);
  });

  it("app.yaml says who may call, a limit for each caller, and what all instances together allow", () => {
    const text = readFileSync(join(ROOT, "app.yaml"), "utf8");
    const { env_variables, automatic_scaling } = read("app.yaml");
    assert.equal(env_variables.ACCESS, "public");
    const limit = Number(env_variables.RATE_LIMIT_PER_MINUTE);
    assert.ok(limit > 0);
    const sum = (limit * automatic_scaling.max_instances).toLocaleString("en");
    assert.match(text, new RegExp(`# [^\n]*\\b${sum} a minute`));
    assert.ok(readFileSync(join(ROOT, "docs/deploy.md"), "utf8").includes(`${sum} a minute`));
  });

  it("agree on the database", () => {
    const [api, subscriber] = SERVICES.map(({ file }) => read(file).env_variables);
    for (const name of ["MYSQL_URL", "MYSQL_PASSWORD_SECRET"])
      assert.equal(api[name], subscriber[name]);
  });

  it("are both called by the cron, at an address that both have", () => {
    const jobs: { url: string; target: string }[] = read("cron.yaml").cron;
    assert.deepEqual(
      jobs.map(({ url, target }) => [url, target]),
      SERVICES.map(({ service }) => ["/_ah/sweep", service]),
    );
  });

  const gcloud = findProgram("gcloud");
  const sdk = gcloud ? join(realpathSync(gcloud), "..", "..") : "";
  const bundled = join(sdk, "platform", "bundledpythonunix", "bin", "python3");
  const python = existsSync(bundled) ? bundled : findProgram("python3");
  const skip = gcloud && python ? false : "the Google Cloud SDK is not installed";

  it("pass the Google Cloud SDK's own parser, which refuses a misspelt key", { skip }, () => {
    const ask = (file: string) =>
      execFileSync(python ?? "", ["-c", SDK_PARSER, sdk, file], {
        encoding: "utf8",
        stdio: "pipe",
      });
    for (const { file, service } of SERVICES)
      assert.equal(ask(join(ROOT, file)).trim(), `${service} nodejs24 STANDARD`);
    assert.equal(ask(join(ROOT, "cron.yaml")).trim(), "cron 2");
    const folder = mkdtempSync(join(tmpdir(), "app-yaml-"));
    const misspelt = join(folder, "app.yaml");
    const text = readFileSync(join(ROOT, "app.yaml"), "utf8");
    writeFileSync(misspelt, text.replace("max_concurrent_requests", "max_concurent_requests"));
    assert.throws(() => ask(misspelt), /Unexpected attribute 'max_concurent_requests'/);
    rmSync(folder, { recursive: true });
  });
});
