import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import {
  cpSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { runInProcess } from "../test/support/commands.ts";
import { ENVIRONMENTS, type Environment, findEnvironment } from "./environments.ts";
import { createSynth } from "./main.ts";
import { readSettings } from "./settings.ts";
import { STACKS } from "./terraform-json.ts";
import { ENVIRONMENT } from "./testing.ts";

const ROOT = join(import.meta.dirname, "..");
const folder = mkdtempSync(join(tmpdir(), "constancia-iac-"));
after(() => rmSync(folder, { recursive: true, force: true }));

/** Runs the command in this process, on the yaml files of a folder. */
function synth(args: string[], root = ROOT) {
  return runInProcess(createSynth(root), args, { env: process.env });
}

/** The environments push. */
const WRITTEN = STACKS.filter((stack) => stack !== "worker-pool");

describe("npm run synth", () => {
  for (const environment of Object.keys(ENVIRONMENTS))
    it(`writes the stacks of ${environment}`, async () => {
      const out = join(folder, environment);
      const synthesised = await synth(["--environment", environment, "--out", out]);
      assert.deepEqual([synthesised.status, synthesised.err], [0, ""]);
      assert.equal(
        synthesised.out.match(/^wrote \S+\/\w+\/cdk\.tf\.json$/gm)?.length,
        WRITTEN.length,
      );
      for (const stack of WRITTEN) {
        const text = readFileSync(join(out, stack, "cdk.tf.json"), "utf8");
        assert.equal(text, `${JSON.stringify(JSON.parse(text), undefined, 2)}\n`);
        assert.match(text, new RegExp(`"prefix": "${stack}"`));
        const lock = readFileSync(join(out, stack, ".terraform.lock.hcl"), "utf8");
        const { google } = JSON.parse(text).terraform.required_providers;
        assert.ok(lock.includes(`\n  version     = "${google.version}"\n`));
        // Of each platform's archive and of the manifest.
        assert.ok((lock.match(/"zh:[0-9a-f]{64}"/g) ?? []).length >= 12);
        // CDKTF's comments name its version.
        assert.doesNotMatch(text, /"\/\/"/);
      }
    });

  it("prints its options, and explains a wrong one in a sentence", async () => {
    const help = await synth(["--help"]);
    assert.equal(help.status, 0);
    for (const name of ["--environment", "--out", ...Object.keys(ENVIRONMENTS)])
      assert.ok(help.out.includes(name), name);
    const wrong: [string[], RegExp][] = [
      [[], /^--environment is required: production, staging\.\n\nnpm run synth -- /],
      [
        ["--environment", "prod"],
        /^There is no environment "prod"\. iac\/environments\.ts declares production, s/,
      ],
      [["--environment", "toString"], /There is no environment "toString"/],
      [["--enviroment", "production"], /^Unknown option '--enviroment'/],
    ];
    for (const [args, sentence] of wrong) {
      const { status, out, err } = await synth(args);
      assert.deepEqual([status, out], [2, ""]);
      assert.match(err, sentence);
    }
  });

  it("is a program, whose status is the result", () => {
    const command = [join(ROOT, "iac", "main.ts"), "--environment", "prod"];
    const { status, stdout, stderr } = spawnSync(process.execPath, command, { encoding: "utf8" });
    assert.deepEqual([status, stdout], [2, ""]);
    assert.match(stderr, /^There is no environment "prod"/);
  });

  it("writes nothing if app.yaml is unsafe, and says why", async () => {
    const root = join(folder, "unsafe");
    for (const file of ["app.yaml", "subscriber.yaml", "cron.yaml"])
      cpSync(join(ROOT, file), join(root, file));
    const args = ["--environment", "production", "--out", join(root, "out")];
    const text = readFileSync(join(ROOT, "app.yaml"), "utf8");

    writeFileSync(join(root, "app.yaml"), text.replace(/(max_instances:) \d+/, "$1 900"));
    const refused = await synth(args, root);
    assert.deepEqual([refused.status, refused.out], [1, ""]);
    assert.match(
      refused.err,
      /^The settings are unsafe:\n {2}- app\.yaml, subscriber\.yaml: 2 versions of 900 /,
    );
    assert.equal(existsSync(join(root, "out")), false);

    writeFileSync(join(root, "app.yaml"), text.replace(/max_instances: \d+/, ""));
    assert.match(
      (await synth(args, root)).err,
      /^app\.yaml: automatic_scaling\.max_instances must be a whole number above 0, not/,
    );
    writeFileSync(join(root, "app.yaml"), text.replace(/^( +MYSQL_POOL_SIZE:).+/m, "$1 101"));
    assert.match(
      (await synth(args, root)).err,
      /^app\.yaml: env_variables\.MYSQL_POOL_SIZE is "101", but must be from 1 to 100\.$/m,
    );
    rmSync(join(root, "app.yaml"));
    const [sentence] = (await synth(args, root)).err.split("\n\n");
    assert.equal(sentence, "app.yaml cannot be read (ENOENT).");

    cpSync(join(ROOT, "app.yaml"), join(root, "app.yaml"));
    assert.equal((await synth(args, root)).status, 0);
    assert.deepEqual(readdirSync(join(root, "out")).sort(), WRITTEN.toSorted());
  });
});

describe("an environment", () => {
  it("needs no other project, which a newcomer does not have", () => {
    for (const { fleet } of Object.values(ENVIRONMENTS)) assert.deepEqual(fleet, []);
  });

  it("trusts no repository by default, which would be somebody else's", () => {
    for (const { github } of Object.values(ENVIRONMENTS)) assert.equal(github, undefined);
  });

  it("is refused with a list of its faults, and may contain no syntax", () => {
    const { github } = ENVIRONMENT;
    const wrong: [Partial<Environment>, RegExp][] = [
      [{ projectId: "Mine" }, /projectId "Mine" must be 6 to 30 lowercase letters/],
      [{ databaseInstance: 'a" || "' }, /databaseInstance .* is not the name of an instance/],
      [{ region: "Brazil" }, /region "Brazil" is not a region/],
      [
        { github: { ...github, repository: 'a/b" || true || "' } },
        /github\.repository .* OWNER\/NAME/,
      ],
      [
        { github: { ...github, repository: "constancia-example/constancia" } },
        /github\.repository "constancia-example\/constancia" is a placeholder/,
      ],
      [{ github: { ...github, repository: "OWNER/NAME" } }, /is a placeholder, whose owner/],
      [{ github: { ...github, repositoryId: "me" } }, /github\.repositoryId "me" is not a number/],
      [{ github: { ...github, branch: 'main" || "' } }, /github\.branch .* is not a branch/],
      [{ buildAccount: "me" }, /buildAccount "me" is not a service account's e-mail address/],
      [{ tier: "db-huge" as Environment["tier"] }, /tier "db-huge" is not in CONNECTION_LIMITS/],
      [{ workerPoolInstances: 0 }, /workerPoolInstances is 0, but must be at least 1/],
      [{ fleet: ["some-project"] }, /fleet has "some-project", which is not another project/],
      [{ fleet: ["a/b"] }, /fleet has "a\/b", which is not another project/],
      [{ viewers: ["allUsers"] }, /viewers has "allUsers", which must be user:, group: or domain:/],
      [{ toleratedOutageHours: Number.NaN }, /toleratedOutageHours is NaN, but must be at least 1/],
    ];
    for (const [change, sentence] of wrong)
      assert.throws(
        () => findEnvironment("mine", { mine: { ...ENVIRONMENT, ...change } }),
        sentence,
      );
    assert.equal(findEnvironment("mine", { mine: ENVIRONMENT }), ENVIRONMENT);
  });

  it("replaces every placeholder in app.yaml and subscriber.yaml with its project", () => {
    const { api, subscriber } = readSettings(ENVIRONMENT);
    assert.equal(api.serviceAccount, "constancia-api@some-project.iam.gserviceaccount.com");
    assert.doesNotMatch(JSON.stringify([api, subscriber]), /\$\{/);
  });
});
