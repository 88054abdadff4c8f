import { spawn } from "node:child_process";
import { once } from "node:events";
import type { Supervisor } from "../../local/supervisor.ts";
import type { Target } from "./targets.ts";

/** A process that is measured. */
export type RunningTarget = {
  pid: number;
  port: number;
  /** The messages that it has counted, where it prints that. */
  count(): number;
  stop(signal?: NodeJS.Signals): Promise<void>;
};

const START_DEADLINE_MS = 60_000;
/** Of its output, shown where it does not start. */
const KEPT_CHARACTERS = 4_000;

/** Starts a target; resolves once it has printed that it started. Its other output is dropped. */
export async function startTarget(
  { title, args, startedLine }: Target,
  options: { port: number; env: Record<string, string>; supervisor: Supervisor },
): Promise<RunningTarget> {
  const { port, env, supervisor } = options;
  const child = spawn(process.execPath, args, { env, stdio: ["ignore", "pipe", "pipe"] });
  const pid = child.pid as number;
  const ended = once(child, "exit");
  const started = Promise.withResolvers<void>();
  const timer = setTimeout(() => {
    started.reject(new Error(`${title} did not start:\n${output}`));
  }, START_DEADLINE_MS);
  let output = "";
  let count = 0;
  const keep = (chunk: string) => {
    if (output.length < KEPT_CHARACTERS) output += chunk;
  };
  child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
    keep(chunk);
    if (output.includes(startedLine)) started.resolve();
    const counted = /count (\d+)\n$/.exec(chunk);
    if (counted) count = Number(counted[1]);
  });
  child.stderr.setEncoding("utf8").on("data", keep);
  ended.then(() => started.reject(new Error(`${title} exited at its start:\n${output}`)));
  const stop = async (signal: NodeJS.Signals = "SIGTERM") => {
    child.kill(signal);
    await ended;
  };
  supervisor.add({
    name: title,
    pid,
    mark: args.at(-1) ?? "",
    exited: ended.then(([code]) => `exited with code ${code}`),
    stop,
    kill: () => void child.kill("SIGKILL"),
  });
  await started.promise.finally(() => clearTimeout(timer));
  return { pid, port, count: () => count, stop };
}
