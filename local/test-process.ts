import { constants } from "node:os";
import { isMainThread } from "node:worker_threads";
import { killDescendants } from "./processes.ts";

// Worker threads load this too.
if (isMainThread) endWithDescendants();

/**
 * Loaded first into each test file's process, which ends with everything that its tests have
 * started: servers are in process groups of their own, and would go on.
 */
function endWithDescendants(): void {
  process.on("exit", killDescendants);
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const)
    process.once(signal, () => process.exit(128 + constants.signals[signal]));
  // The pipe of the runner ends with the runner, also where it was killed.
  process.stdin
    .on("end", () => process.exit(1))
    .resume()
    .unref();
}
