import { mkdirSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import { parseArgs } from "node:util";
import { Refusal } from "./checks/settings-checks.ts";
import { ENVIRONMENTS, findEnvironment, UsageError } from "./environments.ts";
import { readSettings } from "./settings.ts";
import { type Synthesised, synthesise } from "./synth.ts";

const ROOT = join(import.meta.dirname, "..");
const HELP = `npm run synth -- --environment NAME [options]

Writes Terraform's JSON for an environment of iac/environments.ts, offline, and nothing at all if
the set-up is unsafe. Needs no account, and changes nothing on Google Cloud.

  --environment NAME  ${Object.keys(ENVIRONMENTS).join(" or ")}
  --out DIR           where to (default: .local/terraform/NAME)
  --help              this text

  DIR/platform/cdk.tf.json       applied once by a person
  DIR/service/cdk.tf.json        applied by every deploy
  DIR/observability/cdk.tf.json  applied by every deploy, at its end
`;
const EXIT = { refused: 1, misuse: 2 };

try {
  main(process.argv.slice(2));
} catch (error) {
  if (!(error instanceof UsageError) && !(error instanceof Refusal)) throw error;
  process.stderr.write(`constancia: ${error.message}\n`);
  process.exitCode = error instanceof UsageError ? EXIT.misuse : EXIT.refused;
}

function main(args: string[]): void {
  const { environment, out, help } = readOptions(args);
  if (help) return void process.stdout.write(HELP);
  const texts = synthesise(readSettings(findEnvironment(environment)));
  const folder = out ?? join(ROOT, ".local", "terraform", environment as string);
  for (const [stack, text] of Object.entries(texts)) {
    process.stdout.write(`constancia: wrote ${write(folder, stack as keyof Synthesised, text)}\n`);
  }
}

function readOptions(args: string[]) {
  try {
    const { values } = parseArgs({
      args,
      options: {
        environment: { type: "string" },
        out: { type: "string" },
        help: { type: "boolean", default: false },
      },
    });
    return values;
  } catch (error) {
    throw new UsageError(`${(error as Error).message} (npm run synth -- --help tells the options)`);
  }
}

function write(folder: string, stack: keyof Synthesised, text: string): string {
  const file = join(folder, stack, "cdk.tf.json");
  mkdirSync(join(folder, stack), { recursive: true });
  writeFileSync(file, text);
  return relative(process.cwd(), file);
}
