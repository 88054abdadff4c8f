import { existsSync } from "node:fs";
import { killDescendants } from "../../local/processes.ts";
import { UsageError } from "../../ops/command-line.ts";

/**
 * Runs the command `npm run proof -- NAME` and ends the process, and all that it has started, with
 * the exit status that `main` returns. Wrong use is answered with a sentence and the status 2; any
 * other error is a failure of the proof itself.
 */
export async function runProof(name: string, main: () => Promise<number>): Promise<never> {
  // Google's clients would look for the metadata server of a Google machine.
  process.env.METADATA_SERVER_DETECTION = "none";
  process.once("exit", killDescendants);
  try {
    return process.exit(await main());
  } catch (error) {
    if (!(error instanceof UsageError)) {
      console.error(error);
      return process.exit(1);
    }
    const sentence = error.message.replace(/\.?$/, ".");
    console.error(`${name}: ${sentence} See npm run proof -- ${name} --help.`);
    return process.exit(2);
  }
}

/** Memory and open files of other processes are read from /proc. */
export function requireProcFs(): void {
  if (!existsSync("/proc/self/fd")) throw new UsageError("This proof needs /proc, as on Linux.");
}
