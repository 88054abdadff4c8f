import { spawn } from "node:child_process";
import { join } from "node:path";
import { text as readText } from "node:stream/consumers";
import { parseJson } from "../../common/json.ts";
import { Failure } from "./failure.ts";
import { pause } from "./pause.ts";
import { say } from "./say.ts";

/** The folder of app.yaml. gcloud uploads the folder that it runs in. */
export const ROOT = join(import.meta.dirname, "..", "..");
/** gcloud retries for up to a minute by itself. */
const READ_TIMEOUT_MS = 120_000;
/** App Engine moves traffic within seconds, rarely within minutes. */
const CHANGE_TIMEOUT_MS = 5 * 60_000;
/** A build of Cloud Build, which is limited to ten minutes, and the start of a version. */
export const DEPLOY_TIMEOUT_MS = 15 * 60_000;
/** Reads change nothing, so they are retried. */
const READ_ATTEMPTS = 3;
/** The pauses before the retry of a first deploy: two minutes, with the default of --pause. */
const GRANT_PAUSES = 8;
/** The reason is in the last lines of gcloud's error output. */
const ERROR_LINES = 3;

export type Gcloud = ReturnType<typeof createGcloud>;

/**
 * Runs `gcloud` from the PATH. `stop` ends reads and deploys. A change of traffic is always
 * completed, because an aborted one might take effect on App Engine after the rollback. With
 * `isDryRun`, changes are only printed.
 */
export function createGcloud(options: {
  project: string;
  pauseMs: number;
  stop: AbortSignal;
  isDryRun: boolean;
}) {
  const { project, pauseMs, stop, isDryRun } = options;
  const withProject = (args: readonly string[]) => [...args, `--project=${project}`, "--quiet"];
  return { read, change, deploy, formatCommand, isDryRun, project };

  /** Runs a command that prints JSON, with retries. */
  async function read(args: readonly string[]): Promise<unknown> {
    const all = [...withProject(args), "--format=json"];
    for (let attempt = 1; ; attempt += 1) {
      try {
        return parse(all, await run(all, READ_TIMEOUT_MS, stop));
      } catch (error) {
        if (stop.aborted || attempt === READ_ATTEMPTS) throw error;
        say(`${(error as Error).message} Retrying.`);
        await pause(pauseMs, stop);
      }
    }
  }

  /** Runs a command that changes something, without retries. */
  async function change(args: readonly string[]): Promise<void> {
    if (isDryRun) return say(`would run: ${formatCommand(args)}`);
    stop.throwIfAborted();
    await run(withProject(args), CHANGE_TIMEOUT_MS);
  }

  /**
   * Runs `gcloud app deploy`. The first one of a service may come before all grants of the new
   * project are in effect, and is retried once.
   */
  async function deploy(args: readonly string[], isFirst: boolean): Promise<void> {
    if (isDryRun) return say(`would run: ${formatCommand(args)}`);
    stop.throwIfAborted();
    try {
      await run(withProject(args), DEPLOY_TIMEOUT_MS, stop);
    } catch (error) {
      if (!isFirst || stop.aborted) throw error;
      const pauseBeforeRetryMs = GRANT_PAUSES * pauseMs;
      say(
        `${(error as Error).message} This is the first version of the service, and grants of a new` +
          ` project take effect after a minute or two: retrying once in ${pauseBeforeRetryMs / 1_000} s.`,
      );
      await pause(pauseBeforeRetryMs, stop);
      await run(withProject(args), DEPLOY_TIMEOUT_MS, stop);
    }
  }

  /** The command line, for a person to run. */
  function formatCommand(args: readonly string[]): string {
    return describe(withProject(args));
  }
}

/** The project of gcloud's configuration, if any. */
export async function readOwnProject(stop: AbortSignal): Promise<string> {
  const out = await run(["config", "get-value", "project", "--quiet"], READ_TIMEOUT_MS, stop);
  return out.trim();
}

/** Runs gcloud in its own process group, so that Ctrl-C in the terminal does not end it. */
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
      // It has already ended.
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
    if (isLate) throw new Failure(`${describe(args)} timed out after ${timeoutMs / 1_000} s.`);
    if (status === 0) return out;
    const reason = err.trim().split("\n").slice(-ERROR_LINES).join(" ").trim();
    throw new Failure(`${describe(args)} failed (status ${status}): ${reason || "no output."}`);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    throw new Failure("gcloud is not on the PATH. Install the Google Cloud CLI and log in.");
  } finally {
    clearTimeout(timer);
    stop?.removeEventListener("abort", end);
  }
}

function parse(args: readonly string[], out: string): unknown {
  try {
    return parseJson(out);
  } catch {
    throw new Failure(`${describe(args)} printed no valid JSON.`);
  }
}

function describe(args: readonly string[]): string {
  const quote = (arg: string) => (/^[\w@%+=:,./-]+$/.test(arg) ? arg : `'${arg}'`);
  return ["gcloud", ...args].map(quote).join(" ");
}
