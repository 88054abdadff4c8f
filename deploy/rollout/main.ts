import { constants } from "node:os";
import { describeError, Interrupted, RollbackFailed, UsageError } from "./failure.ts";
import { createGcloud, readOwnProject } from "./gcloud.ts";
import { checkProject, HELP, readOptions } from "./options.ts";
import { rollBackByHand, rollOut } from "./rollout.ts";
import { print, say } from "./say.ts";
import { showStatus } from "./status.ts";

if (import.meta.main) {
  // Whoever reads us through a pipe may have gone, and traffic must still be put back.
  for (const stream of [process.stdout, process.stderr]) stream.on("error", () => {});
  process.exitCode = await main(process.argv.slice(2));
}

/** Runs one command; the exit status, as the help tells it. */
async function main(args: string[]): Promise<number> {
  const stop = listenForSignals();
  try {
    const options = readOptions(args);
    if (options.command === "help") {
      print(HELP);
      return 0;
    }
    const project = options.project ?? (await readOwnProject(stop));
    checkProject(project);
    const { pauseMs, isDryRun } = options;
    const gcloud = createGcloud({ project, pauseMs, isDryRun, stop });
    const run = { options, project, apiKey: process.env.CONSTANCIA_API_KEY, stop, gcloud };
    if (options.command === "status") await showStatus(gcloud);
    else if (options.command === "rollback") await rollBackByHand(run);
    else await rollOut(run);
    return 0;
  } catch (error) {
    const isMisuse = error instanceof UsageError;
    print(`${describeError(error)}\n${isMisuse ? `\n${HELP}` : ""}`, process.stderr);
    if (isMisuse) return 2;
    if (error instanceof RollbackFailed) return 3;
    if (error instanceof Interrupted) return 128 + constants.signals[error.signal];
    return 1;
  }
}

/** Aborts at the first signal; npm and the terminal may both send one, so more change nothing. */
function listenForSignals(): AbortSignal {
  const controller = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const)
    process.on(signal, () => {
      if (controller.signal.aborted) return say(`${signal}: ending already`);
      controller.abort(new Interrupted(signal));
    });
  return controller.signal;
}
