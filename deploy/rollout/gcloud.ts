import { spawn } from "node:child_process";
import { join } from "node:path";
import { text as readText } from "node:stream/consumers";
import { Failure } from "./failure.ts";
import { pause } from "./pause.ts";
import { say } from "./say.ts";

/** Where app.yaml is: gcloud uploads the folder that it is run in. */
export const ROOT = join(import.meta.dirname, "..", "..");
/** gcloud itself retries for a minute; what is silent for longer hangs. */
const READ_TIMEOUT_MS = 120_000;
/** App Engine moves traffic in seconds, at worst in a few minutes. */
const CHANGE_TIMEOUT_MS = 5 * 60_000;
/** A build by Cloud Build, which may take ten minutes at most, and the start of a version. */
export const DEPLOY_TIMEOUT_MS = 15 * 60_000;
/** A read that fails changes nothing, so it may be tried again. */
const READ_ATTEMPTS = 3;
/** Of what gcloud complains, the end tells. */
const COMPLAINT_LINES = 3;

export type Gcloud = ReturnType<typeof createGcloud>;

/**
 * Runs the `gcloud` of the PATH, and nothing else knows how. `stop` ends reads and deploys; a
 * change of traffic is let finish, because half-done on App Engine's side it could take effect
 * after the rollback. With `isDryRun` changes are only said.
 */
export function createGcloud(options: {
  project: string;
  pauseMs: number;
  stop: AbortSignal;
  isDryRun: boolean;
}) {
  const { project, pauseMs, stop, isDryRun } = options;
  const withProject = (args: readonly string[]) => [...args, `--project=${project}`, "--quiet"];
  return { read, change, getCommand, isDryRun, project };

  /** The JSON that gcloud answers. */
  async function read(args: readonly string[]): Promise<unknown> {
    const all = [...withProject(args), "--format=json"];
    for (let attempt = 1; ; attempt += 1) {
      try {
        return parse(all, await run(all, READ_TIMEOUT_MS, stop));
      } catch (error) {
        if (stop.aborted || attempt === READ_ATTEMPTS) throw error;
        say(`${(error as Error).message} Asking again.`);
        await pause(pauseMs, stop);
      }
    }
  }

  /** Changes something, in one attempt; whoever calls knows what to do about a failure. */
  async function change(args: readonly string[], { isAbortable = false } = {}): Promise<void> {
    if (isDryRun) return say(`would run: ${getCommand(args)}`);
    stop.throwIfAborted();
    if (isAbortable) await run(withProject(args), DEPLOY_TIMEOUT_MS, stop);
    else await run(withProject(args), CHANGE_TIMEOUT_MS);
  }

  /** The command as one may type it. */
  function getCommand(args: readonly string[]): string {
    return describe(withProject(args));
  }
}

/** The project that gcloud is set to, if any. */
export async function readOwnProject(stop: AbortSignal): Promise<string> {
  const out = await run(["config", "get-value", "project", "--quiet"], READ_TIMEOUT_MS, stop);
  return out.trim();
}

/** Runs gcloud in a process group of its own, so that a Ctrl-C in the terminal is ours alone. */
async function run(args: readonly string[], timeoutMs: number, stop?: AbortSignal) {
  stop?.throwIfAborted();
  const child = spawn("gcloud", args, {
    cwd: ROOT,
    stdio: ["ignore", "pipe", "pipe"],
    detached: true,
  });
  const end = () => {
    try {
      if (child.pid) process.kill(-child.pid, "SIGTERM");
    } catch {
      // It has ended by itself.
    }
  };
  let isLate = false;
  const timer = setTimeout(() => {
    isLate = true;
    end();
  }, timeoutMs);
  stop?.addEventListener("abort", end);
  try {
    const exit = new Promise<number | null>((resolve, reject) =>
      child.once("error", reject).once("close", resolve),
    );
    const [status, out, err] = await Promise.all([
      exit,
      readText(child.stdout),
      readText(child.stderr),
    ]);
    stop?.throwIfAborted();
    if (isLate) throw new Failure(`${describe(args)} did not end in ${timeoutMs / 1_000} s.`);
    if (status === 0) return out;
    const complaint = err.trim().split("\n").slice(-COMPLAINT_LINES).join(" ").trim();
    throw new Failure(`${describe(args)} failed (status ${status}): ${complaint || "no reason."}`);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    throw new Failure("gcloud is not on the PATH: install the Google Cloud CLI, then log in.");
  } finally {
    clearTimeout(timer);
    stop?.removeEventListener("abort", end);
  }
}

function parse(args: readonly string[], out: string): unknown {
  try {
    return JSON.parse(out);
  } catch {
    throw new Failure(`${describe(args)} answered something that is not JSON.`);
  }
}

function describe(args: readonly string[]): string {
  const quote = (arg: string) => (/^[\w@%+=:,./-]+$/.test(arg) ? arg : `'${arg}'`);
  return ["gcloud", ...args].map(quote).join(" ");
}
