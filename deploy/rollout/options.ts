import { parseArgs } from "node:util";
import { UsageError } from "./failure.ts";
import { isOurs } from "./versions.ts";

export const HELP = `Rolls out both App Engine services, canary first, with gcloud and nothing else.

  npm run rollout                    deploys this commit, tests it, moves the traffic step by step
  npm run rollout -- --status        which versions have traffic, and whether a rollout is open
  npm run rollout -- --rollback      puts all traffic back on the last good version

  --project ID       the Google Cloud project (default: the one that gcloud is set to)
  --version NAME     the version's name, vYYYYMMDD-HHMMSS-COMMIT (default: now, and this commit)
  --steps 1,10,100   percent of a service's traffic at each step; --from is the same
  --hold SECONDS     how long each step is watched (default: 300)
  --pause SECONDS    between two looks at the logs, and before a second attempt (default: 15)
  --keep N           versions to keep of each service, the running one counted (default: 5)
  --dry-run          prints the commands that would change something, and runs none of them
  --help             this text

Needs no file of its own: what was begun, it sees in the traffic. After a crash, run it again: of
the same commit it goes on, of another it puts the traffic back first, then begins. A breach, a
failing command, Ctrl-C and SIGTERM put the traffic back. One rollout at a time. Where the API
wants a key, CONSTANCIA_API_KEY holds one with scope write. See docs/rollout.md.

Exit status: 0 done; 1 the version did not pass, or something failed: no traffic is on it; 2 wrong
usage; 3 traffic could not be put back, and the commands to type are printed; 128 + N ended by
signal N, with no traffic left on the version.
`;

export type Options = {
  command: "help" | "status" | "rollback" | "rollout";
  project: string | undefined;
  version: string | undefined;
  steps: number[];
  holdMs: number;
  pauseMs: number;
  keep: number;
  isDryRun: boolean;
};

/** A hold of a day is a mistake. */
const MAX_SECONDS = 86_400;
/** App Engine keeps 210 versions of an application at most. */
const MAX_KEPT = 100;

/** Reads the command line; throws UsageError. */
export function readOptions(args: string[]): Options {
  const values = parse(args);
  if (values.status && values.rollback)
    throw new UsageError("--status and --rollback are two commands.");
  if (values.steps !== undefined && values.from !== undefined)
    throw new UsageError("--steps and --from are the same; give one of them.");
  const project = values.project;
  if (project !== undefined) checkProject(project);
  if (values.version !== undefined && !isOurs(values.version))
    throw new UsageError("--version must be of the form vYYYYMMDD-HHMMSS-COMMIT (7 digits of it).");
  return {
    command: values.help
      ? "help"
      : values.status
        ? "status"
        : values.rollback
          ? "rollback"
          : "rollout",
    project,
    version: values.version,
    steps: readSteps(values.steps ?? values.from ?? "1,10,100"),
    holdMs: 1_000 * readNumber("--hold", values.hold, 0, MAX_SECONDS),
    pauseMs: 1_000 * readNumber("--pause", values.pause, 0, MAX_SECONDS),
    keep: readNumber("--keep", values.keep, 2, MAX_KEPT),
    isDryRun: values["dry-run"],
  };
}

/** Throws where a text cannot be a project's id. */
export function checkProject(project: string): void {
  if (!/^[a-z][a-z0-9-]{4,28}[a-z0-9]$/.test(project))
    throw new UsageError(
      project === "" || project === "(unset)"
        ? "No project: say --project ID, or gcloud config set project ID."
        : `${JSON.stringify(project)} is no project id: 6 to 30 small letters, digits and hyphens.`,
    );
}

function parse(args: string[]) {
  const text = { type: "string" } as const;
  const yesOrNo = { type: "boolean", default: false } as const;
  try {
    return parseArgs({
      args,
      options: {
        ...{ project: text, version: text, steps: text, from: text },
        hold: { ...text, default: "300" },
        pause: { ...text, default: "15" },
        keep: { ...text, default: "5" },
        ...{ "dry-run": yesOrNo, rollback: yesOrNo, status: yesOrNo },
        help: { ...yesOrNo, short: "h" },
      },
    }).values;
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}

function readSteps(text: string): number[] {
  const steps = text.split(",").map((part) => (/^[1-9]\d{0,2}$/.test(part) ? Number(part) : 0));
  const isRising = steps.every((step, index) => step > (steps[index - 1] ?? 0));
  if (isRising && steps.at(-1) === 100) return steps;
  throw new UsageError(
    "--steps must be rising whole percents that end with 100, such as 1,10,100.",
  );
}

function readNumber(option: string, text: string, min: number, max: number): number {
  const value = /^\d{1,6}$/.test(text) ? Number(text) : Number.NaN;
  if (value >= min && value <= max) return value;
  throw new UsageError(`${option} must be a whole number from ${min} to ${max}.`);
}
