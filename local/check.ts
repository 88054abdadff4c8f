import { spawn } from "node:child_process";
import { text } from "node:stream/consumers";
import { parseOptions } from "../ops/command-line.ts";
import { runMain, type Terminal } from "../ops/terminal.ts";

const HELP = `npm run check

Checks format and lint, the types of the code and of the console page, the workflows, and that each
collection that was changed has a new schema number. npm run format mends what can be mended.

  --help  this text

Exit status: 0 nothing was found, 1 something was found, 2 wrong usage.
`;

const { execPath } = process;
const CHECKS: [string, ...string[]][] = [
  ["biome", "check", "."],
  ["tsc"],
  ["tsc", "-p", "api/console"],
  [execPath, "deploy/lint-workflows.ts"],
  [execPath, "ops/main.ts", "schemas", "--check"],
];

if (import.meta.main) await runMain({ main, help: HELP });

/** Runs all checks at once, and prints what each of them found. */
async function main(args: string[], { print, printError }: Terminal): Promise<number> {
  parseOptions({ args, options: {} });
  const results = await Promise.all(CHECKS.map(runCheck));
  for (const { output, error } of results) {
    print(output);
    printError(error);
  }
  return results.every(({ code }) => code === 0) ? 0 : 1;
}

async function runCheck([program, ...args]: [string, ...string[]]) {
  const child = spawn(program, args, { stdio: ["ignore", "pipe", "pipe"] });
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once("error", reject).once("close", resolve);
  });
  const [code, output, error] = await Promise.all([ended, text(child.stdout), text(child.stderr)]);
  return { code, output, error };
}
