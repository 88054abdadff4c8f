import { execFile } from "node:child_process";
import { join } from "node:path";
import type { Folder } from "./lockfiles.ts";

/** What npm's registry knows against a lockfile; or why it could not be asked. */
export type Audit = { advisories: string[] } | { unreachable: string };

/** npm tries again by itself, for longer than anybody wants to wait. */
const TIMEOUT_MS = 60_000;
const OUTPUT_BYTES = 2 ** 26;

type Answer = {
  vulnerabilities?: Record<string, { name: string; severity: string; range: string }>;
  message?: string;
  error?: { summary?: string };
};

/** Asks the registry by `npm audit`, of the lockfile as it stands. */
export async function audit(folder: Folder, registry?: string): Promise<Audit> {
  const args = ["audit", "--json", "--package-lock-only"];
  if (registry) args.push(`--registry=${registry}`, "--fetch-retries=0");
  const cwd = join(import.meta.dirname, "..", folder);
  const options = { cwd, timeout: TIMEOUT_MS, maxBuffer: OUTPUT_BYTES };
  return new Promise((resolve) => {
    execFile("npm", args, options, (error, stdout) => {
      const said = parse(stdout);
      if (said?.vulnerabilities) {
        const all = Object.values(said.vulnerabilities);
        const tell = ({ name, severity, range }: (typeof all)[number]) =>
          `${name} ${range} of ${folder}: ${severity}`;
        resolve({ advisories: all.map(tell) });
        return;
      }
      const why = said?.message || said?.error?.summary || error?.message || "it said nothing";
      resolve({ unreachable: why.split("\n")[0] as string });
    });
  });
}

function parse(text: string): Answer | undefined {
  try {
    return JSON.parse(text) as Answer;
  } catch {
    return undefined;
  }
}
