import { execFileSync, spawn } from "node:child_process";
import { closeSync, openSync, readdirSync, readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

/** Prints one line of progress. */
export type Say = (line: string) => void;

/** A process that we started, and how to recognise it later by its command line. */
export type LocalProcess = {
  name: string;
  pid: number;
  mark: string;
  /** Resolves, never rejects, with how the process ended. */
  exited: Promise<string>;
  /** Asks it to end, waits, and kills it when the deadline has passed. */
  stop(): Promise<void>;
  kill(): void;
};

export type ProcessOptions = {
  name: string;
  command: string[];
  /** A part of the command line that identifies the process. */
  mark: string;
  env?: NodeJS.ProcessEnv;
  cwd?: string | undefined;
  /** Where its output goes; by default, to that of this process. */
  logFile?: string;
  stopDeadlineMs: number;
};

/**
 * Starts a process in a group of its own, so that the terminal's Ctrl-C reaches only the
 * supervisor, which then stops the processes in the right order.
 */
export async function startProcess(options: ProcessOptions): Promise<LocalProcess> {
  const { name, command, mark, cwd, logFile, stopDeadlineMs } = options;
  // The child sees a pipe, also where this process shows its output in a terminal with colours.
  const isColored = process.stdout.isTTY && process.stdout.hasColors();
  const env = { ...(isColored ? { FORCE_COLOR: "1" } : {}), ...(options.env ?? process.env) };
  const output = logFile === undefined ? "pipe" : openSync(logFile, "a");
  const [file = "", ...args] = command;
  const child = spawn(file, args, { detached: true, env, cwd, stdio: ["ignore", output, output] });
  if (typeof output === "number") closeSync(output);
  // Not inherited: a closed terminal would end the child at its next line of log.
  child.stdout?.on("data", (chunk) => process.stdout.write(chunk));
  child.stderr?.on("data", (chunk) => process.stderr.write(chunk));

  let running = true;
  const exited = new Promise<string>((resolve) => {
    child.once("close", (code, signal) => {
      running = false;
      resolve(signal ? `was ended by ${signal}` : `exited with code ${code}`);
    });
  });
  await new Promise<void>((resolve, reject) => {
    child.once("spawn", resolve);
    child.once("error", reject);
  });
  const pid = child.pid as number;
  const kill = () => {
    if (running) killGroup(pid, "SIGKILL");
  };
  const stop = async () => {
    if (!running) return;
    child.kill("SIGTERM");
    const timer = setTimeout(kill, stopDeadlineMs);
    await exited;
    clearTimeout(timer);
  };
  return { name, pid, mark, exited, stop, kill };
}

/** Whether the process runs and is the one that was started: its command line has the mark. */
export function isRunning({ pid, mark }: { pid: number; mark: string }): boolean {
  return readCommandLine(pid).includes(mark);
}

/** Ends a process that an earlier supervisor left behind. */
export async function endLeftover(leftover: { pid: number; mark: string }): Promise<void> {
  for (const signal of ["SIGTERM", "SIGKILL"] as const) {
    if (!isRunning(leftover)) return;
    killGroup(leftover.pid, signal);
    const deadline = Date.now() + 10_000;
    while (isRunning(leftover) && Date.now() < deadline) await sleep(50);
  }
}

/**
 * Kills every process that this one has started, and those that they have started, in whichever
 * process group they are. Synchronous, so that it can run in `exit`.
 */
export function killDescendants(): void {
  const childrenByParent = Map.groupBy(listProcesses(), ({ parent }) => parent);
  const getDescendants = (pid: number): number[] =>
    (childrenByParent.get(pid) ?? []).flatMap((child) => [child.pid, ...getDescendants(child.pid)]);
  for (const pid of getDescendants(process.pid)) kill(pid, "SIGKILL");
}

/** Prints the sentence with the seconds so far, every two seconds, until the work has ended. */
export async function withProgress<T>(say: Say, sentence: string, work: Promise<T>): Promise<T> {
  const startedAt = Date.now();
  const timer = setInterval(() => {
    say(`${sentence} (${Math.round((Date.now() - startedAt) / 1000)} s)`);
  }, 2_000);
  try {
    return await work;
  } finally {
    clearInterval(timer);
  }
}

function killGroup(pid: number, signal: NodeJS.Signals): void {
  kill(-pid, signal);
}

/** Sends a signal to a process, or to the group of a negative one; one that has ended is ignored. */
function kill(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}

/** The command line with spaces between the arguments; empty when there is no such process. */
function readCommandLine(pid: number): string {
  try {
    if (process.platform === "linux") {
      return readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ");
    }
    return execFileSync("ps", ["-ww", "-o", "command=", "-p", String(pid)], { encoding: "utf8" });
  } catch {
    return "";
  }
}

/** All processes of this machine with their parents. */
function listProcesses(): { pid: number; parent: number }[] {
  const lines =
    process.platform === "linux"
      ? readdirSync("/proc").flatMap((name) => (/^\d+$/.test(name) ? [readStat(name)] : []))
      : execFileSync("ps", ["-A", "-o", "pid=,ppid="], { encoding: "utf8" }).trim().split("\n");
  return lines.map((line) => {
    const [pid = 0, parent = 0] = line.trim().split(/\s+/).map(Number);
    return { pid, parent };
  });
}

/** `PID PPID`, from proc_pid_stat(5): the name of the program, in parentheses, may hold any text. */
function readStat(pid: string): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    return `${pid} ${stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]}`;
  } catch {
    return ""; // It has ended meanwhile.
  }
}
