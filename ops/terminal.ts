import type { Readable, Writable } from "node:stream";
import { ConfigError } from "../common/config.ts";
import { UsageError } from "./command-line.ts";
import { escapeControls } from "./escape-controls.ts";

/** A command: its work, which returns the exit status, and what `--help` prints. */
export type Program = {
  main(args: string[], terminal: Terminal): Promise<number>;
  help: string;
  /** The exit status of an error that is no usage error (default: 1). */
  failureStatus?: number;
};

/** What a command reads and writes. Control characters are escaped. */
export type Terminal = {
  stdin: Readable;
  /** Writes to standard output. */
  print(text: string): void;
  /** Writes to standard error. */
  printError(text: string): void;
};

/** What `npm run migrate` and `npm run ops` need, a running start has written for them. */
const START_FIRST =
  "On your machine, run npm start in another terminal first: its servers are then used.\n";

/** Runs a command with the arguments of this process, and sets its exit status. */
export async function runMain(program: Program): Promise<void> {
  // A reader that closes its pipe early, such as head, is not an error.
  for (const stream of [process.stdout, process.stderr]) stream.on("error", () => {});
  // Not process.exit, which would cut what is still being written to a pipe.
  process.exitCode = await runInTerminal(program, process.argv.slice(2), process);
}

/**
 * Runs a command on these streams, and returns its exit status. `--help` prints the help. A usage
 * error prints its message and the help, and the status is 2; any other error prints its message,
 * and the status is `failureStatus`.
 */
export async function runInTerminal(
  { main, help, failureStatus = 1 }: Program,
  args: string[],
  { stdin, stdout, stderr }: { stdin: Readable; stdout: Writable; stderr: Writable },
): Promise<number> {
  const print = (text: string) => void stdout.write(escapeControls(text));
  const printError = (text: string) => void stderr.write(escapeControls(text));
  if (args.includes("--help") || args.includes("-h")) {
    print(help);
    return 0;
  }
  try {
    return await main(args, { stdin, print, printError });
  } catch (error) {
    const isUsageError = error instanceof UsageError;
    printError(`${(error as Error).message}\n`);
    if (error instanceof ConfigError) printError(START_FIRST);
    if (isUsageError) printError(`\n${help}`);
    return isUsageError ? 2 : failureStatus;
  }
}
