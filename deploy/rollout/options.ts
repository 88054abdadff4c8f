import { parseOptions, readChoice, readInteger, UsageError } from "../../ops/command-line.ts";
import { isOurs } from "./versions.ts";

export const HELP = `Rolls out both App Engine services with gcloud, a canary first.

  npm run rollout                    deploy this commit, test it, move the traffic step by step
  npm run rollout -- --status        show the versions with traffic, and whether a rollout is open
  npm run rollout -- --rollback      move all traffic back to the last good version

  --project ID       the Google Cloud project (default: the project of gcloud's configuration)
  --version NAME     the version's name, vYYYYMMDD-HHMMSS-COMMIT (default: from the time and commit)
  --steps 1,10,100   the percentages of a service's traffic at each step
  --hold SECONDS     how long to watch each step (default: 300)
  --pause SECONDS    the delay between two reads of the logs and before a retry (default: 15)
  --delivery KIND    push, or worker-pool: then the subscriber's lags are those of the worker pool,
                     which the deploy has applied before (default: push)
  --keep N           versions to keep of each service, including the running one (default: 5)
  --dry-run          print the commands that would change something, and run none of them
  --help             show this text

If the API requires a key, set CONSTANCIA_API_KEY to one with the scopes *:read and
*:write. A rollout keeps no
file: it reads its state from the traffic. After a crash, run it again. For the same commit it
continues; for another commit it first moves the traffic back. If a version fails, a command fails,
or on Ctrl-C or SIGTERM, the traffic is moved back. Run only one rollout at a time. See docs/rollout.md.

Exit status:
  0        done
  1        the version failed or an error occurred; the version has no traffic
  2        wrong usage
  3        the traffic could not be moved back; the commands to run are printed
  128 + N  ended by signal N; the version has no traffic
`;

/** How messages reach the subscriber; see `delivery` in iac/environments.ts. */
export type Delivery = "push" | "worker-pool";

export type Options = {
  command: "help" | "status" | "rollback" | "rollout";
  project: string | undefined;
  version: string | undefined;
  steps: number[];
  holdMs: number;
  pauseMs: number;
  delivery: Delivery;
  keep: number;
  isDryRun: boolean;
};

/** A hold longer than a day is a mistake. */
const MAX_SECONDS = 86_400;
/** App Engine allows 210 versions of an application. */
const MAX_KEPT = 100;

/** Parses the command line; throws a UsageError. */
export function readOptions(args: string[]): Options {
  const { values } = parseOptions({
    args,
    options: {
      project: { type: "string" },
      version: { type: "string" },
      steps: { type: "string", default: "1,10,100" },
      hold: { type: "string", default: "300" },
      pause: { type: "string", default: "15" },
      delivery: { type: "string", default: "push" },
      keep: { type: "string", default: "5" },
      "dry-run": { type: "boolean", default: false },
      rollback: { type: "boolean", default: false },
      status: { type: "boolean", default: false },
      help: { type: "boolean", default: false, short: "h" },
    },
  });
  const { project, version } = values;
  if (values.status && values.rollback)
    throw new UsageError("--status and --rollback cannot be combined.");
  if (project !== undefined) checkProject(project);
  if (version !== undefined && !isOurs(version))
    throw new UsageError(
      "--version must have the form vYYYYMMDD-HHMMSS-COMMIT, with 7 digits of the commit.",
    );
  return {
    command: values.help
      ? "help"
      : values.status
        ? "status"
        : values.rollback
          ? "rollback"
          : "rollout",
    project,
    version,
    steps: readSteps(values.steps),
    holdMs: 1_000 * readInteger("hold", values.hold, { min: 0, max: MAX_SECONDS }),
    pauseMs: 1_000 * readInteger("pause", values.pause, { min: 0, max: MAX_SECONDS }),
    delivery: readChoice("delivery", values.delivery, ["push", "worker-pool"]),
    keep: readInteger("keep", values.keep, { min: 2, max: MAX_KEPT }),
    isDryRun: values["dry-run"],
  };
}

/** Throws a UsageError unless the text can be a project's id. */
export function checkProject(project: string): void {
  if (/^[a-z][a-z0-9-]{4,28}[a-z0-9]$/.test(project)) return;
  throw new UsageError(
    project === "" || project === "(unset)"
      ? "No project is set. Use --project ID or run gcloud config set project ID."
      : `${JSON.stringify(project)} is not a project id: 6 to 30 lowercase letters, digits and hyphens.`,
  );
}

function readSteps(text: string): number[] {
  const steps = text.split(",").map((part) => (/^[1-9]\d{0,2}$/.test(part) ? Number(part) : 0));
  const isRising = steps.every((step, index) => step > (steps[index - 1] ?? 0));
  if (isRising && steps.at(-1) === 100) return steps;
  throw new UsageError(
    "--steps must be increasing whole percentages that end with 100, such as 1,10,100.",
  );
}
