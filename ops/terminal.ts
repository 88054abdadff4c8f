import { UsageError } from "./command-line.ts";
import { escapeControls } from "./escape-controls.ts";

/**
 * Runs a command with the arguments of this process, and sets the exit status that `main` returns.
 * `--help` prints the help. A usage error prints its message and the help, and ends with 2; any
 * other error prints its message, and ends with `failureStatus`.
 */
export async function runMain(
  main: (args: string[]) => Promise<number>,
  { help, failureStatus = 1 }: { help: string; failureStatus?: number },
): Promise<void> {
  // A reader that closes its pipe early, such as head, is not an error.
  for (const stream of [process.stdout, process.stderr]) stream.on("error", () => {});
  const args = process.argv.slice(2);
  if (args.includes("--help") || args.includes("-h")) return print(help);
  try {
    // Not process.exit, which would cut what is still being written to a pipe.
    process.exitCode = await main(args);
  } catch (error) {
    const isUsageError = error instanceof UsageError;
    printError(`${(error as Error).message}\n`);
    if (isUsageError) printError(`\n${help}`);
    process.exitCode = isUsageError ? 2 : failureStatus;
  }
}

/** Writes to standard output, with control characters escaped. */
export function print(text: string): void {
  process.stdout.write(escapeControls(text));
}

/** Writes to standard error, with control characters escaped. */
export function printError(text: string): void {
  process.stderr.write(escapeControls(text));
}
