import { cpSync, mkdirSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import { parseOptions } from "../ops/command-line.ts";
import { type Program, runMain, type Terminal } from "../ops/terminal.ts";
import { ENVIRONMENTS, findEnvironment } from "./environments.ts";
import { readSettings } from "./settings.ts";
import { synthesise } from "./synth.ts";

const ROOT = join(import.meta.dirname, "..");
/** Google's provider, by version and hashes. */
const LOCK_FILE = join(import.meta.dirname, "terraform.lock.hcl");
const HELP = `npm run synth -- --environment NAME [options]

Writes the Terraform configuration of an environment of iac/environments.ts as JSON. Works offline,
needs no account and changes nothing on Google Cloud. Writes nothing if the settings are unsafe.

  --environment NAME  ${Object.keys(ENVIRONMENTS).join(" or ")}
  --out DIR           the folder to write to (default: .local/terraform/NAME)
  --help              show this text

  DIR/platform/cdk.tf.json       applied once, by a person
  DIR/service/cdk.tf.json        applied by every deploy, before the rollout
  DIR/worker-pool/cdk.tf.json    applied between both, where the subscriber is a worker pool
  DIR/observability/cdk.tf.json  applied by every deploy, after the rollout
  DIR/*/.terraform.lock.hcl      the hashes of Google's provider

Exit status: 0 done, 1 the settings are unsafe, 2 wrong usage.
`;

if (import.meta.main) await runMain(createSynth());

/** `npm run synth`, on the yaml files of `root`. */
export function createSynth(root = ROOT): Program {
  return {
    async main(args, { print }) {
      writeStacks(args, print, root);
      return 0;
    },
    help: HELP,
  };
}

function writeStacks(args: string[], print: Terminal["print"], root: string): void {
  const { values } = parseOptions({
    args,
    options: { environment: { type: "string" }, out: { type: "string" } },
  });
  const { environment = "", out } = values;
  const stacks = synthesise(readSettings(findEnvironment(environment), root));
  const folder = out ?? join(ROOT, ".local", "terraform", environment);
  for (const [stack, text] of Object.entries(stacks)) {
    const file = join(folder, stack, "cdk.tf.json");
    mkdirSync(join(folder, stack), { recursive: true });
    writeFileSync(file, text);
    cpSync(LOCK_FILE, join(folder, stack, ".terraform.lock.hcl"));
    print(`wrote ${relative(process.cwd(), file)}\n`);
  }
}
