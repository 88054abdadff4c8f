import { spawn } from "node:child_process";
import { text as readText } from "node:stream/consumers";

/** gcloud retries by itself for a minute. */
const TIMEOUT_MS = 120_000;
/** The end of gcloud's standard error says what went wrong. */
const REASON_CHARACTERS = 300;

/** gcloud failed; `reason` is the end of what it printed. */
export class GcloudError extends Error {
  readonly reason: string;
  constructor(args: readonly string[], reason: string) {
    super(`gcloud ${args.slice(0, 3).join(" ")} failed: ${reason}`);
    this.reason = reason;
  }
}

/**
 * Runs a command of the `gcloud` on the PATH and returns what it prints. `input` goes to its standard
 * input, which is how a secret is passed: other processes can read a command line. A
 * {@link GcloudError} names the command's first words and gcloud's own reason.
 */
export async function runGcloud(
  args: readonly string[],
  { input = "" }: { input?: string } = {},
): Promise<string> {
  const child = spawn("gcloud", [...args, "--quiet"], {
    stdio: ["pipe", "pipe", "pipe"],
    timeout: TIMEOUT_MS,
  });
  // It may end without reading its input.
  child.stdin.on("error", () => {});
  child.stdin.end(input);
  const ended = new Promise<number | null>((resolve, reject) =>
    child.once("error", reject).once("close", resolve),
  );
  try {
    const [status, out, err] = await Promise.all([
      ended,
      readText(child.stdout),
      readText(child.stderr),
    ]);
    if (status === 0) return out;
    const reason = err.slice(-REASON_CHARACTERS).trim().replaceAll("\n", " ");
    throw new GcloudError(args, reason || (status === null ? "it timed out." : "no reason."));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    throw new Error("gcloud is not on the PATH: install the Google Cloud CLI, then log in.");
  }
}
