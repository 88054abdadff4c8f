import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { killAtExit } from "./at-exit.ts";

/** App Engine's patience between SIGTERM and SIGKILL. */
const TERM_TO_KILL_MS = 2_000;
/** Also on a machine whose every core has other work. */
const START_DEADLINE_MS = 30_000;
/** A process with a leak ends itself; with the default, garbage alone grows to many times this. */
const HEAP = "--max-old-space-size=192";
/** What is kept of a process's log, for the report of a failed run. */
const KEPT_CHARACTERS = 2_000_000;

/** One of the processes of a house, which can be ended and started again. */
export class Child {
  readonly name: string;
  /** The most memory that it was seen to have. */
  peakMb = 0;
  /** How it ended where nobody ended it. */
  surprise: string | undefined;
  readonly #args: readonly string[];
  readonly #env: Record<string, string>;
  #child: ChildProcess | undefined;
  #isEnding = false;
  #printed: string[] = [];
  #printedCharacters = 0;

  constructor(name: string, args: readonly string[], env: Record<string, string>) {
    this.name = name;
    this.#args = args;
    this.#env = env;
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  /** The end of all that its starts printed. */
  get output(): string {
    return this.#printed.join("").slice(-KEPT_CHARACTERS);
  }

  /** Resolves once it says that it has started. */
  async start(): Promise<void> {
    if (this.#child) return;
    this.#isEnding = false;
    const child = spawn(process.execPath, [HEAP, ...this.#args], {
      env: {
        PATH: process.env.PATH,
        NODE_COMPILE_CACHE: process.env.NODE_COMPILE_CACHE,
        ...this.#env,
      },
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.#child = child;
    const forget = killAtExit(() => child.kill("SIGKILL"));
    let said: string | undefined = "";
    const { promise: started, resolve, reject } = Promise.withResolvers<void>();
    const timer = setTimeout(
      () => reject(new Error(`${this.name} does not start`)),
      START_DEADLINE_MS,
    );
    for (const stream of [child.stdout, child.stderr])
      stream?.setEncoding("utf8").on("data", (text: string) => {
        this.#keep(text);
        if (said === undefined) return;
        said += text;
        if (!said.includes(" started")) return;
        said = undefined;
        resolve();
      });
    child.once("exit", (code, signal) => {
      forget();
      this.#child = undefined;
      if (!this.#isEnding)
        this.surprise = `${this.name} ended by itself: ${signal ?? `exit code ${code}`}`;
      reject(new Error(`${this.name} ended at its start: ${said?.slice(-2_000)}`));
    });
    await started.finally(() => clearTimeout(timer));
  }

  /** SIGKILL, or SIGTERM with App Engine's patience; the exit code, null where it was killed. */
  async end(signal: "SIGKILL" | "SIGTERM"): Promise<number | null> {
    const child = this.#child;
    if (!child) return null;
    this.#isEnding = true;
    const ended = once(child, "exit");
    child.kill("SIGCONT");
    child.kill(signal);
    const timer = setTimeout(() => child.kill("SIGKILL"), TERM_TO_KILL_MS);
    const [code] = await ended;
    clearTimeout(timer);
    return code;
  }

  async freeze(forMs: number): Promise<void> {
    this.#child?.kill("SIGSTOP");
    await sleep(forMs);
    this.#child?.kill("SIGCONT");
  }

  /** Piece by piece: one long text would be copied with each line that comes. */
  #keep(text: string): void {
    this.#printed.push(text);
    this.#printedCharacters += text.length;
    if (this.#printedCharacters < 2 * KEPT_CHARACTERS) return;
    this.#printed = [this.output];
    this.#printedCharacters = KEPT_CHARACTERS;
  }
}

/** The most resident memory that a process ever had; 0 where it is gone. */
export function peakMemoryMb(pid: number): number {
  try {
    const status = readFileSync(`/proc/${pid}/status`, "utf8");
    return Number(/VmHWM:\s+(\d+) kB/.exec(status)?.[1] ?? 0) / 1024;
  } catch {
    return 0;
  }
}
