import { constants } from "node:os";
import { UsageError } from "../../ops/command-line.ts";
import { describeError, Interrupted, RollbackFailed } from "./failure.ts";
import { createGcloud, readOwnProject } from "./gcloud.ts";
import { checkProject, HELP, readOptions } from "./options.ts";
import { rollBackByHand, rollOut } from "./rollout.ts";
import { print, say } from "./say.ts";
import { showStatus } from "./status.ts";

if (import.meta.main) {
  // The reader of a pipe may have ended; the rollout must still move the traffic back.
  for (const stream of [process.stdout, process.stderr]) stream.on("error", () => {});
  process.exitCode = await main(process.argv.slice(2));
}

/** Runs one command and returns the exit status that the help describes. */
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
    const isUsage = error instanceof UsageError;
    print(`${describeError(error)}\n${isUsage ? `\n${HELP}` : ""}`, process.stderr);
    if (isUsage) return 2;
    if (error instanceof RollbackFailed) return 3;
    if (error instanceof Interrupted) return 128 + constants.signals[error.signal];
    return 1;
  }
}

/** Aborts at the first signal. More signals are ignored, because npm and the terminal may both send one. */
function listenForSignals(): AbortSignal {
  const controller = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const)
    process.on(signal, () => {
      if (controller.signal.aborted) return say(`${signal}: already stopping`);
      controller.abort(new Interrupted(signal));
    });
  return controller.signal;
}
