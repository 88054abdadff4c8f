import { mkdirSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import { parseOptions, UsageError } from "../ops/command-line.ts";
import { UnsafeSettingsError } from "./checks/settings-checks.ts";
import { ENVIRONMENTS, findEnvironment } from "./environments.ts";
import { readSettings } from "./settings.ts";
import { synthesise } from "./synth.ts";

const ROOT = join(import.meta.dirname, "..");
const HELP = `npm run synth -- --environment NAME [options]

Writes the Terraform configuration of an environment of iac/environments.ts as JSON. Works offline,
needs no account and changes nothing on Google Cloud. Writes nothing if the settings are unsafe.

  --environment NAME  ${Object.keys(ENVIRONMENTS).join(" or ")}
  --out DIR           the folder to write to (default: .local/terraform/NAME)
  --help              show this text

  DIR/platform/cdk.tf.json       applied once, by a person
  DIR/service/cdk.tf.json        applied by every deploy, before the rollout
  DIR/observability/cdk.tf.json  applied by every deploy, after the rollout
`;
const EXIT = { unsafe: 1, usage: 2 };

/** Where the command prints. */
type Output = { write(text: string): unknown };

if (import.meta.main) process.exitCode = main(process.argv.slice(2), process);

/** Runs the command on the yaml files of `root`; returns its exit status. */
export function main(
  args: string[],
  { stdout, stderr }: { stdout: Output; stderr: Output },
  root = ROOT,
): number {
  try {
    writeStacks(args, stdout, root);
    return 0;
  } catch (error) {
    if (!(error instanceof UsageError) && !(error instanceof UnsafeSettingsError)) throw error;
    stderr.write(`constancia: ${error.message}\n`);
    return error instanceof UsageError ? EXIT.usage : EXIT.unsafe;
  }
}

function writeStacks(args: string[], stdout: Output, root: string): void {
  const { values } = parseOptions({
    args,
    options: {
      environment: { type: "string" },
      out: { type: "string" },
      help: { type: "boolean", default: false },
    },
  });
  const { environment = "", out, help } = values;
  if (help) return void stdout.write(HELP);
  const stacks = synthesise(readSettings(findEnvironment(environment), root));
  const folder = out ?? join(ROOT, ".local", "terraform", environment);
  for (const [stack, text] of Object.entries(stacks)) {
    const file = join(folder, stack, "cdk.tf.json");
    mkdirSync(join(folder, stack), { recursive: true });
    writeFileSync(file, text);
    stdout.write(`constancia: wrote ${relative(process.cwd(), file)}\n`);
  }
}
