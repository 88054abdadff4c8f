import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { PROVIDER_VERSION } from "./stack.ts";
import { synthesiseUnchecked } from "./synth.ts";
import { EVERYTHING, settingsWith } from "./testing.ts";

/**
 * Offline, Terraform reads the files and finds what is no Terraform. With TEST_TERRAFORM=validate
 * it fetches Google's provider too, and finds what is wrong in the resources.
 */
const isOffline = process.env.TEST_TERRAFORM !== "validate";
const COMMANDS = isOffline
  ? [["providers"]]
  : [["init", "-backend=false", "-input=false"], ["validate"]];
// Without the machine's own settings, which may name a file that is not there.
const { TF_CLI_CONFIG_FILE: _, ...env } = process.env;
const skip = spawnSync("terraform", ["version"], { env }).error && "there is no terraform";

describe("Terraform", { skip }, () => {
  const folder = mkdtempSync(join(tmpdir(), "constancia-terraform-"));
  after(() => rmSync(folder, { recursive: true, force: true }));

  for (const [name, environment] of Object.entries({ push: {}, everything: EVERYTHING }))
    it(`accepts the stacks, with ${name}`, () => {
      const stacks = synthesiseUnchecked(settingsWith({ environment }));
      for (const [stack, config] of Object.entries(stacks)) {
        // The state is on Google Cloud, where tests do not go.
        const { backend: _, ...terraform } = config.terraform ?? {};
        const cwd = join(folder, name, stack);
        mkdirSync(cwd, { recursive: true });
        writeFileSync(join(cwd, "cdk.tf.json"), JSON.stringify({ ...config, terraform }));
        const lock = join(cwd, ".terraform.lock.hcl");
        cpSync(join(import.meta.dirname, "terraform.lock.hcl"), lock);
        assert.deepEqual(readLockedProviders(cwd), {
          "registry.terraform.io/hashicorp/google": PROVIDER_VERSION,
        });
        // With a lock, Terraform wants the provider for the smallest command.
        if (isOffline) rmSync(lock);
        for (const command of COMMANDS) {
          const options = { cwd, env, encoding: "utf8" } as const;
          const { status, stderr } = spawnSync("terraform", [...command, "-no-color"], options);
          assert.equal(status, 0, stderr.slice(0, 2_000));
        }
      }
    });
});

/** The providers that Terraform reads in the lock file of a folder. */
function readLockedProviders(cwd: string): unknown {
  const { stdout } = spawnSync("terraform", ["version", "-json"], { cwd, env, encoding: "utf8" });
  return JSON.parse(stdout).provider_selections;
}
